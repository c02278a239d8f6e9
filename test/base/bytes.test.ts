import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareBytes, compareUtf8, fromHex, toHex, utf8 } from '../../src/base/bytes.ts'

test('bytes: compareUtf8 orders strings as their UTF-8 bytes', () => {
  const text = fc.string({
    unit: fc.constantFrom('a', 'ß', '\uE000', '\uFFFD', '\u{10000}', '\u{1F600}'),
  })
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareUtf8(a, b))).toBe(Math.sign(compareBytes(utf8(a), utf8(b))))
    }),
  )
})

test('bytes: hex goes there and back', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(fromHex(toHex(bytes))).toEqual(bytes)
    }),
  )
})
