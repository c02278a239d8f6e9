import { gzipSync, zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { decodeBatches } from '../../src/kafka/records.ts'

interface Made {
  readonly base: number
  /** By offset − base; holes are what compaction took. */
  readonly values: Readonly<Record<number, string | null>>
  readonly lastDelta: number
  readonly producerId?: number
  readonly transactional?: boolean
  readonly control?: 'abort' | 'commit'
  readonly codec?: 0 | 1 | 3 | 4
}

const TRANSACTIONAL = 0x10
const CONTROL = 0x20

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value < 0 ? -2 * value - 1 : 2 * value
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  return Buffer.from([...bytes, rest])
}

function field(bytes: Buffer | null): Buffer {
  return bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes])
}

/** A batch of message format 2 as the protocol's guide lays it out. */
function batch(made: Made): Buffer {
  const records = Object.entries(made.values).map(([delta, value]) => {
    const key = made.control
      ? Buffer.from([0, 0, 0, made.control === 'commit' ? 1 : 0])
      : Buffer.from('k')
    const body = Buffer.concat([
      Buffer.from([0]),
      varint(Number(delta) * 10),
      varint(Number(delta)),
      field(key),
      field(value === null ? null : Buffer.from(value)),
      varint(1),
      field(Buffer.from('h')),
      field(Buffer.from('v')),
    ])
    return Buffer.concat([varint(body.length), body])
  })
  const plain = Buffer.concat(records)
  const codec = made.codec ?? 0
  const packed = codec === 1 ? gzipSync(plain) : codec === 4 ? zstdCompressSync(plain) : plain
  const head = Buffer.alloc(61)
  head.writeBigInt64BE(BigInt(made.base), 0)
  head.writeInt32BE(49 + packed.length, 8)
  head.writeInt8(2, 16)
  head.writeInt16BE(
    codec | (made.transactional ? TRANSACTIONAL : 0) | (made.control ? CONTROL | TRANSACTIONAL : 0),
    21,
  )
  head.writeInt32BE(made.lastDelta, 23)
  head.writeBigInt64BE(1_000n, 27)
  head.writeBigInt64BE(2_000n, 35)
  head.writeBigInt64BE(BigInt(made.producerId ?? -1), 43)
  head.writeInt32BE(records.length, 57)
  return Buffer.concat([head, packed])
}

const values = (
  bytes: Buffer,
  from: number,
  aborted: { producerId: number; firstOffset: number }[] = [],
): unknown =>
  decodeBatches(bytes, from, aborted).records.map(({ value }) => value?.toString() ?? null)

test('a record comes out as it went in, plain, gzip and zstd', () => {
  for (const codec of [0, 1, 4] as const) {
    const bytes = batch({ base: 2 ** 40, values: { 0: 'a', 2: null }, lastDelta: 2, codec })
    const { records, next } = decodeBatches(bytes, 0)
    expect(next).toBe(2 ** 40 + 3)
    expect(records).toEqual([
      {
        offset: 2 ** 40,
        timestampMs: 1_000,
        key: Buffer.from('k'),
        value: Buffer.from('a'),
        headers: [['h', Buffer.from('v')]],
      },
      expect.objectContaining({ offset: 2 ** 40 + 2, timestampMs: 1_020, value: null }),
    ])
  }
})

test('records before the wanted offset are left out, and so is a batch that is not whole', () => {
  const first = batch({ base: 0, values: { 0: 'a', 1: 'b' }, lastDelta: 1, codec: 4 })
  const second = batch({ base: 2, values: { 0: 'c' }, lastDelta: 0 })
  const both = Buffer.concat([first, second])
  expect(values(both, 1)).toEqual(['b', 'c'])
  const cut = decodeBatches(both.subarray(0, both.length - 1), 0)
  expect(cut.records).toHaveLength(2)
  expect(cut.next).toBe(2)
  expect(decodeBatches(first.subarray(0, 40), 7)).toMatchObject({ records: [], next: 7 })
})

test('a batch that compaction or a transaction emptied still moves the position', () => {
  expect(decodeBatches(batch({ base: 5, values: {}, lastDelta: 9 }), 5)).toMatchObject({
    records: [],
    next: 15,
  })
  const marker = batch({ base: 8, values: { 0: '' }, lastDelta: 0, control: 'commit' })
  expect(decodeBatches(marker, 8)).toMatchObject({ records: [], next: 9 })
})

test('aborted records are left out until the abort marker of their producer, in any order of the list', () => {
  const bytes = Buffer.concat([
    batch({ base: 0, values: { 0: 'x1' }, lastDelta: 0, producerId: 1, transactional: true }),
    batch({ base: 1, values: { 0: 'y1' }, lastDelta: 0, producerId: 2, transactional: true }),
    batch({ base: 2, values: { 0: 'z1' }, lastDelta: 0, producerId: 3, transactional: true }),
    batch({ base: 3, values: { 0: 'free' }, lastDelta: 0 }),
    batch({ base: 4, values: { 0: '' }, lastDelta: 0, producerId: 2, control: 'abort' }),
    batch({ base: 5, values: { 0: 'y2' }, lastDelta: 0, producerId: 2, transactional: true }),
    batch({ base: 6, values: { 0: 'x2' }, lastDelta: 0, producerId: 1, transactional: true }),
    batch({ base: 7, values: { 0: '' }, lastDelta: 0, producerId: 1, control: 'abort' }),
    batch({ base: 8, values: { 0: 'x3' }, lastDelta: 0, producerId: 1, transactional: true }),
  ])
  const aborted = [
    { producerId: 2, firstOffset: 1 },
    { producerId: 1, firstOffset: 0 },
  ]
  expect(values(bytes, 0, aborted)).toEqual(['z1', 'free', 'y2', 'x3'])
  // Both began before the piece of log that was fetched.
  const from = Buffer.concat([
    batch({ base: 2, values: { 0: 'x' }, lastDelta: 0, producerId: 1, transactional: true }),
    batch({ base: 3, values: { 0: 'y' }, lastDelta: 0, producerId: 2, transactional: true }),
  ])
  expect(values(from, 2, aborted)).toEqual([])
})

test('a piece of log that begins at an abort marker: what the producer wrote after it is given', () => {
  const bytes = Buffer.concat([
    batch({ base: 5, values: { 0: '' }, lastDelta: 0, producerId: 1, control: 'abort' }),
    batch({ base: 6, values: { 0: 'kept' }, lastDelta: 0, producerId: 1, transactional: true }),
    batch({ base: 7, values: { 0: '' }, lastDelta: 0, producerId: 1, control: 'commit' }),
  ])
  expect(values(bytes, 5, [{ producerId: 1, firstOffset: 2 }])).toEqual(['kept'])
})

test('a batch of very many records is decoded', () => {
  const many = Object.fromEntries(Array.from({ length: 150_000 }, (_, i) => [i, 'x']))
  const bytes = batch({ base: 0, values: many, lastDelta: 149_999, codec: 4 })
  expect(decodeBatches(bytes, 0).records).toHaveLength(150_000)
})

test('compression and formats we cannot read are said by name', () => {
  expect(() =>
    decodeBatches(batch({ base: 0, values: { 0: 'a' }, lastDelta: 0, codec: 3 }), 0),
  ).toThrow('lz4')
  const old = batch({ base: 0, values: { 0: 'a' }, lastDelta: 0 })
  old.writeInt8(1, 16)
  expect(() => decodeBatches(old, 0)).toThrow('message format 1')
})
