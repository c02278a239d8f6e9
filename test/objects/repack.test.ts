import { expect, test } from 'vitest'
import { toHex } from '../../src/base/bytes.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { packKey } from '../../src/objects/packs/pack-footer.ts'
import { PackListing } from '../../src/objects/packs/pack-listing.ts'
import { repack } from '../../src/objects/upkeep/repack.ts'
import { makeEngine } from './fixture.ts'

const GIB = 1024 * 1024 * 1024

/** Packs that are said to be so large, and are gone when they are asked for. */
class GonePacks extends MemoryBlobStore {
  readonly asked = new Set<string>()
  readonly #packs: readonly string[]
  readonly #sizeBytes: number

  constructor(packs: readonly string[], sizeBytes: number) {
    super()
    this.#packs = packs
    this.#sizeBytes = sizeBytes
  }

  override async *list(): AsyncGenerator<{ key: string; sizeBytes: number }> {
    for (const pack of this.#packs) yield { key: packKey(pack), sizeBytes: this.#sizeBytes }
  }

  override get(key: string): Promise<undefined> {
    this.asked.add(key)
    return Promise.resolve(undefined)
  }
}

async function askedOf(count: number, usedBytes: number): Promise<number> {
  const packs = Array.from({ length: count }, (_, n) =>
    toHex(Uint8Array.from({ length: 16 }, (_, i) => (i < 12 ? 0 : n >>> (8 * (15 - i))))),
  )
  const blob = new GonePacks(packs, usedBytes * 3)
  const listing = await PackListing.read(blob, usedBytes)
  for (let n = 0; n < count; n++) listing.use(n, 0, usedBytes)
  const { store } = makeEngine({ blob }).engine
  const guests = { store, blob, listing, round: 1, winsBytes: 1 }
  expect(await repack(guests, packs, new AbortController().signal)).toEqual([])
  return blob.asked.size
}

test('what a round carries over is bounded by its bytes, however many packs they lie in', async () => {
  expect(await askedOf(20_000, 128 * 1024)).toBe(20_000)
  expect(await askedOf(20, GIB)).toBe(16)
})
