import { expect, test } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { zstdCompute } from '../../src/main/compute.ts'
import type { Compute } from '../../src/objects/guests.ts'
import { ObjectEngine } from '../../src/objects/engine.ts'
import { Probe } from '../../src/objects/packs/probe.ts'
import { bytesOf, collect, commit, hash, noise, p, prose, storeKey } from './fixture.ts'

test('after three frames in a row that did not shrink, one in 32 is asked until one does', () => {
  const probe = new Probe()
  const said: string[] = []
  for (let i = 0; i < 100; i++) {
    const next = probe.next()
    if (next === 'skip') continue
    said.push(`${next} ${i}`)
    expect(probe.learn(1000, 975)).toBe(false)
  }
  expect(said).toEqual(['try 0', 'try 1', 'try 2', 'ask 34', 'ask 66', 'ask 98'])
  expect(probe.learn(1000, 965)).toBe(true)
  for (let i = 0; i < 3; i++) {
    expect(probe.next()).toBe('try')
    probe.learn(1000, 1000)
  }
  expect(probe.next()).toBe('skip')
})

/** What a commit of one file took of the store, and how often it was tried to shrink. */
async function stored(content: Uint8Array): Promise<{ bytes: number; tries: number }> {
  let tries = 0
  const compute: Compute = {
    compress(bytes) {
      tries++
      return zstdCompute.compress(bytes)
    },
    decompress: (bytes, sizeBytes) => zstdCompute.decompress(bytes, sizeBytes),
  }
  const blob = new MemoryBlobStore()
  const options = { blob, hash, storeKey, compute }
  const engine = new ObjectEngine({ ...options, random: seededRandom(1) })
  const root = await commit(engine, null, { file: content })
  const cold = new ObjectEngine({ ...options, random: seededRandom(2) })
  expect(Buffer.compare(await bytesOf(cold.read(root, p('file'))), content)).toBe(0)
  const sizes = (await collect(blob.list(''))).map(({ sizeBytes }) => sizeBytes)
  return { bytes: sizes.reduce((a, b) => a + b, 0), tries }
}

test('what shrinks is stored small, what does not is left as it is and soon not tried', async () => {
  const sizeBytes = 8 * 1024 * 1024
  const text = await stored(prose(1, sizeBytes))
  expect(text.bytes).toBeLessThan(sizeBytes / 3)
  const random = await stored(noise(1, sizeBytes))
  expect(random.bytes).toBeGreaterThan(sizeBytes)
  expect(random.bytes).toBeLessThan(sizeBytes * 1.005)
  expect(text.tries).toBeGreaterThan(60)
  // Frames are on their way to the compressor before the first has come back.
  expect(random.tries).toBeLessThan(text.tries)
})
