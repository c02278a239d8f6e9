// Writes records in order, one send in flight, to partitions the caller chose.

import { systemClock } from '../base/clock.ts'
import type { Brokers, KafkaConnection } from './connect.ts'
import { describeTopics } from './admin.ts'
import { CODE, KafkaError, Refused } from './error.ts'
import { encodeBatch, produceOf } from './produce.ts'
import type { PartitionAnswer, WriteRecord } from './produce.ts'

/** Offsets of what was written, [from, to), by partition. */
export type Written = Record<string, { readonly from: string; readonly to: string }>

export const SEND_RECORDS = 2_000
export const SEND_BYTES = 900_000
/** What a record weighs beside its bytes. */
const RECORD_OVERHEAD = 64
/** A partition that was surely not written, because its leader moved, is tried again so often. */
const TRIES = 5
const TRY_AFTER_MS = 100
/** A broker that gives up by itself is waited for a little longer. */
const GRACE_MS = 1_000

export class KafkaWriter {
  readonly #connection: KafkaConnection
  readonly #topic: string
  readonly #brokers: Brokers
  /** By partition; undefined: to be asked for. */
  #leaders: ReadonlyMap<number, number> | undefined
  #tail: Promise<unknown> = Promise.resolve()
  #abandoned = new AbortController()

  constructor(connection: KafkaConnection, topic: string) {
    this.#connection = connection
    this.#topic = topic
    this.#brokers = connection.brokers()
  }

  /**
   * In order, acknowledged by all in-sync replicas. After an error some may be there: `indefinite`
   * for those the broker did not answer for.
   * @throws KafkaError indefinite, too-large, missing, denied
   */
  send(records: readonly WriteRecord[]): Promise<Written> {
    const mine = this.#tail.then(() => this.#sendAll(records))
    this.#tail = mine.catch(() => undefined)
    return mine
  }

  async #sendAll(records: readonly WriteRecord[]): Promise<Written> {
    const { signal } = this.#abandoned
    const written: Written = {}
    for (const run of cut(records)) await this.#sendRun(run, written, signal)
    return written
  }

  /** @param written is added to */
  async #sendRun(
    records: readonly WriteRecord[],
    written: Written,
    signal: AbortSignal,
  ): Promise<void> {
    const byPartition = Map.groupBy(records, ({ partition }) => partition)
    const nowMs = systemClock.nowMs()
    const batches = new Map(
      [...byPartition].map(([partition, own]) => [partition, encodeBatch(own, nowMs)]),
    )
    const halved: WriteRecord[][] = []
    try {
      for (let attempt = 0; batches.size > 0; attempt++) {
        if (attempt > 0) await systemClock.sleep(TRY_AFTER_MS * attempt, signal)
        for (const { partition, code, offset, words } of await this.#produce(batches, signal)) {
          const own = byPartition.get(partition) ?? []
          const divisible = TOO_LARGE.has(code) && own.length > 1
          if (code !== CODE.none && !divisible) {
            this.#leaders = undefined
            // An offset beside the refusal: it was written before the broker lost its lead.
            if (NOT_WRITTEN.has(code) && offset < 0 && attempt < TRIES) continue
            throw new Refused(`cannot write to topic "${this.#topic}"`, code, words)
          }
          batches.delete(partition)
          if (code !== CODE.none) {
            halved.push(own)
            continue
          }
          const from = written[partition]?.from ?? String(offset)
          written[partition] = { from, to: String(offset + own.length) }
        }
      }
      for (const own of halved) {
        const half = own.length >> 1
        await this.#sendRun(own.slice(0, half), written, signal)
        await this.#sendRun(own.slice(half), written, signal)
      }
    } catch (error) {
      this.#leaders = undefined
      const known = KafkaError.from(`cannot write to topic "${this.#topic}"`, error)
      throw known.kind === 'lost' ? new KafkaError('indefinite', known.message, error) : known
    }
  }

  /** Each batch to the one who leads its partition. */
  async #produce(
    batches: ReadonlyMap<number, Buffer>,
    signal: AbortSignal,
  ): Promise<PartitionAnswer[]> {
    this.#leaders ??= await this.#lookUp()
    if (signal.aborted) throw new KafkaError('lost', 'the send was abandoned')
    const leaders = this.#leaders
    const byLeader = Map.groupBy(batches, ([partition]) => leaders.get(partition) ?? -1)
    const limitMs = this.#connection.requestTimeoutMs
    const answers = await Promise.allSettled(
      [...byLeader].map(async ([leader, own]) => {
        if (leader === -1) return own.map(([partition]) => noLeader(partition))
        const asked = produceOf(this.#topic, new Map(own), limitMs)
        return this.#brokers.ask(leader, asked, limitMs + GRACE_MS)
      }),
    )
    // Only once all have answered: one send is in flight.
    return answers.flatMap((answer) => {
      if (answer.status === 'rejected') throw answer.reason
      return answer.value
    })
  }

  async #lookUp(): Promise<ReadonlyMap<number, number>> {
    const [topic] = await describeTopics(this.#connection, [this.#topic])
    return new Map(topic?.partitions.map(({ partition, leader }) => [partition, leader]))
  }

  /** What is in flight fails; later sends begin on new connections. */
  abandon(): void {
    this.#leaders = undefined
    this.#abandoned.abort()
    this.#abandoned = new AbortController()
    this.#brokers.reset()
  }

  /** After what was sent is answered. */
  async close(): Promise<void> {
    await this.#tail
    this.#brokers.close()
  }
}

/** The broker took nothing of it, and another one may. */
const NOT_WRITTEN: ReadonlySet<number> = new Set([
  CODE.unknownTopic,
  CODE.leaderNotAvailable,
  CODE.notLeader,
  CODE.notEnoughReplicas,
])

/** Of a batch, not of a record: topics may take less at once than we send. */
const TOO_LARGE: ReadonlySet<number> = new Set([CODE.messageTooLarge, CODE.recordListTooLarge])

function noLeader(partition: number): PartitionAnswer {
  return { partition, code: CODE.leaderNotAvailable, offset: -1, words: null }
}

/** Runs of at most SEND_RECORDS and SEND_BYTES; a larger record goes alone. */
export function* cut(records: readonly WriteRecord[]): Generator<readonly WriteRecord[]> {
  let run: WriteRecord[] = []
  let bytes = 0
  for (const record of records) {
    let size = (record.key?.length ?? 0) + (record.value?.length ?? 0) + RECORD_OVERHEAD
    for (const [name, value] of Object.entries(record.headers ?? {}))
      size += Buffer.byteLength(name) + Buffer.byteLength(value)
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
