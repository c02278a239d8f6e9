import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toHex, utf8 } from '../../src/base/bytes.ts'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { checkHash, openHash, openWasmHash, zstdCompute } from '../../src/main/compute.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import { ObjectEngine } from '../../src/objects/engine.ts'
import { Ids } from '../../src/objects/ids.ts'
import { collect, commit, noise, prose, storeKey } from '../objects/fixture.ts'

const native = await openHash()
const wasm = await openWasmHash()
const missing = (): Promise<never> => Promise.reject(new Error('no binary for this system'))

test('both are BLAKE3', () => {
  for (const hash of [native, wasm]) {
    expect(toHex(hash(utf8('')))).toBe(
      'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',
    )
    expect(toHex(hash(utf8('abc')))).toBe(
      '6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85',
    )
  }
})

test('natively and as WebAssembly, hashes and ids are the same bits at every size and key', () => {
  const edges = [64, 1024, 16 * 1024, 64 * 1024, 256 * 1024, 1024 * 1024]
  const size = fc.oneof(
    fc.constantFrom(0, 1, ...edges.flatMap((edge) => [edge - 1, edge, edge + 1])),
    fc.nat(4096),
    fc.nat(1024 * 1024),
  )
  fc.assert(
    fc.property(fc.nat(), size, fc.nat(64), (seed, sizeBytes, skipped) => {
      // A view that begins anywhere, as chunks do.
      const bytes = noise(seed, sizeBytes + skipped).subarray(skipped)
      const key = noise(seed + 1, 32)
      const [a, b] = [new Ids(native, key), new Ids(wasm, key)]
      expect(toHex(wasm(bytes))).toBe(toHex(native(bytes)))
      expect(toHex(b.ofChunk(bytes))).toBe(toHex(a.ofChunk(bytes)))
      expect(toHex(b.ofNode(bytes))).toBe(toHex(a.ofNode(bytes)))
      expect(b.splitSeed()).toBe(a.splitSeed())
    }),
    { numRuns: 150 },
  )
})

test('a history has the same roots with either, and one reads what the other wrote', async () => {
  const makeEngine = (hash: typeof native, blob = new MemoryBlobStore()): ObjectEngine =>
    new ObjectEngine({ blob, hash, storeKey, random: seededRandom(5), compute: zstdCompute })
  const blob = new MemoryBlobStore()
  const engines = [makeEngine(native, blob), makeEngine(wasm)] as const
  const random = seededRandom(6)
  const pick = (below: number): number => Math.floor(random.next() * below)
  let root: TreeRef | null = null
  for (let step = 0; step < 12; step++) {
    const files: Record<string, Uint8Array | null> = {}
    for (let i = 0; i < 40; i++) {
      const sizeBytes = pick(10) === 0 ? pick(600_000) : pick(2_000)
      const content = pick(2) === 0 ? noise(pick(1e9), sizeBytes) : prose(pick(1e9), sizeBytes)
      files[`d${pick(4)}/f${pick(60)}`] = pick(5) === 0 ? null : content
    }
    const base: TreeRef | null = root
    root = await commit(engines[0], base, files)
    expect(await commit(engines[1], base, files)).toBe(root)
  }
  const all = await collect(makeEngine(wasm, blob).walk(root))
  expect(all.length).toBeGreaterThan(100)
  const reader = makeEngine(wasm, blob)
  for (const entry of all) await collect(reader.readEntry(entry))
})

test('where the addon does not load, WebAssembly steps in and it is said', async () => {
  const heard: unknown[] = []
  const hear = (message: unknown): void => void heard.push(message)
  subscribe('varve:hash:without-addon', hear)
  const hash = await openHash(missing)
  unsubscribe('varve:hash:without-addon', hear)
  expect(toHex(hash(utf8('x')))).toBe(toHex(native(utf8('x'))))
  expect(heard).toMatchObject([{ error: { message: 'no binary for this system' } }])
  expect(await checkHash()).toMatchObject({ state: 'ok', found: 'the native addon' })
  expect(await checkHash(missing)).toMatchObject({
    state: 'warning',
    found: expect.stringContaining('no binary for this system') as unknown,
  })
})

test('compression leaves the thread free, and is undone exactly', async () => {
  const bytes = noise(1, 32 * 1024 * 1024)
  let turns = 0
  let isDone = false
  const turn = (): void => {
    turns++
    if (!isDone) setImmediate(turn)
  }
  setImmediate(turn)
  const small = await zstdCompute.compress(bytes)
  isDone = true
  // On this thread it would have been one turn, or two.
  expect(turns).toBeGreaterThan(10)
  expect(Buffer.compare(zstdDecompressSync(small), bytes)).toBe(0)
  const undone = await zstdCompute.decompress(small, bytes.length)
  expect(Buffer.compare(undone, bytes)).toBe(0)
  await expect(zstdCompute.decompress(small, bytes.length - 1)).rejects.toThrow()
  await expect(zstdCompute.decompress(small, bytes.length + 1)).rejects.toThrow()
  await expect(zstdCompute.decompress(noise(2, 5000), 5000)).rejects.toThrow()
})
