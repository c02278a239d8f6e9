// Reads partitions from positions the caller keeps. Invariants:
// - batches of one partition are consecutive: each begins where the one before ended;
// - nothing is skipped in silence: a position the broker no longer keeps ends the reading with the
//   gap's two ends, a recreated topic ends it as such;
// - what is fetched and not yet taken stays under a byte budget: taking is what fetches on.

import { Signal } from '../base/async.ts'
import { systemClock } from '../base/clock.ts'
import { topicOffsets } from './admin.ts'
import type { Brokers, KafkaConnection } from './connect.ts'
import { CODE, KafkaError, Refused } from './error.ts'
import { fetchOf } from './fetch.ts'
import type { FetchAnswer } from './fetch.ts'
import { decodeBatches } from './records.ts'
import type { KafkaRecord } from './records.ts'

export interface ReadFrom {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** The first offset wanted. */
  readonly offset: number
}

export interface ReadBatch {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** Where this reading began, and where the next begins; records lie in between, maybe with holes. */
  readonly from: number
  readonly to: number
  readonly records: readonly KafkaRecord[]
  /** What the records weigh in memory, about. */
  readonly bytes: number
  /** The partition's end for committed records at the time of the fetch. */
  readonly end: number
}

/** The caller's position lies before what the broker keeps, or behind its end. */
export class OutOfRange extends KafkaError {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly offset: number
  readonly start: number
  readonly end: number

  constructor(part: ReadFrom, start: number, end: number) {
    super(
      'out-of-range',
      `cannot read ${part.topic}/${part.partition} at ${part.offset}: the broker keeps ${start} to ${end}`,
    )
    this.topic = part.topic
    this.topicId = part.topicId
    this.partition = part.partition
    this.offset = part.offset
    this.start = start
    this.end = end
  }
}

export interface ReadOptions {
  /** Fetched and not yet taken, in memory; default 32 MiB. One answer may go beyond it. */
  readonly bufferBytes?: number
  /** Default 250 ms. */
  readonly maxWaitMs?: number
  /** Asked before each fetch; a part it refuses is left out of it and asked about again soon. */
  readonly wanted?: (part: ReadFrom) => boolean
  /** A broker answered a fetch as it should, with records or without. */
  readonly onAnswer?: () => void
}

const MAX_WAIT_MS = 250
const FETCH_BYTES = 4 * 1024 * 1024
/** Asked for of one partition: so much that it weighs about this once decoded. */
const PART_WEIGHT = 8 * 1024 * 1024
const MIN_PART_BYTES = 32 * 1024
const MAX_PART_BYTES = 1024 * 1024
/** Errors a metadata refresh mends are tried again so often before they are the caller's. */
const TRIES = 20
const TRY_AFTER_MS = 250
/** So long the others are read before it is asked again who leads a partition that nobody led. */
const LEADERLESS_MS = 500
const MISSES = 4
/** A part that is not wanted now may be in a moment: the others are not waited for longer. */
const UNWANTED_WAIT_MS = 10

/**
 * Batches as they come, until the signal. One fetch is in flight a broker.
 * @throws OutOfRange, KafkaError recreated, missing, denied, unsupported, lost
 */
export async function* readPartitions(
  connection: KafkaConnection,
  from: readonly ReadFrom[],
  signal: AbortSignal,
  options: ReadOptions = {},
): AsyncGenerator<ReadBatch> {
  const buffer = new Buffered(options.bufferBytes ?? 32 * 1024 * 1024)
  const stop = new AbortController()
  const end = (): void => {
    stop.abort()
    buffer.wake()
  }
  if (signal.aborted) return
  signal.addEventListener('abort', end)
  const brokers = connection.brokers()
  const reader = new Reader(connection, brokers, from, buffer, stop.signal, options)
  const running = reader.run().catch((error: unknown) => buffer.fail(error))
  try {
    while (!signal.aborted) {
      const batch = await buffer.take()
      if (signal.aborted) return
      if (batch) yield batch
    }
  } finally {
    signal.removeEventListener('abort', end)
    end()
    brokers.close()
    await running
  }
}

interface Held {
  readonly part: ReadFrom
  next: number
  /** Answers in a row that said there is no such topic. */
  misses: number
}

/** From one look at the leaders to the next. */
interface Round {
  over: boolean
  readonly untilMs: number
}

