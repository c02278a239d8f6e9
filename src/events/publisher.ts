// Publishes the public events of every project on the topic. Invariants:
// - events of a project are published in the order of its log, none is skipped: what the bus did not
//   take is sent again until it did;
// - at least once: the cursor is stored behind what the bus has, so after a stop some come again,
//   with the same ids and the same bytes;
// - one owner of a shard of the projects at a time saves work; two publish doubles, nothing worse.

import { Signal } from '../base/async.ts'
import type { Clock } from '../base/clock.ts'
import { VarveError } from '../base/errors.ts'
import { utf8 } from '../base/bytes.ts'
import type { Bus, BusMessage } from '../bus/bus.ts'
import { TOPICS } from '../bus/bus.ts'
import { SYSTEM_PROJECT } from '../model/name.ts'
import { putFact } from '../tables/tables.ts'
import type { Tables } from '../tables/tables.ts'
import type { VersionEntry, Versions } from '../versions/versions.ts'
import { cloudEvent } from './cloud-event.ts'
import type { CloudEventOptions } from './cloud-event.ts'
import { say } from './diagnostics.ts'
import { GENERATION, publicEvents } from './public-events.ts'
import { CURSORS } from './tables.ts'

/** Runs `work` while `name` is ours; its signal is aborted when it no longer is. */
export type Own = (
  name: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
) => Promise<void>

export interface PublisherOptions extends CloudEventOptions {
  readonly versions: Pick<Versions, 'projects' | 'follow' | 'watermark'>
  readonly bus: Pick<Bus, 'publish'>
  readonly tables: Pick<Tables, 'get' | 'apply'>
  readonly clock: Clock
  readonly own: Own
}

const FOLLOWER = 'events'
/** Parts of the projects that are owned each by itself: as many processes can share the work. */
const SHARDS = 8
/** Read ahead of the bus; beyond it the log waits. */
const AHEAD_ENTRIES = 1_000
const BATCH_ENTRIES = 250
/** Handed to the bus at once. */
const PART_BYTES = 1 << 20
const CURSOR_EVERY_MS = 1_000
const AGAIN_FIRST_MS = 100
const AGAIN_MAX_MS = 5_000

export class EventPublisher {
  readonly #options: PublisherOptions
  readonly #ended = new AbortController()
  readonly #failures: unknown[] = []

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  /** Until the signal. A bus or store that is away is waited for. @throws what contradicts itself */
  async run(signal: AbortSignal): Promise<void> {
    const until = AbortSignal.any([signal, this.#ended.signal])
    const shards = Array.from({ length: SHARDS }, () => new Shard())
    const parts = [
      this.#discover(shards, until),
      ...shards.map((shard, n) =>
        this.#options.own(`${FOLLOWER}/${n}`, until, (owned) =>
          shard.run(owned, (project) => this.#project(project, owned).catch(this.#fail)),
        ),
      ),
    ]
    await Promise.all(parts.map((part) => part.catch(this.#fail)))
    if (this.#failures.length > 0) throw this.#failures[0]
  }

  readonly #fail = (error: unknown): void => {
    this.#failures.push(error)
    this.#ended.abort()
  }

  /** Every project there is, then each that is created. */
  async #discover(shards: readonly Shard[], signal: AbortSignal): Promise<void> {
    const { versions } = this.#options
    const found = (project: string): void => shards[shardOf(project)]?.add(project)
    await this.#again(SYSTEM_PROJECT, signal, async () => {
      const seq = await versions.watermark(SYSTEM_PROJECT)
      for await (const { name } of versions.projects()) found(name)
      for await (const { decision } of versions.follow(SYSTEM_PROJECT, seq, signal))
        for (const fact of 'yes' in decision ? decision.yes : [])
          if (fact.f === 'project.created') found(fact.project.name)
    })
  }

  async #project(project: string, signal: AbortSignal): Promise<void> {
    const { tables, versions } = this.#options
    const key = { follower: FOLLOWER, project, generation: GENERATION }
    await this.#again(project, signal, async () => {
      const from = (await tables.get(CURSORS, key))?.seq ?? 0
      const stop = new AbortController()
      const until = AbortSignal.any([signal, stop.signal])
      const queue = new Queue(from, until)
      let stored = from
      const store = async (): Promise<void> => {
        const seq = queue.published
        if (seq > stored) await tables.apply([putFact(CURSORS, { ...key, seq }, seq)])
        stored = seq
      }
      const parts = [
        queue.fill(versions.follow(project, from, until)),
        this.#publish(project, queue, until),
        this.#onceInAWhile(store, until),
      ].map((part) => part.finally(() => stop.abort()))
      const ends = await Promise.allSettled(parts)
      await store()
      for (const end of ends) if (end.status === 'rejected') throw end.reason
    })
  }

  async #publish(project: string, queue: Queue, signal: AbortSignal): Promise<void> {
    const { bus } = this.#options
    while (!signal.aborted) {
      const entries = queue.peek(BATCH_ENTRIES)
      if (entries.length === 0) {
        await queue.filled.wait()
        continue
      }
      const messages = entries.flatMap((entry) => this.#messages(project, entry))
      for (const part of cut(messages)) {
        const taken = await this.#again(project, signal, () => bus.publish(TOPICS.events, part))
        if (!taken) return
      }
      queue.drop(entries.length)
      say('published', { project, events: messages.length, seq: queue.published })
    }
  }

  #messages(project: string, entry: VersionEntry): BusMessage[] {
    return publicEvents(project, entry).map((event) => cloudEvent(project, event, this.#options))
  }

  async #onceInAWhile(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#options.clock.sleep(CURSOR_EVERY_MS, signal)
      await work()
    }
  }

  /** Once without trouble of the world, which is waited out. @returns whether it came to that */
  async #again(project: string, signal: AbortSignal, work: () => Promise<void>): Promise<boolean> {
    for (
      let waitMs = AGAIN_FIRST_MS;
      !signal.aborted;
      waitMs = Math.min(AGAIN_MAX_MS, waitMs * 2)
    ) {
      try {
        await work()
        return true
      } catch (error) {
        if (!(error instanceof VarveError)) throw error
        say('waiting', { project, cause: error.message })
        await this.#options.clock.sleep(waitMs, signal)
      }
    }
    return false
  }
}

