// What happens to proposals before they can be decided, beside the lane: each is prepared when it is the
// first of every key it names, and with it those that wait for nothing but it; and again whenever what
// it was prepared on is void.
//
// - `ready` gets an item only when it is the first of its keys, so the order among them stays.
// - Who was prepared together with others is not prepared again when its turn comes: whether the others
//   became what was expected is for decide to see. If it asks again, those behind are prepared anew too.

import { isVarveError } from '../base/errors.ts'
import { backoffMs } from '../base/retry.ts'
import type { Item } from './arrivals.ts'
import { KeyOrder } from './arrivals.ts'
import type { LogGuests } from './guests.ts'
import type { Machine } from './machine.ts'

const BACKOFF = { firstMs: 10, maxMs: 1_000 }
/** A preparation that failed in passing waits as if it had failed this often. */
const ATTEMPT = 3
/** The first of them waits for the last. */
const MOST_TOGETHER = 64

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
    for (const next of this.#keys.release(item)) this.#goOn(next)
  }

  /** What was prepared is void, and nothing is until `begin`. */
  end(items: Iterable<Item<Op, Prepared>>): void {
    this.#state = undefined
    for (const item of items) this.#void(item)
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
    this.#void(item)
    if (!item.asksMachine || item.poisoned) return this.#ready(item)
    const items: Item<Op, Prepared>[] = []
    for (const one of this.#keys.run(item, MOST_TOGETHER)) {
      if (!one.asksMachine || one.poisoned) break
      this.#void(one)
      one.isPreparing = true
      items.push(one)
    }
    const proposals = items.map(({ proposal }) => proposal)
    let preparing: readonly Promise<Prepared | undefined>[]
    try {
      preparing = this.#o.machine.prepare(state, proposals)
    } catch (error) {
      preparing = [Promise.reject(error)]
    }
    for (const [i, one] of items.entries()) void this.#await(one, preparing[i])
  }

  /** `preparing` undefined, or of undefined: it is not prepared after all. */
  async #await(
    item: Item<Op, Prepared>,
    preparing: Promise<Prepared | undefined> | undefined,
  ): Promise<void> {
    const { attempt } = item
    try {
      const value = await preparing
      if (item.attempt !== attempt) return
      if (value !== undefined) item.prepared = { value }
    } catch (error) {
      if (item.attempt !== attempt) return
      if (!isVarveError(error) || !error.spec.retry) item.prepared = { error }
      else if (item.behind === 0) {
        await this.#o.clock.sleep(backoffMs(BACKOFF, ATTEMPT, this.#o.random), this.#signal)
        if (item.attempt !== attempt || this.#signal.aborted) return
      }
    }
    item.isPreparing = false
    if (item.behind === 0) this.#goOn(item)
  }

  /** It is the first of its keys. */
  #goOn(item: Item<Op, Prepared>): void {
    if (item.prepared) this.#ready(item)
    else if (!item.isPreparing) this.prepare(item)
  }

  #void(item: Item<Op, Prepared>): void {
    item.attempt++
    item.isPreparing = false
    item.prepared = undefined
  }
}
