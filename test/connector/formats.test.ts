import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { SourceRecord } from '../../src/connector/mod.ts'
import { keyAt, lines, makePosition, parsePosition, toLine } from '../../src/connector/mod.ts'

const text = (bytes: Uint8Array | null): string | null => bytes && Buffer.from(bytes).toString()

function record(value: string | Uint8Array | null): SourceRecord {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  const key = Buffer.from('k')
  return { key, value: bytes, headers: { h: '1' }, timestampMs: 5, ordinal: 7 }
}

test('raw lines are the value as it is; what cannot be one is poison', () => {
  expect(toLine('raw', record('a "b"'), 'p')).toEqual({ line: Buffer.from('a "b"') })
  expect(toLine('raw', record('a\nb'), 'p')).toEqual({ poison: 'its value holds a newline' })
  expect(toLine('raw', record(Buffer.from([0xff])), 'p')).toEqual({
    poison: 'its value is not UTF-8',
  })
  expect(toLine('raw', record(null), 'p')).toHaveProperty('poison')
  expect(toLine('ndjson', record('{"a":'), 'p')).toEqual({ poison: 'its value is not JSON' })
  expect(toLine('ndjson', record('{"a":1}'), 'p')).toHaveProperty('line')
})

test('an envelope takes any record and nothing of it is lost', () => {
  const made = toLine('envelope', record(Buffer.from([0xff, 0x0a])), 'orders/3')
  const line = 'line' in made ? text(made.line) : ''
  expect(line).not.toContain('\n')
  expect(JSON.parse(line ?? '')).toEqual({
    key: 'k',
    valueBase64: '/wo=',
    headers: { h: '1' },
    timestamp: 5,
    part: 'orders/3',
    position: 7,
  })
})

test('lines come out the same however the bytes were cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.stringMatching(/^[a-zé]{0,6}$/), { maxLength: 8 }),
      fc.boolean(),
      fc.array(fc.nat(60), { maxLength: 6 }),
      async (values, ended, cuts) => {
        const whole = Buffer.from(values.join('\n') + (ended ? '\n' : ''))
        const at = [0, ...cuts.filter((cut) => cut < whole.length), whole.length].toSorted(
          (a, b) => a - b,
        )
        async function* pieces(): AsyncGenerator<Uint8Array> {
          for (let i = 1; i < at.length; i++) yield whole.subarray(at[i - 1], at[i])
        }
        const found: (string | null)[] = []
        for await (const line of lines(pieces())) found.push(text(line))
        const expected = whole.toString().split('\n')
        if (expected.at(-1) === '') expected.pop()
        expect(found).toEqual(expected)
      },
    ),
  )
})

test('a key is what the pointer names, as text', () => {
  const line = Buffer.from('{"a":{"b/c":[1,{"d":"x"}]},"n":null,"t":7}')
  expect(text(keyAt('/a/b~1c/1/d', line))).toBe('x')
  expect(text(keyAt('/t', line))).toBe('7')
  expect(text(keyAt('/a/b~1c', line))).toBe('[1,{"d":"x"}]')
  expect(keyAt('/n', line)).toBeNull()
  expect(keyAt('/missing', line)).toBeNull()
  expect(keyAt('/a', Buffer.from('not json'))).toBeNull()
})

test('a position is read back as it was made, and nothing else is one', () => {
  expect(parsePosition(makePosition(42, 'a@b+7'))).toEqual({ ordinal: 42, identity: 'a@b+7' })
  expect(parsePosition('0')).toEqual({ ordinal: 0, identity: null })
  for (const wrong of ['', '-1', '1.5', '1e3', '@x', '99999999999999999', 'x1'])
    expect(() => parsePosition(wrong)).toThrow('as a position')
})
