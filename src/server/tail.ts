// One follower a project, shared by everybody who watches it: long polls, events, the graph.
//
// Whoever first subscribes and then reads rows misses nothing: an entry is seen here only once it can
// be read, so what a read did not show comes later on the tail.

import { Channel } from '../base/async.ts'
import type { Clock } from '../base/clock.ts'
import type { VersionEntry, Versions } from '../versions/versions.ts'

type Listener = (entry: VersionEntry) => void

/** Entries a slow reader may be behind before its stream ends (it resumes from its last id). */
const MAX_BEHIND = 10_000

class Tail {
  readonly #listeners = new Set<Listener>()
  readonly ready: Promise<void>
  /** The seq the next entry follows; valid once ready. */
  seq = 0

  constructor(versions: Versions, clock: Clock, project: string, signal: AbortSignal) {
    this.ready = versions.watermark(project).then((seq) => {
      this.seq = seq
    })
    void this.ready.then(
      () => this.#run(versions, clock, project, signal),
      () => undefined,
    )
  }

  async #run(
    versions: Versions,
    clock: Clock,
    project: string,
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const entry of versions.follow(project, this.seq, signal)) {
          this.seq = entry.seq
          for (const listener of this.#listeners) listener(entry)
        }
      } catch {
        // The store is away for a moment; watchers wait with us.
      }
      await clock.sleep(500, signal)
    }
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

export class Tails {
  readonly #tails = new Map<string, Tail>()
  readonly #versions: Versions
  readonly #clock: Clock
  readonly #stop = new AbortController()

  constructor(versions: Versions, clock: Clock) {
    this.#versions = versions
    this.#clock = clock
  }

  async #tail(project: string): Promise<Tail> {
    let tail = this.#tails.get(project)
    if (!tail) {
      tail = new Tail(this.#versions, this.#clock, project, this.#stop.signal)
      this.#tails.set(project, tail)
    }
    try {
      await tail.ready
    } catch (error) {
      this.#tails.delete(project)
      throw error
    }
    return tail
  }

  /** Calls the listener for every later entry, until the returned function is called. */
  async listen(project: string, listener: Listener): Promise<() => void> {
    return (await this.#tail(project)).listen(listener)
  }

  /** Entries from now on, until the signal; a reader too far behind is ended. */
  async *entries(project: string, signal: AbortSignal): AsyncGenerator<VersionEntry> {
    const channel = new Channel<VersionEntry>(MAX_BEHIND)
    let behind = 0
    const stop = await this.listen(project, (entry) => {
      if (++behind > MAX_BEHIND) channel.close()
      else void channel.push(entry)
    })
    const close = (): void => channel.close()
    signal.addEventListener('abort', close, { once: true })
    if (signal.aborted) close()
    try {
      for await (const entry of channel) {
        behind--
        yield entry
      }
    } finally {
      stop()
      signal.removeEventListener('abort', close)
    }
  }

  /**
   * Reads until `done`, again after every entry that `concerns` it, at most `timeoutMs`.
   * @returns what was read last
   */
  async until<T>(
    project: string,
    options: {
      readonly read: () => Promise<T>
      readonly done: (value: T) => boolean
      readonly concerns: (entry: VersionEntry) => boolean
      readonly timeoutMs: number
      readonly signal: AbortSignal
    },
  ): Promise<T> {
    const over = new AbortController()
    const signal = AbortSignal.any([over.signal, options.signal])
    let changed = false
    let wake = (): void => undefined
    const stop = await this.listen(project, (entry) => {
      if (!options.concerns(entry)) return
      changed = true
      wake()
    })
    const timeout = this.#clock.sleep(options.timeoutMs, signal)
    try {
      for (;;) {
        changed = false
        const value = await options.read()
        if (options.done(value) || signal.aborted) return value
        const woken = new Promise<void>((resolve) => (wake = resolve))
        // An entry may have come while we read.
        if (!changed) {
          const late = await Promise.race([woken.then(() => false), timeout.then(() => true)])
          if (late) return await options.read()
        }
      }
    } finally {
      stop()
      over.abort()
    }
  }

  close(): void {
    this.#stop.abort()
  }
}
