import { expect, test } from 'vitest'
import { toHex } from '../../src/base/bytes.ts'
import { seededRandom, systemRandom } from '../../src/base/random.ts'

test('systemRandom: no bytes are given twice, whatever the sizes', () => {
  const seen = new Set<string>()
  for (let i = 0; i < 5_000; i++) {
    const bytes = systemRandom.bytes(8 + (i % 700))
    expect(bytes.length).toBe(8 + (i % 700))
    seen.add(toHex(bytes.subarray(0, 8)))
    bytes.fill(0) // what a caller does with its bytes is its own affair
  }
  expect(seen.size).toBe(5_000)
})

test('seededRandom: the same sequence for ever', () => {
  const random = seededRandom(42)
  expect([random.next(), random.next(), ...random.bytes(3)]).toMatchInlineSnapshot(`
    [
      0.6606157226487994,
      0.12688010395504534,
      250,
      158,
      148,
    ]
  `)
})
