// One member of a group: each message goes to one of its members. Invariants:
// - handlers run only while the place in the group is ours by our own clock: a session that was not
//   confirmed in time begins no call, before anybody tells us;
// - what is committed is handled, and everything below it too;
// - a partition kept through a rebalance goes on where it was; one that comes begins at what the
//   group committed of this very topic (by id), else at the beginning.

import type { Clock } from '../../../base/clock.ts'
import type { Random } from '../../../base/random.ts'
import { topicOffsets } from '../../../kafka/admin.ts'
import type { KafkaConnection } from '../../../kafka/connect.ts'
import { GroupMember, PlaceLost } from '../../../kafka/member.ts'
import type { TopicMetadata } from '../../../kafka/metadata.ts'
import { OutOfRange, readPartitions } from '../../../kafka/read.ts'
import { say } from './diagnostics.ts'
import { Handing } from './handing.ts'
import type { Handler } from './handing.ts'
import { messageOf } from './message.ts'
import type { TopicKeeper } from './topic-keeper.ts'
import { Trouble } from './trouble.ts'

const SESSION_MS = 10_000
const HEARTBEAT_MS = 2_000
const REBALANCE_MS = 20_000
const COMMIT_MS = 1_000
/** Calls under way when partitions may go elsewhere get this time to end and be committed. */
const HAND_BACK_MS = 5_000
const CLOSE_MS = 3_000

export interface GroupOptions {
  readonly topic: string
  /** On the brokers. */
  readonly group: string
  readonly connection: KafkaConnection
  readonly keeper: TopicKeeper
  readonly clock: Clock
  readonly random: Random
  readonly handler: Handler
}

export class GroupSubscription {
  readonly #options: GroupOptions
  readonly #member: GroupMember
  readonly #handing: Handing
  readonly #stop = new AbortController()
  readonly #trouble: Trouble
  readonly #running: Promise<void>
  #topicId = ''
  #committed = new Map<number, number>()
  /** When the heartbeat that was last confirmed was sent. */
  #confirmedMs: number
  #seenMs: number
  /** Reading failed last: heartbeats that are answered do not end the trouble. */
  #unread = false
  #closing: Promise<void> | undefined

