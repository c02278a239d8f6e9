// Everything published to one topic from about now on, for all who listen in this process: one
// reading, no group. A listener that is slow loses its own messages and holds nobody up.

import type { Clock } from '../../../base/clock.ts'
import { deferred } from '../../../base/async.ts'
import type { Random } from '../../../base/random.ts'
import { topicOffsets } from '../../../kafka/admin.ts'
import type { KafkaConnection } from '../../../kafka/connect.ts'
import type { TopicMetadata } from '../../../kafka/metadata.ts'
import { OutOfRange, readPartitions } from '../../../kafka/read.ts'
import type { ReadBatch } from '../../../kafka/read.ts'
import type { BusMessage } from '../../bus.ts'
import { say } from './diagnostics.ts'
import { Handing } from './handing.ts'
import type { Handler } from './handing.ts'
import { messageOf } from './message.ts'
import type { TopicKeeper } from './topic-keeper.ts'
import { Trouble } from './trouble.ts'

/** A listener with more than this waiting loses what comes. */
const LISTENER_BYTES = 32 * 1024 * 1024

interface Listener {
  readonly handing: Handing
  losing: boolean
}

export interface TailOptions {
  readonly topic: string
  readonly connection: KafkaConnection
  readonly keeper: TopicKeeper
  readonly clock: Clock
  readonly random: Random
}

export class TopicTail {
  readonly #options: TailOptions
  readonly #listeners = new Set<Listener>()
  readonly #stop = new AbortController()
  readonly #standing = deferred<void>()
  readonly #trouble: Trouble
  readonly #running: Promise<void>
  /** Next offsets, of the topic with this id. */
  #topicId: string | undefined
  readonly #next = new Map<number, number>()
  #seenMs: number
  #stands = false

  constructor(options: TailOptions) {
    this.#options = options
    this.#seenMs = options.clock.monotonicMs()
    this.#trouble = new Trouble(`listening to "${options.topic}"`, options)
    this.#running = this.#run()
  }

  /** When a broker last answered, by the monotonic clock. */
  get seenMs(): number {
    return this.#seenMs
  }

  get empty(): boolean {
    return this.#listeners.size === 0
  }

  /** Whether what is published now is heard; `standing` resolves then. */
  get stands(): boolean {
    return this.#stands
  }

  get standing(): Promise<void> {
    return this.#standing.promise
  }

  /** @returns ends the listening: no call begins after it */
  listen(handler: Handler): () => void {
    const listener = { handing: new Handing(handler, this.#options.clock), losing: false }
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
      listener.handing.close()
    }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#standing.resolve()
    for (const { handing } of this.#listeners) handing.close()
    this.#listeners.clear()
    await this.#running
  }

  async #run(): Promise<void> {
    const { topic, connection, keeper, clock } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        const described = await keeper.describe(topic)
        await this.#begin(described)
        this.#stands = true
        this.#standing.resolve()
        const from = [...this.#next].map(([partition, offset]) => ({
          topic,
          topicId: described.id,
          partition,
          offset,
        }))
        const onAnswer = (): void => {
          this.#seenMs = clock.monotonicMs()
          this.#trouble.over()
        }
        for await (const batch of readPartitions(connection, from, signal, { onAnswer }))
          this.#spread(batch)
      } catch (error) {
        if (error instanceof OutOfRange) this.#skip(error)
        await this.#trouble.rest(error, signal)
      }
    }
  }

  /** From the end; a topic made anew, or a partition that came, from its beginning. */
  async #begin({ id, name, partitions }: TopicMetadata): Promise<void> {
    const first = this.#topicId === undefined
    if (this.#topicId !== id) this.#next.clear()
    if (partitions.every(({ partition }) => this.#next.has(partition))) return
    for (const { partition, start, end } of await topicOffsets(this.#options.connection, name))
      if (!this.#next.has(partition)) this.#next.set(partition, first ? end : start)
    if (!first && this.#topicId !== id)
      say('anomaly', { what: 'a topic was deleted and made anew', topic: name })
    this.#topicId = id
  }

  #skip({ topic, partition, offset, start, end }: OutOfRange): void {
    const to = offset < start ? start : end
    say('anomaly', { what: 'messages are gone from the broker', topic, partition, offset, to })
    this.#next.set(partition, to)
  }

  #spread(batch: ReadBatch): void {
    const { partition, to, bytes } = batch
    this.#next.set(partition, to)
    if (batch.records.length === 0) return
    const messages: BusMessage[] = batch.records.map((record) => messageOf(partition, record))
    for (const listener of this.#listeners) {
      const { handing } = listener
      if (handing.next(partition) === undefined) handing.begin(partition, batch.from)
      const full = handing.bytes + bytes > LISTENER_BYTES && handing.bytes > 0
      if (full && !listener.losing)
        say('anomaly', { what: 'a listener is too slow and loses messages', topic: batch.topic })
      listener.losing = full
      if (!full) handing.push(partition, { to, messages, bytes })
    }
  }
}
