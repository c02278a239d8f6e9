import { expect, test } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { equalBytes, utf8 } from '../../src/base/bytes.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import type { BlobObject, BlobStore } from '../../src/blob/blob.ts'
import { zstdCompute } from '../../src/main/compute.ts'
import type { Compute } from '../../src/objects/guests.ts'
import { Ids } from '../../src/objects/ids.ts'
import { MAX_PACK_BYTES, MAX_WHOLE, PackBuffers } from '../../src/objects/packs/pack-buffers.ts'
import { framesOf, packIsWhole, packOfKey } from '../../src/objects/packs/pack-footer.ts'
import type { Place } from '../../src/objects/packs/pack.ts'
import { PackWriter } from '../../src/objects/packs/pack.ts'
import { hash, noise, prose, storeKey } from './fixture.ts'

const ids = new Ids(hash, storeKey)

const random = seededRandom(1)

function makePack(blob: BlobStore, buffers = new PackBuffers(), compute?: Compute): PackWriter {
  return new PackWriter({ blob, ids, random, buffers, open: new Map(), compute })
}

/** Puts that end when they are told to. */
class SlowBlobStore extends MemoryBlobStore {
  readonly waiting: ((error?: Error) => void)[] = []
  most = 0

  override async put(objects: readonly BlobObject[]): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.waiting.push((error) => (error ? reject(error) : resolve()))
      this.most = Math.max(this.most, this.waiting.length)
    })
    await super.put(objects)
  }

  release(): void {
    this.waiting.shift()?.()
  }

  fail(error: Error): void {
    this.waiting.shift()?.(error)
  }
}