  constructor(options: GroupOptions) {
    this.#options = options
    const { topic, group, connection, clock, handler } = options
    this.#seenMs = clock.monotonicMs()
    this.#confirmedMs = this.#seenMs
    this.#member = new GroupMember(connection, {
      group,
      topic,
      sessionMs: SESSION_MS,
      rebalanceMs: REBALANCE_MS,
    })
    this.#handing = new Handing(handler, clock, () => this.#sessionHolds())
    this.#trouble = new Trouble(`taking part in group "${group}"`, options)
    this.#running = this.#run()
  }

  /** When a broker last answered, by the monotonic clock. */
  get seenMs(): number {
    return this.#seenMs
  }

  /** Commits what was handled and leaves. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#handing.pause()
    this.#stop.abort()
    const enough = new AbortController()
    await Promise.race([this.#running, this.#options.clock.sleep(CLOSE_MS, enough.signal)])
    enough.abort()
    this.#handing.close()
    this.#member.close()
  }

  #sessionHolds(): boolean {
    return this.#options.clock.monotonicMs() - this.#confirmedMs < SESSION_MS
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        await this.#generation()
      } catch (error) {
        if (error instanceof PlaceLost) {
          if (error.kind === 'evicted') this.#drop()
        } else await this.#trouble.rest(error, signal)
        if (!this.#sessionHolds()) this.#drop()
      }
    }
    // What runs now may end and count; one that closes its own subscription is not waited for longer.
    await this.#handing.idle(CLOSE_MS / 3)
    await this.#commit().catch(() => undefined)
    await this.#member.leave()
  }

  /** From joining to the next rebalance. @throws PlaceLost, KafkaError */
  async #generation(): Promise<void> {
    const { topic, group, keeper, clock } = this.#options
    const { signal } = this.#stop
    const { partitions } = await keeper.describe(topic)
    if (signal.aborted) return
    const had = [...this.#handing.positions().keys()]
    const all = partitions.map(({ partition }) => partition)
    const askedMs = clock.monotonicMs()
    // Who closes does not wait for the others to join: the place is given back.
    const stop = (): void => this.#member.abandon()
    signal.addEventListener('abort', stop)
    const joining = this.#member.join(all, had)
    const mine = await joining.finally(() => signal.removeEventListener('abort', stop))
    this.#confirmed(askedMs)
    for (const partition of had) if (!mine.includes(partition)) this.#handing.end(partition)
    if (signal.aborted) return
    say('assigned', { group, partitions: mine.length, of: partitions.length })
    this.#handing.resume()
    const reading = new AbortController()
    this.#unread = false
    void this.#read(mine, AbortSignal.any([reading.signal, signal]))
    try {
      await this.#keepPlace()
    } finally {
      reading.abort()
      this.#handing.pause()
    }
  }

  /** Heartbeats and commits, until the place is lost or we stop. @throws PlaceLost */
  async #keepPlace(): Promise<void> {
    const { clock } = this.#options
    const { signal } = this.#stop
    let beatMs = clock.monotonicMs()
    while (!signal.aborted) {
      await clock.sleep(COMMIT_MS, signal)
      if (signal.aborted) return
      try {
        await this.#commit()
        const nowMs = clock.monotonicMs()
        if (nowMs - beatMs < HEARTBEAT_MS) continue
        beatMs = nowMs
        await this.#member.heartbeat()
        this.#confirmed(nowMs)
        // Our own clock may have doubted the session before this answer; now it is ours again.
        if (!signal.aborted) this.#handing.resume()
      } catch (error) {
        if (error instanceof PlaceLost) {
          if (error.kind === 'rebalance') await this.#handBack()
          throw error
        }
        if (!this.#sessionHolds()) throw new PlaceLost('evicted')
        beatMs = -HEARTBEAT_MS
      }
    }
  }

  #confirmed(sentMs: number): void {
    this.#confirmedMs = sentMs
    this.#seenMs = this.#options.clock.monotonicMs()
    if (!this.#unread) this.#trouble.over()
  }

  /** Before others may get our partitions: what runs ends, what is handled is committed. */
  async #handBack(): Promise<void> {
    this.#handing.pause()
    await this.#handing.idle(HAND_BACK_MS)
    await this.#commit().catch(() => undefined)
  }

  /** Others may have our partitions: nothing of what we hold counts. */
  #drop(): void {
    for (const partition of this.#handing.positions().keys()) this.#handing.end(partition)
    this.#committed.clear()
  }

  async #commit(): Promise<void> {
    const changed = new Map(
      [...this.#handing.positions()].filter(
        ([partition, position]) => this.#committed.get(partition) !== position,
      ),
    )
    if (changed.size === 0) return
    await this.#member.commit(this.#topicId, changed)
    for (const [partition, position] of changed) this.#committed.set(partition, position)
  }

  /** Until the signal, whatever happens to brokers and topic. */
  async #read(mine: readonly number[], signal: AbortSignal): Promise<void> {
    const { topic, connection, keeper } = this.#options
    while (!signal.aborted && mine.length > 0) {
      try {
        const described = await keeper.describe(topic)
        // The next join may wait on the connection that `begin` would ask.
        if (signal.aborted) return
        await this.#begin(described, mine, signal)
        if (signal.aborted) return
        const from = mine.map((partition) => ({
          topic,
          topicId: described.id,
          partition,
          offset: this.#handing.next(partition) ?? 0,
        }))
        const batches = readPartitions(connection, from, signal, {
          wanted: ({ partition }) => this.#handing.hasRoom(partition),
          onAnswer: () => {
            this.#seenMs = this.#options.clock.monotonicMs()
            this.#unread = false
            this.#trouble.over()
          },
        })
        for await (const { partition, to, bytes, records } of batches) {
          if (signal.aborted) return
          const messages = records.map((record) => messageOf(partition, record))
          this.#handing.push(partition, { to, messages, bytes })
        }
      } catch (error) {
        if (signal.aborted) return
        this.#unread = true
        if (error instanceof OutOfRange) this.#restart(error)
        await this.#trouble.rest(error, signal)
      }
    }
  }

  /** Gives each of our partitions a position that does not have one of this very topic. */
  async #begin(
    { id, name }: TopicMetadata,
    mine: readonly number[],
    signal: AbortSignal,
  ): Promise<void> {
    const anew = this.#topicId !== id
    const without = mine.filter((one) => anew || this.#handing.next(one) === undefined)
    if (without.length === 0) return
    const committed = await this.#member.committed(without)
    const ranges = await topicOffsets(this.#options.connection, name)
    if (signal.aborted) return
    const replaced = this.#topicId !== '' && anew
    const known = [...committed.values()].some(({ topicId }) => topicId !== '' && topicId !== id)
    if (replaced || known)
      say('anomaly', { what: 'a topic was deleted and made anew', topic: name, topicId: id })
    if (anew) this.#drop()
    this.#topicId = id
    for (const partition of without) {
      const place = committed.get(partition)
      // Without an id an operator's tool has set it.
      const ours = place !== undefined && (place.topicId === id || place.topicId === '')
      const start = ranges.find((range) => range.partition === partition)?.start ?? 0
      this.#handing.begin(partition, ours ? place.offset : start)
    }
  }

  #restart({ topic, partition, offset, start }: OutOfRange): void {
    say('anomaly', {
      what: 'messages are gone from the broker before they were handled',
      topic,
      partition,
      offset,
      to: start,
    })
    this.#handing.begin(partition, start)
  }
}
