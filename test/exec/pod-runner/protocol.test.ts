import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MarkedLines, Replies } from '../../../src/exec/adapters/kubernetes/pod-protocol.ts'

const NONCE = '00ff00ff00ff00ff00ff00ff00ff00ff'

/** The bytes in pieces of the given sizes, over and over. */
function* pieces(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1
    yield bytes.subarray(at, at + size)
    at += size
  }
}

const SIZES = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 })

describe('output up to its mark', () => {
  test('however it is cut, all before the mark is there and nothing behind it', () => {
    // Beginnings of the mark are what could be taken for it.
    const part = fc.constantFrom('a', '\n', '\0', '\0' + NONCE.slice(0, 20), NONCE, '\0\0')
    fc.assert(
      fc.property(fc.array(part), fc.array(part), SIZES, (before, behind, sizes) => {
        const text = before.join('')
        fc.pre(!text.includes(`\0${NONCE}`))
        const lines = new MarkedLines(NONCE)
        const seen: string[] = []
        const bytes = Buffer.from(`${text}\0${NONCE}${behind.join('')}`)
        for (const piece of pieces(bytes, sizes)) seen.push(...lines.take(piece))
        const first = `${text}\0${NONCE}`.indexOf(`\0${NONCE}`)
        const expected = text.slice(0, first).split('\n')
        if (expected.at(-1) === '') expected.pop()
        expect(lines.ended).toBe(true)
        expect(seen).toEqual(expected)
      }),
    )
  })

  test('a line comes when it is written, not when the next byte is', () => {
    expect(new MarkedLines(NONCE).take(Buffer.from('started\n'))).toEqual(['started'])
  })
})

describe('replies', () => {
  test('they come whole, however they are cut', () => {
    fc.assert(
      fc.property(SIZES, (sizes) => {
        const replies = new Replies()
        const bytes = Buffer.from(`\nready ${NONCE}\nfailed ${NONCE} no such program\n`)
        const seen = [...pieces(bytes, sizes)].flatMap((piece) => replies.take(piece))
        expect(seen).toEqual([
          { kind: '', nonce: '', text: '' },
          { kind: 'ready', nonce: NONCE, text: '' },
          { kind: 'failed', nonce: NONCE, text: 'no such program' },
        ])
      }),
    )
  })

  test('a line too long for one is passed over, in whatever pieces, and the next is heard', () => {
    for (const size of [1_000, 5_000, 20_000]) {
      const replies = new Replies()
      const bytes = Buffer.from(`${'x'.repeat(10_000)} ended ${NONCE}\nended ${NONCE}\n`)
      const seen = [...pieces(bytes, [size])].flatMap((piece) => replies.take(piece))
      expect(seen).toEqual([{ kind: 'ended', nonce: NONCE, text: '' }])
    }
  })
})