/** The projects of one lease. */
class Shard {
  readonly #names = new Set<string>()
  readonly #changed = new Signal()

  add(project: string): void {
    if (this.#names.has(project)) return
    this.#names.add(project)
    this.#changed.ring()
  }

  async run(signal: AbortSignal, work: (project: string) => Promise<void>): Promise<void> {
    signal.addEventListener('abort', () => this.#changed.ring())
    const working = new Map<string, Promise<void>>()
    while (!signal.aborted) {
      for (const name of this.#names) if (!working.has(name)) working.set(name, work(name))
      await this.#changed.wait()
    }
    await Promise.all(working.values())
  }
}

/** Entries read and not yet published, in order. Who waits for it looks again when it is over. */
class Queue {
  readonly filled = new Signal()
  readonly #drained = new Signal()
  readonly #entries: VersionEntry[] = []
  readonly #signal: AbortSignal
  #published: number

  constructor(published: number, signal: AbortSignal) {
    this.#published = published
    this.#signal = signal
    signal.addEventListener('abort', () => {
      this.filled.ring()
      this.#drained.ring()
    })
  }

  /** The seq through which the bus has everything. */
  get published(): number {
    return this.#published
  }

  async fill(entries: AsyncIterable<VersionEntry>): Promise<void> {
    for await (const entry of entries) {
      this.#entries.push(entry)
      this.filled.ring()
      while (this.#entries.length >= AHEAD_ENTRIES && !this.#signal.aborted)
        await this.#drained.wait()
    }
  }

  peek(limit: number): readonly VersionEntry[] {
    return this.#entries.slice(0, limit)
  }

  drop(count: number): void {
    this.#published = this.#entries[count - 1]?.seq ?? this.#published
    this.#entries.splice(0, count)
    this.#drained.ring()
  }
}

/** Runs of at most PART_BYTES; a larger message goes alone. */
function* cut(messages: readonly BusMessage[]): Generator<readonly BusMessage[]> {
  let part: BusMessage[] = []
  let bytes = 0
  for (const message of messages) {
    if (part.length > 0 && bytes + message.value.length > PART_BYTES) {
      yield part
      part = []
      bytes = 0
    }
    part.push(message)
    bytes += message.value.length
  }
  if (part.length > 0) yield part
}

/** FNV-1a, so that every process puts a project into the same shard. */
function shardOf(project: string): number {
  let hash = 0x811c9dc5
  for (const byte of utf8(project)) hash = Math.imul(hash ^ byte, 0x01000193)
  return (hash >>> 0) % SHARDS
}
