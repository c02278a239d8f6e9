import { expect, test } from 'vitest'
import { crc32c } from '../../src/kafka/crc32c.ts'
import { encodeBatch } from '../../src/kafka/produce.ts'
import type { WriteRecord } from '../../src/kafka/produce.ts'
import { decodeBatches } from '../../src/kafka/records.ts'

const of = (value: string | null, more: Partial<WriteRecord> = {}): WriteRecord => ({
  partition: 0,
  key: null,
  value: value === null ? null : Buffer.from(value),
  ...more,
})

test('CRC-32C of the known vectors (RFC 3720, B.4)', () => {
  expect(crc32c(Buffer.from('123456789')) >>> 0).toBe(0xe3069283)
  expect(crc32c(Buffer.alloc(32)) >>> 0).toBe(0x8a9136aa)
  expect(crc32c(Buffer.alloc(32, 0xff)) >>> 0).toBe(0x62a8ab43)
})

test.each([
  ['small, as it is', [of('a'), of('', { key: Buffer.from('k') }), of(null), of('d')]],
  [
    'with headers beyond ASCII',
    [of('x', { headers: { naïve: '→', empty: '' } }), of('y', { headers: { a: 'b' } })],
  ],
  ['compressible', Array.from({ length: 500 }, (_, i) => of(`value ${i}`.padEnd(200)))],
  ['with sizes at the edges of a varint', [63, 64, 8_191, 8_192].map((n) => of('v'.repeat(n)))],
])('a batch is read back as it was written: %s', (_, records) => {
  const bytes = encodeBatch(records, 1_700_000_000_123)
  const { records: read, next } = decodeBatches(bytes, 0)
  expect(next).toBe(records.length)
  expect(
    read.map(({ key, value, headers, timestampMs, offset }) => ({
      key: key?.toString(),
      value: value?.toString(),
      headers: Object.fromEntries(headers.map(([name, text]) => [name, text?.toString()])),
      timestampMs,
      offset,
    })),
  ).toEqual(
    records.map(({ key, value, headers = {} }, offset) => ({
      key: key === null ? undefined : Buffer.from(key).toString(),
      value: value === null ? undefined : Buffer.from(value).toString(),
      headers,
      timestampMs: 1_700_000_000_123,
      offset,
    })),
  )
})
