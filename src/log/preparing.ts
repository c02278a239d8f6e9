// What happens to proposals before they can be decided, beside the lane: each is prepared while it is
// the first of every key it names, and again whenever what it was prepared on is void.

import { isVarveError } from '../base/errors.ts'
import { backoffMs } from '../base/retry.ts'
import type { Item } from './arrivals.ts'
import { KeyOrder } from './arrivals.ts'
import type { LogGuests } from './guests.ts'
import type { Machine } from './machine.ts'

const BACKOFF = { firstMs: 10, maxMs: 1_000 }
/** A preparation that failed in passing waits as if it had failed this often. */
const ATTEMPT = 3

export interface PreparingOptions<Op, State, Prepared> extends Pick<LogGuests, 'clock' | 'random'> {
  readonly machine: Pick<Machine<Op, never, State, Prepared>, 'prepare'>
}

export class Preparing<Op, State, Prepared> {
  readonly #o: PreparingOptions<Op, State, Prepared>
  readonly #signal: AbortSignal
  readonly #ready: (item: Item<Op, Prepared>) => void
  readonly #keys = new KeyOrder<Item<Op, Prepared>>()
  /** Undefined while it is being made from the log: then nothing is prepared. */
  #state: State | undefined

  /** `ready` gets each item that is prepared, or that failed for good. */
  constructor(
    options: PreparingOptions<Op, State, Prepared>,
    ready: (item: Item<Op, Prepared>) => void,
    signal: AbortSignal,
  ) {
    this.#o = options
    this.#ready = ready
    this.#signal = signal
  }

  add(item: Item<Op, Prepared>): void {
    if (this.#keys.add(item)) this.prepare(item)
  }

  /** It was decided, or let go: those behind it go on. */
  release(item: Item<Op, Prepared>): void {
    for (const next of this.#keys.release(item)) this.prepare(next)
  }

  /** What was prepared is void, and nothing is until `begin`. */
  end(items: Iterable<Item<Op, Prepared>>): void {
    this.#state = undefined
    for (const item of items) item.attempt++
  }

  /** All of them anew on this state, in arrival order. */
  begin(items: Iterable<Item<Op, Prepared>>, state: State): void {
    this.#state = state
    this.#keys.clear()
    const first = [...items]
      .toSorted((a, b) => a.order - b.order)
      .filter((item) => this.#keys.add(item))
    for (const item of first) this.prepare(item)
  }

  /** Once more, for one that is the first of its keys. */
  prepare(item: Item<Op, Prepared>): void {
    const state = this.#state
    if (state === undefined) return
    const attempt = ++item.attempt
    item.prepared = undefined
    if (!item.asksMachine || item.poisoned) return this.#ready(item)
    let preparing: Promise<Prepared>
    try {
      preparing = this.#o.machine.prepare(state, item.proposal)
    } catch (error) {
      preparing = Promise.reject(error)
    }
    void preparing.then(
      (value) => {
        if (item.attempt !== attempt) return
        item.prepared = { value }
        this.#ready(item)
      },
      async (error: unknown) => {
        if (item.attempt !== attempt) return
        if (isVarveError(error) && error.spec.retry) {
          await this.#o.clock.sleep(backoffMs(BACKOFF, ATTEMPT, this.#o.random), this.#signal)
          if (item.attempt === attempt && !this.#signal.aborted) this.prepare(item)
          return
        }
        item.prepared = { error }
        this.#ready(item)
      },
    )
  }
}
