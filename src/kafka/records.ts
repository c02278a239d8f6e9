// Record batches (message format 2) as a broker keeps them, decoded without the client library:
// - the position after a batch is known even when compaction or a transaction emptied it;
// - aborted records are left out by the rule the broker's own client uses: a producer's records from
//   the first offset of an aborted transaction until that producer's abort marker.

import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { KafkaError } from './error.ts'
import { WireReader } from './wire.ts'

export interface KafkaRecord {
  readonly offset: number
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [string, Buffer | null])[]
}

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

export interface Decoded {
  readonly records: readonly KafkaRecord[]
  /** Behind the last whole batch; `from` when there was none. */
  readonly next: number
  /** What the records weigh in memory, about; compressed ones far more than they did on the wire. */
  readonly bytes: number
}

const HEADER_BYTES = 61
const CONTROL = 0x20
const TRANSACTIONAL = 0x10
const APPEND_TIME = 0x08
/** Objects and views of one decoded record. */
const RECORD_OVERHEAD = 400
const NO_HEADERS: readonly (readonly [string, Buffer | null])[] = []

/** Whole batches of a fetched piece of log, records at or after `from`; a partial tail is left. */
export function decodeBatches(
  bytes: Buffer,
  from: number,
  aborted: readonly AbortedTransaction[] = [],
): Decoded {
  const records: KafkaRecord[] = []
  const abortedBy = new AbortedProducers(aborted)
  let next = from
  let weight = 0
  let at = 0
  while (bytes.length - at >= HEADER_BYTES) {
    const size = bytes.readInt32BE(at + 8)
    if (at + 12 + size > bytes.length) break
    const batch = readBatch(bytes.subarray(at, at + 12 + size))
    at += 12 + size
    weight += batch.bytes + batch.records.length * RECORD_OVERHEAD
    next = Math.max(next, batch.lastOffset + 1)
    abortedBy.pass(batch.lastOffset)
    if (batch.control) {
      if (isAbortMarker(batch.records[0])) abortedBy.end(batch.producerId)
      continue
    }
    if (batch.transactional && abortedBy.has(batch.producerId)) continue
    for (const record of batch.records) if (record.offset >= from) records.push(record)
  }
  return { records, next, bytes: weight }
}

/** Who is inside an aborted transaction as the offsets pass. */
class AbortedProducers {
  readonly #waiting: AbortedTransaction[]
  readonly #now = new Set<number>()

  constructor(aborted: readonly AbortedTransaction[]) {
    // Not sorted by the broker; popped as their first offsets are passed, however many at once.
    this.#waiting = aborted.toSorted((a, b) => b.firstOffset - a.firstOffset)
  }

  /** Also for a marker: the fetch may begin at it, with all it aborted before. */
  pass(upTo: number): void {
    for (
      let next = this.#waiting.at(-1);
      next && next.firstOffset <= upTo;
      next = this.#waiting.at(-1)
    ) {
      this.#now.add(next.producerId)
      this.#waiting.pop()
    }
  }

  has(producerId: number): boolean {
    return this.#now.has(producerId)
  }

  end(producerId: number): void {
    this.#now.delete(producerId)
  }
}

interface Batch {
  readonly lastOffset: number
  readonly producerId: number
  readonly control: boolean
  readonly transactional: boolean
  /** Decompressed. */
  readonly bytes: number
  readonly records: readonly KafkaRecord[]
}

function readBatch(bytes: Buffer): Batch {
  const reader = new WireReader(bytes)
  const baseOffset = reader.int64()
  reader.int32()
  reader.int32()
  const magic = reader.int8()
  if (magic !== 2)
    throw new KafkaError('unsupported', `cannot read records of message format ${magic}: only 2`)
  reader.int32()
  const attributes = reader.int16()
  const lastOffset = baseOffset + reader.int32()
  const firstTimestamp = reader.int64()
  const maxTimestamp = reader.int64()
  const producerId = reader.int64()
  reader.int16()
  reader.int32()
  const count = reader.int32()
  const appendTime = (attributes & APPEND_TIME) !== 0
  const body = new WireReader(decompress(attributes & 7, bytes.subarray(reader.at)))
  const records: KafkaRecord[] = []
  for (let i = 0; i < count; i++) {
    const end = body.varint() + body.at
    body.int8()
    const timestampMs = firstTimestamp + body.varint()
    const offset = baseOffset + body.varint()
    const key = readBytes(body)
    const value = readBytes(body)
    const headers = readHeaders(body)
    if (body.at !== end) throw new KafkaError('unsupported', `cannot read the record at ${offset}`)
    records.push({
      offset,
      timestampMs: appendTime ? maxTimestamp : timestampMs,
      key,
      value,
      headers,
    })
  }
  return {
    lastOffset,
    producerId,
    control: (attributes & CONTROL) !== 0,
    transactional: (attributes & TRANSACTIONAL) !== 0,
    bytes: body.bytes.length,
    records,
  }
}

function readBytes(reader: WireReader): Buffer | null {
  const size = reader.varint()
  return size < 0 ? null : reader.take(size)
}

function readHeaders(reader: WireReader): KafkaRecord['headers'] {
  const count = reader.varint()
  if (count <= 0) return NO_HEADERS
  const headers: [string, Buffer | null][] = []
  for (let i = 0; i < count; i++)
    headers.push([reader.take(reader.varint()).toString(), readBytes(reader)])
  return headers
}

function decompress(codec: number, bytes: Buffer): Buffer {
  switch (codec) {
    case 0:
      return bytes
    case 1:
      return gunzipSync(bytes)
    case 4:
      return zstdDecompressSync(bytes)
    default: {
      const name = codec === 2 ? 'snappy' : codec === 3 ? 'lz4' : `codec ${codec}`
      throw new KafkaError(
        'unsupported',
        `cannot read records compressed with ${name}: only gzip and zstd`,
      )
    }
  }
}

/** A control record's key is {version int16, type int16}; type 0 aborts, 1 commits. */
function isAbortMarker(record: KafkaRecord | undefined): boolean {
  return record?.key?.readInt16BE(2) === 0
}
