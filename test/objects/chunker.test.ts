import { expect, test } from 'vitest'
import { toHex } from '../../src/base/bytes.ts'
import { cutSize, MAX_CHUNK_BYTES } from '../../src/objects/files/chunker.ts'
import { hash, noise, prose } from './fixture.ts'

function cuts(bytes: Uint8Array): number[] {
  const sizes: number[] = []
  for (let at = 0; at < bytes.length; at += sizes.at(-1) as number)
    sizes.push(cutSize(bytes, at, bytes.length))
  return sizes
}

test('golden cuts: ids of stored files depend on them', () => {
  const data = noise(42, 2_000_000)
  expect(toHex(hash(data)).slice(0, 16)).toMatchInlineSnapshot(`"e148cb3133b26670"`)
  expect(cuts(data)).toMatchInlineSnapshot(`
    [
      86799,
      72077,
      46211,
      66598,
      33768,
      66088,
      59661,
      78438,
      72720,
      141681,
      81769,
      81572,
      76848,
      108968,
      78668,
      69021,
      36352,
      88336,
      68256,
      66941,
      27928,
      103645,
      99207,
      125165,
      74186,
      89097,
    ]
  `)
  expect(cuts(prose(42, 500_000))).toMatchInlineSnapshot(`
    [
      73036,
      65747,
      66828,
      94678,
      95499,
      68134,
      36078,
    ]
  `)
  expect(cuts(new Uint8Array(600_000))).toMatchInlineSnapshot(`
    [
      262144,
      262144,
      75712,
    ]
  `)
})

test('no cut depends on bytes before the last cut or after the largest chunk', () => {
  const data = noise(7, 3_000_000)
  const sizes = cuts(data)
  let at = 0
  for (const size of sizes) {
    const end = Math.min(at + MAX_CHUNK_BYTES, data.length)
    expect(cutSize(data.slice(at, end), 0, end - at)).toBe(size)
    at += size
  }
  const mean = data.length / sizes.length
  expect(mean).toBeGreaterThan(55_000)
  expect(mean).toBeLessThan(90_000)
})

test('an insertion changes about one chunk', () => {
  const data = noise(8, 4_000_000)
  const before = new Set(chunkIds(data))
  for (const at of [0, 1_234_567, 3_999_999]) {
    const edited = new Uint8Array(data.length + 1)
    edited.set(data.subarray(0, at))
    edited.set(data.subarray(at), at + 1)
    expect(chunkIds(edited).filter((id) => !before.has(id)).length).toBeLessThanOrEqual(3)
  }
})

function chunkIds(data: Uint8Array): string[] {
  let at = 0
  return cuts(data).map((size) => toHex(hash(data.subarray(at, (at += size)))))
}
