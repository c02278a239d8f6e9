// What this process owns among several of its kind: one lease a thing, kept by one heartbeat.

import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import { Leases } from '../tables/lease.ts'
import type { Tables } from '../tables/tables.ts'
import type { Own } from '../versions/row-runners.ts'

/** Who wants many things at once waits longer for each, so that processes that start together share. */
const HOLD_BACK_MS = 150
const HOLD_BACK_MAX_MS = 3_000

export class Ownership {
  readonly #leases: Leases
  readonly #guests: { clock: Clock; random: Random }
  #wanted = 0
  #held = 0

  /** `owner` names this run of the process and no other, for ever. */
  constructor(options: { tables: Tables; clock: Clock; random: Random; owner: string }) {
    this.#leases = new Leases(options)
    this.#guests = { clock: options.clock, random: options.random }
  }

  /** Leases kept now. */
  get held(): number {
    return this.#held
  }

  /** Owns things of one kind. */
  of(kind: string): Own {
    return async (name, signal, work) => {
      const { clock, random } = this.#guests
      const holdBackMs = Math.min(HOLD_BACK_MAX_MS, HOLD_BACK_MS * this.#wanted)
      this.#wanted++
      try {
        await clock.sleep(random.next() * holdBackMs, signal)
        await this.#leases.keep(`${kind}/${name}`, signal, async (_token, ours) => {
          this.#held++
          try {
            await work(ours)
          } finally {
            this.#held--
          }
        })
      } finally {
        this.#wanted--
      }
    }
  }
}
