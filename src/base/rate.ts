import type { Clock } from './clock.ts'

const HALF_LIFE_MS = 3_000

/** How many a second lately: an average that forgets by halves every 3 s. */
export class Rate {
  readonly #clock: Clock
  readonly #startedMs: number
  #weight = 0
  #lastMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startedMs = clock.monotonicMs()
    this.#lastMs = this.#startedMs
  }

  add(count: number): void {
    this.#decay()
    this.#weight += count
  }

  get perSecond(): number {
    this.#decay()
    // The whole weight of a steady rate r (per ms) is r · HALF_LIFE / ln 2; less while it is young.
    const span =
      (HALF_LIFE_MS / Math.LN2) * (1 - 2 ** -((this.#lastMs - this.#startedMs) / HALF_LIFE_MS))
    return span < 1 ? 0 : Math.round((this.#weight * 1000) / span)
  }

  #decay(): void {
    const now = this.#clock.monotonicMs()
    this.#weight *= 2 ** -((now - this.#lastMs) / HALF_LIFE_MS)
    this.#lastMs = now
  }
}
