// Messages over Kafka. What Kafka's transactions, idempotence and groups promise is not relied on:
// messages may come twice, or not at all, and the port says so.

import { assert } from '../../../base/assert.ts'
import type { Clock } from '../../../base/clock.ts'
import { VarveError } from '../../../base/errors.ts'
import { systemRandom } from '../../../base/random.ts'
import type { Random } from '../../../base/random.ts'
import { KafkaConnection } from '../../../kafka/connect.ts'
import type { KafkaOptions } from '../../../kafka/connect.ts'
import type { Bus, BusMessage, Subscription } from '../../bus.ts'
import { TOPIC_SPECS } from '../../topics.ts'
import type { TopicSpec } from '../../topics.ts'
import { GroupSubscription } from './group.ts'
import type { Handler } from './handing.ts'
import { Publisher } from './publisher.ts'
import { TopicTail } from './tail.ts'
import { TopicKeeper, busError } from './topic-keeper.ts'

export interface KafkaBusOptions {
  readonly connection: KafkaOptions
  /** `varve.log.v1` is `<prefix>.log.v1` on the brokers; groups begin with it too. Default `varve`. */
  readonly topicPrefix?: string
  /** Copies of topics that are made; default 3. */
  readonly replication?: number
  readonly clock: Clock
  readonly random?: Random
  /** Default: the product's. */
  readonly topics?: Readonly<Record<string, TopicSpec>>
}

/** Answers slower than this are none, where nobody said otherwise. */
const REQUEST_MS = 5_000
const CONNECT_MS = 4_000
/** A publish waits so long for tails that were begun before it in this process. */
const STANDING_MS = 5_000

export class KafkaBus implements Bus {
  readonly #guests: { readonly clock: Clock; readonly random: Random }
  readonly #specs: Readonly<Record<string, TopicSpec>>
  readonly #connection: KafkaConnection
  readonly #keeper: TopicKeeper
  readonly #publishers = new Map<string, Publisher>()
  readonly #tails = new Map<string, TopicTail>()
  readonly #groups = new Set<GroupSubscription>()
  #closed = false

  private constructor(options: KafkaBusOptions) {
    this.#guests = { clock: options.clock, random: options.random ?? systemRandom }
    this.#specs = options.topics ?? TOPIC_SPECS
    this.#connection = new KafkaConnection({
      connectTimeoutMs: CONNECT_MS,
      requestTimeoutMs: REQUEST_MS,
      ...options.connection,
    })
    this.#keeper = new TopicKeeper({
      connection: this.#connection,
      topicPrefix: options.topicPrefix ?? 'varve',
      replication: options.replication ?? 3,
      specs: this.#specs,
    })
  }

  /**
   * Connected, its topics there and kept as they must be.
   * @throws VarveError UNAVAILABLE; MISCONFIGURED: what only an operator can mend, and how
   */
  static async open(options: KafkaBusOptions): Promise<KafkaBus> {
    const bus = new KafkaBus(options)
    try {
      await bus.#keeper.ensure()
      return bus
    } catch (error) {
      await bus.close()
      throw error
    }
  }

  /** @throws VarveError UNAVAILABLE: the brokers may have it or not; TOO_LARGE: they have not */
  async publish(topic: string, messages: readonly BusMessage[]): Promise<void> {
    const partitions = this.#specs[topic]?.partitions ?? Number.POSITIVE_INFINITY
    for (const { partition } of messages)
      assert(partition >= 0 && partition < partitions, `no partition ${partition} in "${topic}"`)
    const tail = this.#tails.get(topic)
    if (tail && !tail.stands) await this.#stands(tail)
    let publisher = this.#publishers.get(topic)
    if (!publisher) {
      publisher = new Publisher({
        topic: this.#keeper.nameOf(topic),
        connection: this.#connection,
        keeper: this.#keeper,
        ...this.#guests,
      })
      this.#publishers.set(topic, publisher)
    }
    return publisher.publish(messages)
  }

  subscribe(
    topic: string,
    from: { readonly group: string } | { readonly tail: true },
    handler: Handler,
  ): Subscription {
    assert(!this.#closed, 'subscribe on a closed bus')
    return 'tail' in from ? this.#listen(topic, handler) : this.#join(topic, from.group, handler)
  }

  /** Whether brokers answer now. @throws VarveError UNAVAILABLE */
  async probe(limitMs = 5_000): Promise<void> {
    const enough = new AbortController()
    const late = this.#guests.clock.sleep(limitMs, enough.signal).then(() => {
      throw new VarveError('UNAVAILABLE', `cannot reach Kafka: no answer in ${limitMs} ms`)
    })
    try {
      await Promise.race([this.#connection.metadata([]), late])
    } catch (error) {
      throw busError('cannot reach Kafka', error)
    } finally {
      enough.abort()
      late.catch(() => undefined)
    }
  }

  /** Of the subscription that brokers answered least lately: how long ago. 0 without any. */
  silentMs(): number {
    const seen = [...this.#tails.values(), ...this.#groups].map(({ seenMs }) => seenMs)
    return seen.length === 0 ? 0 : this.#guests.clock.monotonicMs() - Math.min(...seen)
  }

  /** What was handled is committed, groups are left, what waits to be published has two seconds. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#publishers.values()].map((publisher) => publisher.close()))
    await Promise.all([...this.#groups, ...this.#tails.values()].map((each) => each.close()))
    this.#connection.close()
  }

  async #stands(tail: TopicTail): Promise<void> {
    const enough = new AbortController()
    await Promise.race([tail.standing, this.#guests.clock.sleep(STANDING_MS, enough.signal)])
    enough.abort()
  }

  #listen(topic: string, handler: Handler): Subscription {
    let tail = this.#tails.get(topic)
    if (!tail) {
      tail = new TopicTail({
        topic: this.#keeper.nameOf(topic),
        connection: this.#connection,
        keeper: this.#keeper,
        ...this.#guests,
      })
      this.#tails.set(topic, tail)
    }
    const own = tail
    const end = own.listen(handler)
    return {
      close: async () => {
        end()
        if (!own.empty || this.#tails.get(topic) !== own) return
        this.#tails.delete(topic)
        await own.close()
      },
    }
  }

  #join(topic: string, group: string, handler: Handler): Subscription {
    const name = this.#keeper.nameOf(topic)
    const member = new GroupSubscription({
      topic: name,
      group: groupName(this.#keeper.nameOf(group), topic),
      connection: this.#connection,
      keeper: this.#keeper,
      handler,
      ...this.#guests,
    })
    this.#groups.add(member)
    return {
      close: async () => {
        this.#groups.delete(member)
        await member.close()
      },
    }
  }
}

/** A group of Kafka for each topic: members that read different ones would disturb each other. */
function groupName(group: string, topic: string): string {
  return `${group}.${topic.replace(/^varve\./, '')}`
}
