// Publishes to one topic: what waits goes together in the next send, and one send is in flight. A
// writer of its own for each topic, so that a topic that is gone fails nobody else.

import type { Clock } from '../../../base/clock.ts'
import { deferred } from '../../../base/async.ts'
import type { Deferred } from '../../../base/async.ts'
import { VarveError } from '../../../base/errors.ts'
import type { Random } from '../../../base/random.ts'
import { KafkaError } from '../../../kafka/error.ts'
import type { KafkaConnection } from '../../../kafka/connect.ts'
import type { WriteRecord } from '../../../kafka/produce.ts'
import { KafkaWriter, SEND_BYTES, SEND_RECORDS } from '../../../kafka/write.ts'
import type { BusMessage } from '../../bus.ts'
import type { TopicKeeper } from './topic-keeper.ts'
import { busError } from './topic-keeper.ts'
import { Trouble } from './trouble.ts'

/** A publish is given up after this time. */
const PATIENCE_MS = 15_000
/** More than this waiting: further publishes fail at once. */
const WAITING_BYTES = 64 * 1024 * 1024

const LATE = new KafkaError('indefinite', 'no broker answered in time')

interface Waiting {
  readonly messages: readonly BusMessage[]
  readonly bytes: number
  readonly untilMs: number
  readonly done: Deferred<void>
}

export class Publisher {
  readonly #topic: string
  readonly #keeper: TopicKeeper
  readonly #clock: Clock
  readonly #writer: KafkaWriter
  readonly #trouble: Trouble
  readonly #closed = new AbortController()
  #waiting: Waiting[] = []
  #bytes = 0
  #running: Promise<void> | undefined

  constructor(options: {
    topic: string
    connection: KafkaConnection
    keeper: TopicKeeper
    clock: Clock
    random: Random
  }) {
    this.#topic = options.topic
    this.#keeper = options.keeper
    this.#clock = options.clock
    this.#writer = new KafkaWriter(options.connection, options.topic)
    this.#trouble = new Trouble(`publishing to "${options.topic}"`, options)
  }

  /** @throws VarveError UNAVAILABLE: it may be there or not; TOO_LARGE: it is not */
  publish(messages: readonly BusMessage[]): Promise<void> {
    if (messages.length === 0) return Promise.resolve()
    const bytes = messages.reduce((sum, { value, key }) => sum + value.length + key.length, 0)
    if (this.#closed.signal.aborted || this.#bytes + bytes > WAITING_BYTES)
      return Promise.reject(
        new VarveError('UNAVAILABLE', `cannot publish to "${this.#topic}": ${this.#why()}`),
      )
    const untilMs = this.#clock.monotonicMs() + PATIENCE_MS
    const done = deferred<void>()
    this.#waiting.push({ messages, bytes, untilMs, done })
    this.#bytes += bytes
    this.#running ??= this.#run()
    return done.promise
  }

  #why(): string {
    return this.#closed.signal.aborted ? 'it was closed' : 'too much waits for the brokers'
  }

  async close(): Promise<void> {
    const enough = new AbortController()
    await Promise.race([this.#running, this.#clock.sleep(2_000, enough.signal)])
    enough.abort()
    this.#closed.abort()
    await this.#running
    this.#writer.abandon()
    await this.#writer.close()
  }

  async #run(): Promise<void> {
    await Promise.resolve() // what is published in this turn goes together
    while (this.#waiting.length > 0) {
      const group = cutGroup(this.#waiting)
      this.#waiting = this.#waiting.slice(group.length)
      await this.#send(group)
      for (const { bytes } of group) this.#bytes -= bytes
    }
    // In the same turn as the look at what waits: who publishes later begins another run.
    this.#running = undefined
  }

  /** Until each of them is answered. */
  async #send(group: readonly Waiting[]): Promise<void> {
    let left = group
    let before: unknown
    while (left.length > 0) {
      const failed = await this.#once(left)
      // Why it failed while there was time says more than that the time is over.
      const error = failed === LATE ? (before ?? LATE) : failed
      before = error
      if (error === undefined) {
        this.#trouble.over()
        for (const { done } of left) done.resolve()
        return
      }
      const definite = error instanceof KafkaError && error.kind === 'too-large'
      if (definite && left.length > 1) {
        // One of them is to blame: each by itself.
        for (const one of left) await this.#send([one])
        return
      }
      const nowMs = this.#clock.monotonicMs()
      const over = (one: Waiting): boolean =>
        definite || this.#closed.signal.aborted || nowMs >= one.untilMs
      for (const one of left)
        if (over(one)) one.done.reject(busError(`cannot publish to "${this.#topic}"`, error))
      left = left.filter((one) => !over(one))
      if (left.length === 0) return
      await this.#trouble.rest(error, this.#closed.signal)
      if (error instanceof KafkaError && error.kind === 'missing')
        await this.#keeper.remake().catch(() => undefined)
    }
  }

  /** @returns why it failed, or that no answer came in time */
  async #once(group: readonly Waiting[]): Promise<unknown> {
    const records = group.flatMap(({ messages }) => messages.map(toRecord))
    const untilMs = Math.min(...group.map((one) => one.untilMs))
    const enough = new AbortController()
    const stop = AbortSignal.any([enough.signal, this.#closed.signal])
    const answer = this.#writer.send(records).then(
      () => undefined,
      (error: unknown) => error,
    )
    const limitMs = Math.max(1, untilMs - this.#clock.monotonicMs())
    const late = this.#clock.sleep(limitMs, stop).then(() => LATE)
    const result = await Promise.race([answer, late])
    enough.abort()
    // A send that hangs would hold up all that come after it.
    if (result === LATE) this.#writer.abandon()
    return result
  }
}

function toRecord({ partition, key, headers, value }: BusMessage): WriteRecord {
  return { partition, key: Buffer.from(key), headers, value }
}

/** The first publishes that fit in one send; at least one. */
function cutGroup(waiting: readonly Waiting[]): readonly Waiting[] {
  let bytes = 0
  let records = 0
  let count = 0
  for (const one of waiting) {
    bytes += one.bytes
    records += one.messages.length
    if (count > 0 && (bytes > SEND_BYTES || records > SEND_RECORDS)) break
    count++
  }
  return waiting.slice(0, count)
}