class Reader {
  readonly #connection: KafkaConnection
  readonly #brokers: Brokers
  readonly #buffer: Buffered
  readonly #signal: AbortSignal
  readonly #options: ReadOptions
  /** Position by part; only its leader's loop touches it. */
  readonly #parts: Map<string, Held>
  /** By topic and partition. */
  #leaders: ReadonlyMap<string, number> = new Map()
  #tries = 0
  /** Why the last round ended. */
  #why: KafkaError | undefined
  /** How much heavier records are decoded than on the wire, lately; compression makes it large. */
  #weightRatio = 32

  constructor(
    connection: KafkaConnection,
    brokers: Brokers,
    from: readonly ReadFrom[],
    buffer: Buffered,
    signal: AbortSignal,
    options: ReadOptions,
  ) {
    this.#connection = connection
    this.#brokers = brokers
    this.#buffer = buffer
    this.#signal = signal
    this.#options = options
    this.#parts = new Map(from.map((part) => [key(part), { part, next: part.offset, misses: 0 }]))
  }

  /** Fetches round after round; leaders may change between rounds, so each asks again who leads. */
  async run(): Promise<void> {
    while (!this.#signal.aborted) {
      await this.#askWhoLeads()
      const byLeader = Map.groupBy(this.#parts.values(), ({ part }) => this.#leader(part))
      const [leaderless] = byLeader.get(-1) ?? []
      byLeader.delete(-1)
      if (leaderless) this.#why = refused(leaderless.part, CODE.leaderNotAvailable)
      const limitMs = leaderless ? LEADERLESS_MS : Number.POSITIVE_INFINITY
      const round = { over: false, untilMs: systemClock.monotonicMs() + limitMs }
      try {
        await Promise.all(
          [...byLeader].map(([leader, parts]) => this.#rounds(round, leader, parts)),
        )
      } finally {
        // Others that went on filling the buffer would keep the error from ever being met.
        round.over = true
      }
      if (this.#signal.aborted) return
      if (++this.#tries > TRIES && this.#why) throw this.#why
      await systemClock.sleep(TRY_AFTER_MS, this.#signal)
    }
  }

  #leader({ topic, partition }: ReadFrom): number {
    return this.#leaders.get(`${topic}/${partition}`) ?? -1
  }

  async #askWhoLeads(): Promise<void> {
    const names = [...new Set([...this.#parts.values()].map(({ part }) => part.topic))]
    const { topics } = await this.#connection.metadata(names)
    const leaders = new Map<string, number>()
    for (const [name, topic] of topics) {
      if (topic instanceof KafkaError) {
        if (topic.kind === 'missing' ? this.#missed(name) : topic.kind !== 'lost') throw topic
        continue
      }
      for (const { partition, leader } of topic.partitions)
        leaders.set(`${topic.name}/${partition}`, leader)
    }
    this.#leaders = leaders
  }

  /** Whether a topic is gone: it may be unknown for a moment, to a broker that lags. */
  #missed(name: string): boolean {
    const parts = [...this.#parts.values()].filter(({ part }) => part.topic === name)
    for (const held of parts) held.misses++
    return parts.some(({ misses }) => misses > MISSES)
  }

  /** Fetches from one broker until some broker's answer asks for fresh metadata. */
  async #rounds(round: Round, leader: number, parts: readonly Held[]): Promise<void> {
    let rotate = 0
    const isOver = (): boolean => round.over || systemClock.monotonicMs() >= round.untilMs
    while (!this.#signal.aborted && !isOver()) {
      // The broker fills its answer from the front: take turns at being first.
      rotate = (rotate + 1) % parts.length
      const turn = [...parts.slice(rotate), ...parts.slice(0, rotate)].filter(({ part }) =>
        this.#wanted(part),
      )
      if (turn.length === 0) {
        await systemClock.sleep(UNWANTED_WAIT_MS, this.#signal)
        continue
      }
      let answers: FetchAnswer[]
      try {
        answers = await this.#fetch(leader, turn, turn.length < parts.length)
      } catch (error) {
        round.over = true
        this.#why = KafkaError.from('cannot read from Kafka', error)
        if (this.#why.kind !== 'lost') throw this.#why
        return
      }
      for (const answer of answers) if (!(await this.#accept(answer))) round.over = true
      if (!round.over) this.#options.onAnswer?.()
      await this.#buffer.room(this.#signal)
    }
  }

  #fetch(leader: number, turn: readonly Held[], some: boolean): Promise<FetchAnswer[]> {
    const maxWaitMs = some ? UNWANTED_WAIT_MS : (this.#options.maxWaitMs ?? MAX_WAIT_MS)
    const parts = turn.map(({ part, next }) => ({ ...part, offset: next }))
    const limits = { maxWaitMs, maxBytes: FETCH_BYTES, partBytes: this.#partBytes() }
    const limitMs = maxWaitMs + this.#connection.requestTimeoutMs
    return this.#brokers.ask(leader, fetchOf(parts, limits), limitMs)
  }

  #wanted(part: ReadFrom): boolean {
    return this.#options.wanted?.(part) ?? true
  }

  /** False: metadata is stale. */
  async #accept(answer: FetchAnswer): Promise<boolean> {
    const held = this.#parts.get(key(answer))
    if (!held) return true
    const { part, next } = held
    switch (answer.errorCode) {
      case CODE.none:
        break
      case CODE.offsetOutOfRange:
        throw await this.#outOfRange({ ...part, offset: next })
      case CODE.unknownTopicId:
      case CODE.inconsistentTopicId:
      case CODE.unknownTopic:
        // Also said for a moment after creation and by a broker that lags: asked again before it counts.
        if (++held.misses > MISSES)
          throw new KafkaError(
            'recreated',
            `cannot read topic "${part.topic}": the topic with id ${part.topicId} is no longer there`,
          )
        return false
      case CODE.topicDenied:
        throw refused(part, answer.errorCode)
      default:
        this.#why = refused(part, answer.errorCode)
        return false
    }
    this.#tries = 0
    held.misses = 0
    const { records, next: to, bytes } = decodeBatches(answer.bytes, next, answer.aborted)
    if (to === next) return true
    this.#weightRatio += (bytes / answer.bytes.length - this.#weightRatio) / 4
    held.next = to
    this.#buffer.push({
      topic: part.topic,
      topicId: part.topicId,
      partition: part.partition,
      from: next,
      to,
      records,
      bytes,
      end: answer.end,
    })
    return true
  }

  #partBytes(): number {
    const bytes = Math.round(PART_WEIGHT / this.#weightRatio)
    return Math.max(MIN_PART_BYTES, Math.min(MAX_PART_BYTES, bytes))
  }

  /** The broker's refusal does not say what it keeps. */
  async #outOfRange(part: ReadFrom): Promise<OutOfRange> {
    const ranges = await topicOffsets(this.#connection, part.topic)
    const range = ranges.find(({ partition }) => partition === part.partition)
    return new OutOfRange(part, range?.start ?? 0, range?.end ?? 0)
  }
}

/** Fetched batches waiting to be taken. */
class Buffered {
  readonly #limit: number
  readonly #batches: ReadBatch[] = []
  readonly #filled = new Signal()
  readonly #emptied = new Signal()
  #bytes = 0
  #failed: { readonly error: unknown } | undefined

  constructor(limit: number) {
    this.#limit = limit
  }

  push(batch: ReadBatch): void {
    this.#batches.push(batch)
    this.#bytes += batch.bytes
    this.#filled.ring()
  }

  fail(error: unknown): void {
    this.#failed = { error }
    this.#filled.ring()
  }

  wake(): void {
    this.#filled.ring()
    this.#emptied.ring()
  }

  /** The next batch; undefined after `wake`. A failure comes after what was fetched before it. */
  async take(): Promise<ReadBatch | undefined> {
    if (this.#batches.length === 0 && !this.#failed) await this.#filled.wait()
    const batch = this.#batches.shift()
    if (batch) {
      this.#bytes -= batch.bytes
      this.#emptied.ring()
      return batch
    }
    if (this.#failed) throw this.#failed.error
    return undefined
  }

  async room(signal: AbortSignal): Promise<void> {
    while (this.#bytes >= this.#limit && !signal.aborted) await this.#emptied.wait()
  }
}

function refused({ topic, partition }: ReadFrom, code: number): Refused {
  return new Refused(`cannot read ${topic}/${partition}`, code)
}

function key(part: { readonly topicId: string; readonly partition: number }): string {
  return `${part.topicId}/${part.partition}`
}
