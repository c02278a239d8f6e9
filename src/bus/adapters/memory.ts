// Messages inside one process: what embedded mode runs on. A message lives in the queues of those who
// were subscribed when it was published; a group that nobody reads yet keeps its messages waiting.

import type { Clock } from '../../base/clock.ts'
import type { Bus, BusMessage, Subscription } from '../bus.ts'

type Handler = (messages: readonly BusMessage[]) => Promise<void>

/** A group nobody reads keeps this many messages: the bus is a bell, who comes later reads the log. */
const WAITING_MESSAGES = 10_000
/** Messages of one partition handed over in one call. */
const BATCH = 1_000
const RETRY_FIRST_MS = 10
const RETRY_MAX_MS = 1_000

export class MemoryBus implements Bus {
  readonly #clock: Clock
  readonly #topics = new Map<string, Topic>()

  constructor(options: { clock: Clock }) {
    this.#clock = options.clock
  }

  publish(topic: string, messages: readonly BusMessage[]): Promise<void> {
    this.#topic(topic).publish(messages)
    return Promise.resolve()
  }

  subscribe(
    topic: string,
    from: { readonly group: string } | { readonly tail: true },
    handler: Handler,
  ): Subscription {
    const member = new Member(handler, this.#clock)
    const at = this.#topic(topic)
    if ('tail' in from) {
      at.tails.add(member)
      return {
        close: () => {
          at.tails.delete(member)
          member.close()
          return Promise.resolve()
        },
      }
    }
    const group = at.group(from.group)
    group.join(member)
    return {
      close: () => {
        group.leave(member)
        return Promise.resolve()
      },
    }
  }

  #topic(name: string): Topic {
    let topic = this.#topics.get(name)
    if (!topic) this.#topics.set(name, (topic = new Topic()))
    return topic
  }
}

class Topic {
  readonly tails = new Set<Member>()
  readonly #groups = new Map<string, Group>()

  publish(messages: readonly BusMessage[]): void {
    for (const tail of this.tails) tail.push(messages)
    for (const group of this.#groups.values()) group.publish(messages)
  }

  group(name: string): Group {
    let group = this.#groups.get(name)
    if (!group) this.#groups.set(name, (group = new Group()))
    return group
  }
}

/** Partition p belongs to the member at p modulo their number, in the order they joined. */
class Group {
  readonly #members: Member[] = []
  #waiting: BusMessage[] = []

  join(member: Member): void {
    this.#members.push(member)
    this.#share()
  }

  leave(member: Member): void {
    const at = this.#members.indexOf(member)
    if (at >= 0) this.#members.splice(at, 1)
    member.close()
    // Also what its handler holds right now: delivered again, which the port allows.
    this.#waiting.push(...member.take())
    this.#share()
  }

  publish(messages: readonly BusMessage[]): void {
    if (this.#members.length === 0) {
      this.#waiting.push(...messages)
      if (this.#waiting.length > WAITING_MESSAGES)
        this.#waiting = this.#waiting.slice(-WAITING_MESSAGES)
      return
    }
    if (this.#members.length === 1) return this.#members[0]?.push(messages)
    for (const message of messages)
      this.#members[message.partition % this.#members.length]?.push([message])
  }

  /** After a change of members every partition's backlog moves to its member, in order. */
  #share(): void {
    if (this.#members.length === 0) return
    const backlog = [...this.#members.flatMap((member) => member.takeUnstarted()), ...this.#waiting]
    this.#waiting = []
    if (backlog.length > 0) this.publish(backlog)
  }
}

/** One subscriber: a queue for each partition, each handed over by its own loop. */
class Member {
  readonly #handler: Handler
  readonly #clock: Clock
  readonly #queues = new Map<
    number,
    { messages: BusMessage[]; held: number; running: Promise<void> | undefined }
  >()
  readonly #stop = new AbortController()

  constructor(handler: Handler, clock: Clock) {
    this.#handler = handler
    this.#clock = clock
  }

  push(messages: readonly BusMessage[]): void {
    for (const message of messages) {
      let queue = this.#queues.get(message.partition)
      if (!queue) {
        queue = { messages: [], held: 0, running: undefined }
        this.#queues.set(message.partition, queue)
      }
      queue.messages.push(message)
      queue.running ??= this.#run(message.partition)
    }
  }

  /** Everything not yet handled, what a handler holds included. */
  take(): BusMessage[] {
    const taken: BusMessage[] = []
    for (const queue of this.#queues.values()) {
      taken.push(...queue.messages)
      queue.messages = []
      queue.held = 0
    }
    return taken
  }

  takeUnstarted(): BusMessage[] {
    return [...this.#queues.values()].flatMap((queue) => queue.messages.splice(queue.held))
  }

  /** A handler that is under way ends by itself: waiting for it would bind one that closes itself. */
  close(): void {
    this.#stop.abort()
  }

  async #run(partition: number): Promise<void> {
    const queue = this.#queues.get(partition)
    if (!queue) return
    await Promise.resolve() // what is published in this turn goes in one call
    let retryMs = RETRY_FIRST_MS
    while (queue.messages.length > 0 && !this.#stop.signal.aborted) {
      const batch = queue.messages.slice(0, BATCH)
      queue.held = batch.length
      try {
        await this.#handler(batch)
        // Taken away meanwhile if this subscription closed.
        queue.messages.splice(0, queue.held)
        retryMs = RETRY_FIRST_MS
      } catch {
        // The port's promise: again after a handler that threw. The handler reports its own errors.
        await this.#clock.sleep(retryMs, this.#stop.signal)
        retryMs = Math.min(RETRY_MAX_MS, retryMs * 2)
      }
      queue.held = 0
    }
    queue.running = undefined
  }
}
