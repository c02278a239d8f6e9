// Writing records: a batch of message format 2 for each partition, and the request that carries them.

import { constants, zstdCompressSync } from 'node:zlib'
import { crc32c } from './crc32c.ts'
import type { Request } from './request.ts'
import type { WireReader } from './wire.ts'
import { WireWriter } from './wire.ts'

export interface WriteRecord {
  readonly partition: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: Readonly<Record<string, string>>
}

export interface PartitionAnswer {
  readonly partition: number
  /** Of the protocol; 0: all of it is written. */
  readonly code: number
  /** Of the first record. */
  readonly offset: number
  readonly words: string | null
}

const ALL_IN_SYNC = -1

/** @param batches by partition, of `encodeBatch` @param limitMs for the brokers to agree */
export function produceOf(
  topic: string,
  batches: ReadonlyMap<number, Buffer>,
  limitMs: number,
): Request<PartitionAnswer[]> {
  const writer = new WireWriter().compactString(null).int16(ALL_IN_SYNC).int32(limitMs)
  writer.compactArray([topic], (name) => {
    writer.compactString(name)
    writer
      .compactArray([...batches], ([partition, batch]) =>
        writer.int32(partition).compactBytes(batch).noTags(),
      )
      .noTags()
  })
  writer.noTags()
  return {
    api: 'Produce',
    body: writer.bytes(),
    read: (reader, throttled) => {
      const topics = reader.compactArray(() => {
        reader.compactString()
        const answers = reader.compactArray(() => readAnswer(reader))
        reader.tags()
        return answers
      })
      throttled(reader.int32())
      return topics.flat()
    },
  }
}

function readAnswer(reader: WireReader): PartitionAnswer {
  const partition = reader.int32()
  const code = reader.int16()
  const offset = reader.int64()
  reader.int64()
  reader.int64()
  reader.compactArray(() => {
    reader.int32()
    reader.compactString()
    reader.tags()
  })
  const words = reader.compactString()
  reader.tags()
  return { partition, code, offset, words }
}

const MAGIC = 2
const ZSTD = 4
/** Between the length of a batch and what its checksum covers. */
const UNSUMMED_BYTES = 9
/** Smaller batches are not worth the compressor's call. */
const COMPRESS_FROM_BYTES = 1_024
const COMPRESSION = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

/** The records of one partition, in order, as the broker will keep them. */
export function encodeBatch(records: readonly WriteRecord[], nowMs: number): Buffer {
  const plain = new WireWriter()
  for (const [i, record] of records.entries()) encodeRecord(plain, record, i)
  const body = plain.bytes()
  const packed = body.length < COMPRESS_FROM_BYTES ? body : zstdCompressSync(body, COMPRESSION)
  const compressed = packed.length < body.length
  const kept = compressed ? packed : body
  const rest = new WireWriter()
    .int16(compressed ? ZSTD : 0)
    .int32(records.length - 1)
    .int64(nowMs)
    .int64(nowMs)
  // No producer id, epoch and sequence: resending is the caller's matter.
  rest.int64(-1).int16(-1).int32(-1).int32(records.length).raw(kept)
  const summed = rest.bytes()
  const frame = new WireWriter().int64(0).int32(UNSUMMED_BYTES + summed.length)
  return frame.int32(-1).int8(MAGIC).int32(crc32c(summed)).raw(summed).bytes()
}

function encodeRecord(writer: WireWriter, record: WriteRecord, delta: number): void {
  const headers = Object.entries(record.headers ?? {}).map(
    ([name, value]) => [Buffer.from(name), Buffer.from(value)] as const,
  )
  let size = 2 + varintBytes(delta) + varintBytes(headers.length)
  size += sizeOf(record.key) + sizeOf(record.value)
  for (const [name, value] of headers) size += sizeOf(name) + sizeOf(value)
  // Attributes and the difference to the batch's time are 0.
  writer.varint(size).int8(0).varint(0).varint(delta)
  field(writer, record.key)
  field(writer, record.value)
  writer.varint(headers.length)
  for (const [name, value] of headers) {
    field(writer, name)
    field(writer, value)
  }
}

function field(writer: WireWriter, bytes: Uint8Array | null): void {
  if (bytes === null) writer.varint(-1)
  else writer.varint(bytes.length).raw(bytes)
}

function sizeOf(bytes: Uint8Array | null): number {
  return bytes === null ? 1 : varintBytes(bytes.length) + bytes.length
}

/** Of a value that is not negative. */
function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = 2 * value; rest >= 0x80; rest = Math.floor(rest / 128)) bytes++
  return bytes
}
