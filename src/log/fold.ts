// The state of a project as its lane holds it: a snapshot, and entries applied in order.

import { assert } from '../base/assert.ts'
import type { Entry, Machine } from './machine.ts'
import { FIRST_VIEW } from './tables.ts'
import { nextLineMs } from './time.ts'

export class Fold<Fact, State> {
  readonly state: State
  readonly #machine: Pick<Machine<never, Fact, State, never>, 'fold'>
  #seq: number
  #atMs: number
  #lineMs: number
  #view: number

  constructor(
    machine: Pick<Machine<never, Fact, State, never>, 'fold'>,
    state: State,
    from: {
      readonly seq: number
      readonly atMs: number
      readonly lineMs: number
      readonly view?: number | undefined
    },
  ) {
    this.#machine = machine
    this.state = state
    this.#seq = from.seq
    this.#atMs = from.atMs
    this.#lineMs = from.lineMs
    this.#view = from.view ?? FIRST_VIEW
  }

  get seq(): number {
    return this.#seq
  }

  /** Log time of the last entry. */
  get atMs(): number {
    return this.#atMs
  }

  /** A person's proposal issued before it is not decided any more. */
  get lineMs(): number {
    return this.#lineMs
  }

  /** The current view of the projections. */
  get view(): number {
    return this.#view
  }

  /**
   * Applies the next entry. `nthNewestMs`: see nextLineMs. When the machine throws, the state may be
   * half changed and this fold is of no more use.
   */
  apply(entry: Entry<Fact>, nthNewestMs: number | undefined): void {
    assert(entry.seq === this.#seq + 1, () => `fold of seq ${entry.seq} after ${this.#seq}`)
    assert(entry.atMs >= this.#atMs, () => `log time falls at seq ${entry.seq}`)
    this.#machine.fold(this.state, entry)
    this.#seq = entry.seq
    this.#view = entry.view ?? this.#view
    this.#atMs = entry.atMs
    this.#lineMs = nextLineMs(this.#lineMs, entry.atMs, nthNewestMs)
  }
}
