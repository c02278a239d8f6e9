// Writes records in order, one send in flight. The client library loses and doubles records when
// sends overlap, when it chooses partitions itself, and when one send is very large; so none of that.

import type { Producer } from 'kafkajs'
import type { KafkaConnection } from './connect.ts'
import { KafkaError } from './error.ts'

export interface WriteRecord {
  readonly partition: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: Readonly<Record<string, string>>
}

/** Offsets of what was written, [from, to), by partition. */
export type Written = Readonly<Record<string, { readonly from: string; readonly to: string }>>

export const SEND_RECORDS = 2_000
export const SEND_BYTES = 900_000
/** The protocol's number of the codec that kafkajs.ts registers. */
const ZSTD = 4
/** What a record weighs beside its bytes. */
const RECORD_OVERHEAD = 64

export class KafkaWriter {
  readonly #connection: KafkaConnection
  readonly #topic: string
  #producer: Producer | undefined
  #tail: Promise<unknown> = Promise.resolve()

  constructor(connection: KafkaConnection, topic: string) {
    this.#connection = connection
    this.#topic = topic
  }

  /**
   * In order, acknowledged by all in-sync replicas. After an error some may be there: `indefinite`
   * for those the broker did not answer for, and the producer is a new one next time.
   * @throws KafkaError indefinite, too-large, missing, denied
   */
  send(records: readonly WriteRecord[]): Promise<Written> {
    const mine = this.#tail.then(() => this.#sendAll(records))
    this.#tail = mine.catch(() => undefined)
    return mine
  }

  async #sendAll(records: readonly WriteRecord[]): Promise<Written> {
    const written: Record<string, { from: string; to: string }> = {}
    for (const batch of cut(records)) {
      for (const [partition, range] of Object.entries(await this.#sendOne(batch)))
        written[partition] = { from: written[partition]?.from ?? range.from, to: range.to }
    }
    return written
  }

  async #sendOne(records: readonly WriteRecord[]): Promise<Written> {
    try {
      const producer = await this.#connected()
      const counts = Map.groupBy(records, (record) => record.partition)
      const answers = await producer.send({
        topic: this.#topic,
        acks: -1,
        compression: ZSTD,
        messages: records.map(toMessage),
      })
      return Object.fromEntries(
        answers.map(({ partition, baseOffset }) => {
          const count = BigInt(counts.get(partition)?.length ?? 0)
          const to = String(BigInt(baseOffset ?? '0') + count)
          return [String(partition), { from: baseOffset ?? '0', to }]
        }),
      )
    } catch (error) {
      // Not waited for: it may hold on to a request that nobody answers.
      void this.#discard()
      const known = KafkaError.from(`cannot write to topic "${this.#topic}"`, error)
      throw known.kind === 'lost' ? new KafkaError('indefinite', known.message, error) : known
    }
  }

  async #connected(): Promise<Producer> {
    if (this.#producer) return this.#producer
    const producer = this.#connection.client.producer({
      allowAutoTopicCreation: false,
      idempotent: false,
      maxInFlightRequests: 1,
      createPartitioner: () => explicitPartition,
      // A retry inside the library could double records behind our back: at most the connection's.
      retry: { retries: 2, initialRetryTime: 100, maxRetryTime: 1_000 },
    })
    await producer.connect()
    this.#producer = producer
    return producer
  }

  async #discard(): Promise<void> {
    const producer = this.#producer
    this.#producer = undefined
    await producer?.disconnect().catch(() => undefined)
  }

  /** After what was sent is answered. */
  async close(): Promise<void> {
    await this.#tail
    await this.#discard()
  }
}

function explicitPartition({ message }: { message: { partition?: number } }): number {
  if (message.partition === undefined) throw new KafkaError('lost', 'a record without a partition')
  return message.partition
}

function toMessage(record: WriteRecord): {
  partition: number
  key: Buffer | null
  value: Buffer | null
  headers: Record<string, string>
} {
  return {
    partition: record.partition,
    key: record.key === null ? null : asBuffer(record.key),
    value: record.value === null ? null : asBuffer(record.value),
    headers: { ...record.headers },
  }
}

/** The same bytes, not copied. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Runs of at most SEND_RECORDS and SEND_BYTES; a larger record goes alone. */
export function* cut(records: readonly WriteRecord[]): Generator<readonly WriteRecord[]> {
  let run: WriteRecord[] = []
  let bytes = 0
  for (const record of records) {
    const size = (record.key?.length ?? 0) + (record.value?.length ?? 0) + RECORD_OVERHEAD
    if (run.length > 0 && (run.length === SEND_RECORDS || bytes + size > SEND_BYTES)) {
      yield run
      run = []
      bytes = 0
    }
    run.push(record)
    bytes += size
  }
  if (run.length > 0) yield run
}
