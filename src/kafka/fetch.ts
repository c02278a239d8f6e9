// One fetch of records (Fetch v13): topics by id, so that a recreated topic is an error at once.

import { accepted } from './error.ts'
import type { AbortedTransaction } from './records.ts'
import { request } from './request.ts'
import type { Request } from './request.ts'
import type { WireReader } from './wire.ts'
import { WireWriter } from './wire.ts'

export interface FetchPart {
  readonly topicId: string
  readonly partition: number
  readonly offset: number
}

export interface FetchAnswer {
  readonly topicId: string
  readonly partition: number
  readonly errorCode: number
  /** The end readers of committed records may see (last stable offset). */
  readonly end: number
  readonly aborted: readonly AbortedTransaction[]
  readonly bytes: Buffer
}

export interface FetchLimits {
  /** How long the broker waits for the first record. */
  readonly maxWaitMs: number
  readonly maxBytes: number
  readonly partBytes: number
}

const READ_COMMITTED = 1

export function fetchOf(parts: readonly FetchPart[], limits: FetchLimits): Request<FetchAnswer[]> {
  const topics = Map.groupBy(parts, (part) => part.topicId)
  const writer = new WireWriter()
  writer.int32(-1).int32(limits.maxWaitMs).int32(1).int32(limits.maxBytes).int8(READ_COMMITTED)
  // No fetch session.
  writer.int32(0).int32(-1)
  writer.compactArray([...topics], ([topicId, ofTopic]) => {
    writer.uuid(topicId)
    writer.compactArray(ofTopic, ({ partition, offset }) =>
      // Leader epoch, last fetched epoch and log start are unknown to us.
      writer
        .int32(partition)
        .int32(-1)
        .int64(offset)
        .int32(-1)
        .int64(-1)
        .int32(limits.partBytes)
        .noTags(),
    )
    writer.noTags()
  })
  writer
    .compactArray([], () => {})
    .compactString('')
    .noTags()
  return request('Fetch', writer, readAnswers)
}

function readAnswers(reader: WireReader): FetchAnswer[] {
  accepted('cannot fetch from Kafka', reader.int16())
  reader.int32()
  return reader
    .compactArray(() => {
      const topicId = reader.uuid()
      const answers = reader.compactArray(() => readPart(reader, topicId))
      reader.tags()
      return answers
    })
    .flat()
}

function readPart(reader: WireReader, topicId: string): FetchAnswer {
  const partition = reader.int32()
  const errorCode = reader.int16()
  reader.int64()
  const end = reader.int64()
  reader.int64()
  const aborted = reader.compactArray(() => {
    const transaction = { producerId: reader.int64(), firstOffset: reader.int64() }
    reader.tags()
    return transaction
  })
  reader.int32()
  const bytes = reader.compactBytes() ?? Buffer.alloc(0)
  reader.tags()
  return { topicId, partition, errorCode, end, aborted, bytes }
}