/** Helps it along until it has ended. */
async function until(work: Promise<void>, help: () => void): Promise<void> {
  let ended = false
  const done = work.finally(() => (ended = true))
  while (!ended) {
    help()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await done
}

const CHUNK = 200_000
const some = (n: number): Uint8Array => {
  const bytes = new Uint8Array(CHUNK).fill(n)
  new DataView(bytes.buffer).setUint32(0, n)
  return bytes
}

test('a buffer is filled again when its pack is durable, not before: no byte of another gets in', async () => {
  const blob = new SlowBlobStore()
  const buffers = new PackBuffers()
  const places = new Map<number, Place>()
  let n = 0
  for (let round = 0; round < 2; round++) {
    const pack = makePack(blob, buffers)
    // Two whole packs under way and the third nearly full: now a caller has to wait.
    while (!pack.busy) {
      const bytes = some(n)
      places.set(n++, pack.addChunk(ids.ofChunk(bytes), bytes))
      bytes.fill(255) // the caller's again at once
    }
    expect(blob.waiting.length).toBe(2)
    const closed = pack.close()
    await until(closed, () => blob.release())
  }
  expect(n * CHUNK).toBeGreaterThan(5 * MAX_PACK_BYTES)
  for await (const { key } of blob.list('packs/')) {
    const bytes = (await blob.get(key)) as Uint8Array
    expect(packIsWhole(ids, packOfKey(key) as string, bytes)).toBe(true)
  }
  for (const [i, { pack, offset, length }] of places) {
    const frame = await blob.get(`packs/${pack}`, { offset, length })
    expect(equalBytes(frame?.subarray(length - CHUNK) as Uint8Array, some(i))).toBe(true)
  }
})

/** Adds chunks that nobody else adds, and none while it should wait, until `enough`. */
function fill(pack: PackWriter, from: number, enough: (added: number) => boolean): Place[] {
  const places: Place[] = []
  while (!pack.busy && !enough(places.length)) {
    const bytes = some(from + places.length)
    places.push(pack.addChunk(ids.ofChunk(bytes), bytes))
  }
  return places
}

test('however many write at once, no more whole buffers are out; the others make smaller packs and never wait for one that fills', async () => {
  const blob = new MemoryBlobStore()
  const buffers = new PackBuffers()
  const packs = Array.from({ length: 6 }, () => makePack(blob, buffers))
  const places = packs.map((pack, i) => fill(pack, i * 1000, (added) => added === 60))
  expect(places.map((some) => some.length)).toEqual(packs.map(() => 60))
  expect(buffers.take()).toBeUndefined()
  await Promise.all(packs.map((pack) => pack.close()))
  expect(buffers.take()).toBeDefined()
  const sizes: number[] = []
  for await (const { sizeBytes } of blob.list('packs/')) sizes.push(sizeBytes)
  // Of 12 MB each: some in one pack, the others in three.
  expect(sizes.filter((size) => size > 11e6)).toHaveLength(MAX_WHOLE)
  expect(sizes).toHaveLength(MAX_WHOLE + 3 * (packs.length - MAX_WHOLE))
  for (const [i, { pack, offset, length }] of places.flat().entries()) {
    const frame = await blob.get(`packs/${pack}`, { offset, length })
    const n = Math.floor(i / 60) * 1000 + (i % 60)
    expect(equalBytes(frame?.subarray(length - CHUNK) as Uint8Array, some(n))).toBe(true)
  }
})

test('who fills packs waits for a whole buffer that another is putting, also where that put fails', async () => {
  for (const fails of [false, true]) {
    const blob = new SlowBlobStore()
    const buffers = new PackBuffers()
    const [one, other] = [makePack(blob, buffers), makePack(blob, buffers)]
    fill(one, 0, () => false)
    expect(blob.waiting.length).toBe(2)
    // It seals its first where a whole buffer was not to be had.
    fill(other, 1000, () => false)
    expect(blob.waiting.length).toBe(3)
    let waits = true
    const room = other.room().then(() => (waits = false))
    await new Promise((resolve) => setImmediate(resolve))
    expect(waits).toBe(true)
    if (fails) blob.fail(new Error('no space'))
    else blob.release()
    await room
    expect(buffers.take()).toBeDefined()
    if (fails) await expect(one.room()).rejects.toThrow('no space')
    else await until(one.close(), () => blob.release())
    await until(other.close(), () => blob.release())
  }
})

test('a pack grows in small buffers until one was full: those after it begin in a whole one', async () => {
  let [small, whole] = [0, 0]
  class Counted extends PackBuffers {
    override take(): Uint8Array | undefined {
      whole++
      return super.take()
    }
    override takeSmall(): Uint8Array {
      small++
      return super.takeSmall()
    }
  }
  const pack = makePack(new MemoryBlobStore(), new Counted())
  const bytes = noise(1, 100_000)
  for (let used = 0; used < 2 * MAX_PACK_BYTES; used += bytes.length) {
    pack.addChunk(ids.ofChunk(bytes), bytes)
    if (pack.busy) await pack.room()
  }
  expect([small, whole]).toEqual([1, 3])
  await pack.close()
})

test('what does not compress is laid as it comes, though now and then one is asked for an answer', async () => {
  let asked = 0
  const answers: (() => void)[] = []
  const compute: Compute = {
    ...zstdCompute,
    async compress(bytes) {
      asked++
      const small = await zstdCompute.compress(bytes)
      if (asked > 3) await new Promise<void>((resolve) => answers.push(resolve))
      return small
    },
  }
  const blob = new MemoryBlobStore()
  const pack = makePack(blob, new PackBuffers(), compute)
  const add = (bytes: Uint8Array): Place => pack.addChunk(ids.ofChunk(bytes), bytes)
  for (let i = 0; i < 3; i++) add(noise(i, 40_000))
  await pack.settle()
  expect(asked).toBe(3)
  // Its answer is not waited for by what comes after it.
  const later = Array.from({ length: 40 }, (_, i) => add(noise(100 + i, 40_000)))
  expect(asked).toBe(4)
  expect(later.every(({ offset }) => offset > 0)).toBe(true)
  // When one of them would have been smaller, those to come are compressed.
  const text = prose(1, 40_000)
  const answer = (): void => answers.splice(0).forEach((give) => give())
  while (add(text).length > 0) {
    answer()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until(pack.close(), answer)
  const [name] = await Array.fromAsync(blob.list('packs/'))
  const bytes = (await blob.get(name?.key ?? '')) as Uint8Array
  const frames = framesOf('', bytes)
  expect(frames.length(frames.count - 1)).toBeLessThan(20_000)
})

test('small chunks share frames in the order they came', async () => {
  const blob = new MemoryBlobStore()
  const pack = makePack(blob)
  const texts = Array.from({ length: 500 }, (_, i) => utf8(`${i} `.repeat(200)))
  const places = texts.map((bytes) => pack.addChunk(ids.ofChunk(bytes), bytes))
  await pack.close()
  const [name] = await Array.fromAsync(blob.list('packs/'))
  const stored = (await blob.get(name?.key ?? '')) as Uint8Array
  const all = new TextDecoder('latin1').decode(stored)
  let at = 0
  for (const [i, bytes] of texts.entries()) {
    const { offset, length } = places[i] as Place
    at = all.indexOf(new TextDecoder('latin1').decode(bytes), at)
    expect(at).toBeGreaterThan(offset)
    expect(at + bytes.length).toBeLessThanOrEqual(offset + length)
  }
})
