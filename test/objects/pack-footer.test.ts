import { expect, test } from 'vitest'
import { toHex } from '../../src/base/bytes.ts'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { Ids } from '../../src/objects/ids.ts'
import { PackWriter, unlaid } from '../../src/objects/packs/pack.ts'
import { PackBuffers } from '../../src/objects/packs/pack-buffers.ts'
import type { Place } from '../../src/objects/packs/pack.ts'
import {
  framesOf,
  packIsWhole,
  packKey,
  packOfKey,
  readFrames,
} from '../../src/objects/packs/pack-footer.ts'
import { collect, hash, noise, storeKey } from './fixture.ts'

const ids = new Ids(hash, storeKey)

async function writePacks(chunks: readonly Uint8Array[], nodes: readonly Uint8Array[]) {
  const blob = new MemoryBlobStore()
  const open = new Map<string, () => Uint8Array>()
  const pack = new PackWriter({
    blob,
    ids,
    open,
    random: seededRandom(1),
    compute: undefined,
    buffers: new PackBuffers(),
  })
  const places: { place: Place; isNode: boolean }[] = []
  for (const bytes of chunks) {
    places.push({ place: pack.addChunk(ids.ofChunk(bytes), bytes), isNode: false })
    if (pack.busy) await pack.room()
  }
  await pack.settle()
  for (const bytes of nodes) {
    const place = unlaid()
    pack.addNode(ids.ofNode(bytes), () => bytes, place)
    places.push({ place, isNode: true })
  }
  await pack.close()
  return { blob, places }
}

test('a pack says from its end alone which frames it has and which hold nodes', async () => {
  const sizes = [40_000, 3, 500, 100_000, 9]
  const { blob, places } = await writePacks(
    sizes.map((size, i) => noise(i + 1, size)),
    [noise(8, 700), noise(9, 10)],
  )
  const [object] = await collect(blob.list(''))
  const pack = packOfKey(object?.key as string) as string
  const bytes = (await blob.get(packKey(pack))) as Uint8Array
  for (const frames of [framesOf(pack, bytes), await readFrames(blob, pack)]) {
    if (!frames) throw new Error('no frames')
    // The small chunks share one frame.
    expect(frames.count).toBe(5)
    for (const { place, isNode } of places) {
      const at = frames.find(place.offset, place.length)
      expect(frames.isNode(at)).toBe(isNode)
      expect(frames.find(place.offset + 1, place.length)).toBe(-1)
      expect(frames.find(place.offset, place.length + 1)).toBe(-1)
    }
  }
  expect(await readFrames(blob, 'f'.repeat(32))).toBeUndefined()
})

test('a table larger than what is read at first is read whole; full packs stay within their size', async () => {
  const nodes = Array.from({ length: 30_000 }, (_, i) => noise(i, 1_200))
  const { blob, places } = await writePacks([], nodes)
  const objects = await collect(blob.list(''))
  expect(objects.length).toBe(2)
  for (const { key, sizeBytes } of objects) {
    expect(sizeBytes).toBeLessThanOrEqual(32 * 1024 * 1024)
    const pack = packOfKey(key) as string
    const frames = await readFrames(blob, pack, sizeBytes)
    const here = places.filter(({ place }) => place.pack === pack)
    expect(frames?.count).toBe(here.length)
    for (const [i, { place }] of here.entries())
      expect(frames?.find(place.offset, place.length)).toBe(i)
    expect(packIsWhole(ids, pack, (await blob.get(key)) as Uint8Array)).toBe(true)
  }
})

test('the checksum covers every byte and the name', async () => {
  const { blob } = await writePacks([noise(1, 300)], [noise(2, 40)])
  const [object] = await collect(blob.list(''))
  const pack = packOfKey(object?.key as string) as string
  const good = (await blob.get(packKey(pack))) as Uint8Array
  expect(packIsWhole(ids, pack, good)).toBe(true)
  for (let at = 0; at < good.length; at++) {
    const bad = new Uint8Array(good)
    bad[at] = (bad[at] as number) ^ (1 << (at % 8))
    expect(packIsWhole(ids, pack, bad)).toBe(false)
    // Whatever a table claims, it is read or refused.
    try {
      expect(framesOf(pack, bad).sizeBytes).toBe(bad.length)
    } catch (error) {
      expect(error).toMatchObject({ code: 'CORRUPT' })
    }
    expect(packIsWhole(ids, pack, good.subarray(0, at))).toBe(false)
  }
  expect(packIsWhole(ids, toHex(new Uint8Array(16)), good)).toBe(false)
})
