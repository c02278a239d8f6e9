// Pools of workers as an API hears of them. They have one keeper that tells of all of them: one it no
// longer tells of is gone, and only when the keeper itself is silent are they unknown.

import type { Clock } from '../base/clock.ts'
import type { PoolStatus } from '../model/pool-status.ts'
import { NOT_REPORTED } from '../server/hindrances.ts'
import type { PoolBoard } from '../server/hindrances.ts'

interface Heard {
  readonly status: PoolStatus
  heardMs: number
}

export class HeardPools implements PoolBoard {
  readonly #clock: Clock
  /** Not heard for this long: nobody keeps them. */
  readonly #agedMs: number
  /** The keeper told of others for this long, and not of this one: it is gone. */
  readonly #goneMs: number
  readonly #heard = new Map<string, Heard>()
  #keeperMs = -Infinity

  constructor(options: { clock: Clock; agedMs: number; goneMs: number }) {
    this.#clock = options.clock
    this.#agedMs = options.agedMs
    this.#goneMs = options.goneMs
  }

  get reported(): boolean {
    return this.#clock.monotonicMs() - this.#keeperMs <= this.#agedMs
  }

  all(): PoolStatus[] {
    const known = [...this.#heard.values()].map(({ status }) => status)
    if (this.reported) return known
    return known.map((status) => ({ ...status, state: 'unknown', cause: NOT_REPORTED }))
  }

  /** Part of what the keeper tells, or all, or that there is none. */
  hear(statuses: readonly PoolStatus[]): void {
    const nowMs = this.#clock.monotonicMs()
    // After a silence the keeper's first words are of some, and the others follow.
    if (!this.reported) for (const one of this.#heard.values()) one.heardMs = nowMs
    this.#keeperMs = nowMs
    for (const status of statuses)
      this.#heard.set(`${status.project}/${status.pool}`, { status, heardMs: nowMs })
    for (const [key, { heardMs }] of this.#heard)
      if (nowMs - heardMs > this.#goneMs) this.#heard.delete(key)
  }
}
