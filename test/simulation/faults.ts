// What happens to a call of a port. Swarm: each seed draws which faults are on and how often, so that
// some seeds know only one kind; systematic: one chosen fault at one chosen call.

import type { World } from './world.ts'

export type CallOutcome =
  | 'ok'
  /** Not executed, and the caller is told. */
  | 'fail'
  /** Executed, and the answer lost. */
  | 'lost-reply'
  /** Not executed, and no answer. */
  | 'lost-request'
  /** Executed after the caller gave up waiting. */
  | 'late'
  | 'slow'
  | 'crash-before'
  /** The process dies; what it asked for is carried out. */
  | 'crash-after'

export const FAULTS: readonly Exclude<CallOutcome, 'ok'>[] = [
  'fail',
  'lost-reply',
  'lost-request',
  'late',
  'slow',
  'crash-before',
  'crash-after',
]

export interface Faults {
  outcome(process: string, call: string): CallOutcome
  /** Of one bus message for one subscriber. */
  bus(): { lost: boolean; copies: number; delayMs: number }
  /** Whether all members of a group believe that this message is theirs. */
  shares(): boolean
  landed: number
}

export class SwarmFaults implements Faults {
  readonly #world: World
  readonly #rates: readonly (readonly [Exclude<CallOutcome, 'ok'>, number])[]
  readonly #loss: number
  readonly #copy: number
  readonly #reorder: number
  readonly #share: number
  /** Faults come in storms with rests between. */
  readonly #stormMs: number
  on = true
  landed = 0

  constructor(world: World) {
    this.#world = world
    const rate = (most: number): number =>
      world.chance(0.5) ? 0 : most * 10 ** -world.between(0, 1.5)
    this.#rates = FAULTS.map(
      (fault) => [fault, rate(fault.startsWith('crash') ? 0.02 : 0.12)] as const,
    )
    this.#loss = world.chance(0.1) ? 1 : rate(0.5)
    this.#copy = rate(0.3)
    this.#reorder = rate(0.5)
    this.#share = world.chance(0.2) ? 1 : rate(0.3)
    this.#stormMs = world.between(1_000, 6_000)
  }

  outcome(): CallOutcome {
    if (!this.on || this.#rests()) return 'ok'
    let draw = this.#world.random.next()
    for (const [fault, probability] of this.#rates) {
      if (draw < probability) {
        this.landed++
        return fault
      }
      draw -= probability
    }
    return 'ok'
  }

  bus(): { lost: boolean; copies: number; delayMs: number } {
    const quick = this.#world.between(0.2, 3)
    if (!this.on) return { lost: false, copies: 1, delayMs: quick }
    const lost = this.#world.chance(this.#loss)
    const copies = this.#world.chance(this.#copy) ? 2 : 1
    const late = this.#world.chance(this.#reorder)
    if (lost || copies > 1 || late) this.landed++
    return { lost, copies, delayMs: late ? this.#world.between(1, 800) : quick }
  }

  shares(): boolean {
    if (!this.on || this.#rests() || !this.#world.chance(this.#share)) return false
    this.landed++
    return true
  }

  #rests(): boolean {
    return Math.floor(this.#world.nowMs / this.#stormMs) % 3 === 2
  }
}

/** Counts calls and lands one fault at the n-th. */
export class OneFault implements Faults {
  readonly #at: number
  readonly #fault: CallOutcome
  calls = 0
  landed = 0

  constructor(at: number, fault: CallOutcome) {
    this.#at = at
    this.#fault = fault
  }

  outcome(): CallOutcome {
    if (this.calls++ !== this.#at) return 'ok'
    this.landed++
    return this.#fault
  }

  bus(): { lost: boolean; copies: number; delayMs: number } {
    return { lost: false, copies: 1, delayMs: 1 }
  }

  shares(): boolean {
    return false
  }
}
