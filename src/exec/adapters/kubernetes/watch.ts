// What the cluster holds of one kind, kept up to date: a list, then a watch from there, for ever.
// Invariants:
// - what `items` shows was true at `knownMs` or later; nothing is shown before the first list;
// - a watch that is silent for longer than the server was told to keep it is broken, whatever the
//   connection says: it is closed and everything is listed again (a frozen server, a dead link);
// - whatever breaks a watch (410, a lost connection, an answer that is no JSON) leads to a list, after
//   a wait that grows and is drawn at random, so that a crowd does not come back at once;
// - everything is listed again after `relistMs` even if nothing seems wrong;
// - no error leaves `run` but the signal's: callers see `trouble` instead.

import type { Clock } from '../../../base/clock.ts'
import type { Random } from '../../../base/random.ts'
import { backoffMs } from '../../../base/retry.ts'
import type { KubernetesClient, Scope } from './client.ts'
import type { Kind, Kinds } from './objects.ts'
import { isRefusal } from './refusal.ts'

export interface WatchBounds {
  /** The server ends a watch after this time, which tells that it lives; a new one continues. */
  readonly watchSeconds: number
  /** Over that time without a word: the watch is broken. */
  readonly graceMs: number
  /** The longest time between two lists. */
  readonly relistMs: number
  readonly backoff: { readonly firstMs: number; readonly maxMs: number }
}

export const WATCH_BOUNDS: WatchBounds = {
  watchSeconds: 20,
  graceMs: 10_000,
  relistMs: 300_000,
  backoff: { firstMs: 200, maxMs: 15_000 },
}

export interface Watched<K extends Kind> {
  readonly items: readonly Kinds[K][]
  /** Monotonic time of the last word of the server; undefined before the first list. */
  readonly knownMs: number | undefined
  /** Why it does not hear the server now. */
  readonly trouble: Error | undefined
}

export class Watch<K extends Kind> implements Watched<K> {
  readonly #client: KubernetesClient
  readonly #kind: K
  readonly #scope: Scope
  readonly #clock: Clock
  readonly #random: Random
  readonly #bounds: WatchBounds
  readonly #changed: () => void
  readonly #removed: (object: Kinds[K]) => void
  #objects = new Map<string, Kinds[K]>()
  #knownMs: number | undefined
  #trouble: Error | undefined

  /**
   * `changed` is called after each change and after trouble began or ended, `removed` with the last that was
   * seen of what is no more; neither may throw.
   */
  constructor(
    client: KubernetesClient,
    kind: K,
    scope: Scope,
    guests: { readonly clock: Clock; readonly random: Random },
    changed: () => void,
    bounds: WatchBounds = WATCH_BOUNDS,
    removed: (object: Kinds[K]) => void = () => {},
  ) {
    this.#client = client
    this.#kind = kind
    this.#scope = scope
    this.#clock = guests.clock
    this.#random = guests.random
    this.#changed = changed
    this.#bounds = bounds
    this.#removed = removed
  }

  get items(): readonly Kinds[K][] {
    return [...this.#objects.values()]
  }

  get knownMs(): number | undefined {
    return this.#knownMs
  }

  get trouble(): Error | undefined {
    return this.#trouble
  }

  /** Returns when the signal is aborted; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      try {
        const version = await this.#list()
        failures = 0
        if (!signal.aborted) await this.#follow(version, signal)
      } catch (error) {
        if (signal.aborted) return
        // What is forgotten is listed again at once; only the second time in a row waits.
        if (!isRefusal(error, 'expired') || failures > 0) this.#setTrouble(error as Error)
        const wait = backoffMs(this.#bounds.backoff, failures++, this.#random)
        await this.#clock.sleep(wait, signal)
      }
    }
  }

  async #list(): Promise<string> {
    const { items, version } = await this.#client.list(this.#kind, this.#scope)
    const before = this.#objects
    this.#objects = new Map(items.map((item) => [item.metadata.name, item]))
    for (const [name, object] of before) if (!this.#objects.has(name)) this.#removed(object)
    this.#heard()
    this.#trouble = undefined
    this.#changed()
    return version
  }

  /** Returns when it is time to list again; throws when the watch broke. */
  async #follow(from: string, signal: AbortSignal): Promise<void> {
    const listAgainMs = this.#clock.monotonicMs() + this.#bounds.relistMs
    let version = from
    while (!signal.aborted && this.#clock.monotonicMs() < listAgainMs) {
      const startedMs = this.#clock.monotonicMs()
      const before = version
      version = await this.#watchOnce(version, signal)
      // A server that ends each watch at once is not asked in a tight loop.
      if (version === before && this.#clock.monotonicMs() - startedMs < 1_000)
        await this.#clock.sleep(500 + 500 * this.#random.next(), signal)
    }
  }

  async #watchOnce(from: string, signal: AbortSignal): Promise<string> {
    const ended = new AbortController()
    const silent = new AbortController()
    const watchdog = this.#guard(ended.signal, silent)
    let version = from
    try {
      const question = { version, timeoutSeconds: this.#bounds.watchSeconds }
      const changes = this.#client.watch(
        this.#kind,
        this.#scope,
        question,
        AbortSignal.any([signal, silent.signal]),
      )
      this.#heard()
      for await (const change of changes) {
        this.#heard()
        if (change.type === 'BOOKMARK') {
          version = change.version
          continue
        }
        const { name, resourceVersion } = change.object.metadata
        if (change.type === 'DELETED') {
          this.#objects.delete(name)
          this.#removed(change.object)
        } else this.#objects.set(name, change.object)
        version = resourceVersion ?? version
        this.#changed()
      }
      // The server ended it in time: it lives.
      this.#heard()
      return version
    } finally {
      ended.abort()
      await watchdog
    }
  }

  /** Aborts `silent` when nothing was heard for too long; ends with `ended`. */
  async #guard(ended: AbortSignal, silent: AbortController): Promise<void> {
    const boundMs = this.#bounds.watchSeconds * 1000 + this.#bounds.graceMs
    this.#heard()
    while (!ended.aborted) {
      const quietMs = this.#clock.monotonicMs() - (this.#knownMs ?? 0)
      if (quietMs >= boundMs)
        return silent.abort(
          new Error(`no word of the API server for ${Math.round(quietMs / 1000)} s`),
        )
      await this.#clock.sleep(boundMs - quietMs, ended)
    }
  }

  #heard(): void {
    this.#knownMs = this.#clock.monotonicMs()
  }

  #setTrouble(error: Error): void {
    this.#trouble = error
    this.#changed()
  }
}
