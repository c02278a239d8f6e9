// Proposals a lane holds, from arrival to answer, and the order among them. Invariant: a proposal is
// decided only while it is the first of every key it names, and stays first until it is decided; so
// a slow one holds its own keys and no others. Those that wait in one queue only may be prepared with
// the first of it.

import { assert } from '../base/assert.ts'
import type { Sent } from './wire.ts'

export class Item<Op, Prepared> {
  /** Arrival order. */
  readonly order: number
  readonly kind: 'propose' | 'give-up'
  readonly proposal: Extract<Sent<Op>, { proposal: unknown }>['proposal']
  readonly keys: readonly string[]
  /** One for each copy that arrived: a notice answers all of them. */
  readonly issuedAtMs: number[]
  /** In how many of its queues somebody stands before it. */
  behind = 0
  /** Raised whenever a preparation under way no longer counts. */
  attempt = 0
  /** A preparation that counts is under way. */
  isPreparing = false
  /** Decisions that asked for another preparation. */
  again = 0
  /** Its own facts could not be folded: it is decided INTERNAL. */
  poisoned = false
  prepared: { readonly value: Prepared } | { readonly error: unknown } | undefined

  constructor(order: number, sent: Exclude<Sent<Op>, { kind: 'ring' }>, keys: readonly string[]) {
    this.order = order
    this.kind = sent.kind
    this.proposal = sent.proposal
    this.keys = keys
    this.issuedAtMs = [sent.proposal.issuedAtMs]
  }

  /** Whether preparing and deciding it is the machine's business. */
  get asksMachine(): boolean {
    return this.kind === 'propose' && this.proposal.view === undefined
  }

  get newestIssuedAtMs(): number {
    return Math.max(...this.issuedAtMs)
  }
}

export class KeyOrder<I extends { readonly keys: readonly string[]; behind: number }> {
  readonly #queues = new Map<string, I[]>()

  /** @returns whether nobody stands before it */
  add(item: I): boolean {
    item.behind = 0
    for (const key of item.keys) {
      const queue = this.#queues.get(key)
      if (queue) {
        queue.push(item)
        item.behind++
      } else this.#queues.set(key, [item])
    }
    return item.behind === 0
  }

  /** Takes the first of its queues away. @returns those that are first everywhere now */
  release(item: I): I[] {
    const free: I[] = []
    for (const key of item.keys) {
      const queue = this.#queues.get(key)
      assert(queue && queue[0] === item, `release out of order on key "${key}"`)
      queue.shift()
      const next = queue[0]
      if (!next) this.#queues.delete(key)
      else if (--next.behind === 0) free.push(next)
    }
    return free
  }

  /** It, and those next behind it that wait for nothing else, `most` in all. */
  *run(item: I, most: number): Generator<I> {
    yield item
    const [key, ...others] = item.keys
    const queue = key === undefined || others.length > 0 ? undefined : this.#queues.get(key)
    for (const next of queue?.slice(1, most) ?? []) {
      if (next.keys.length > 1) return
      yield next
    }
  }

  clear(): void {
    this.#queues.clear()
  }
}
