// What a glob may cost, and the one error that says it cannot be used.

import { VarveError } from '../../base/errors.ts'

/** States stepped through while the automata of one pattern are unfolded: far under a second. */
const MAX_STEPS = 1_000_000
const SHOWN = 80

export class StepBudget {
  readonly #pattern: string
  #left = MAX_STEPS

  constructor(pattern: string) {
    this.#pattern = pattern
  }

  /** @throws VarveError INVALID_PATH when nothing is left */
  spend(steps: number): void {
    this.#left -= steps
    if (this.#left < 0) throw refuseGlob(this.#pattern, 'it is too complicated to match')
  }
}

export function refuseGlob(pattern: string, why: string): VarveError {
  const shown = pattern.length > SHOWN ? `${pattern.slice(0, SHOWN).toWellFormed()}…` : pattern
  return new VarveError('INVALID_PATH', `cannot use ${JSON.stringify(shown)} as a glob: ${why}`)
}
