import type { Clock } from './clock.ts'

/** Lets so many a second through: whoever spends waits until what was spent before him is due. */
export class Pace {
  readonly #clock: Clock
  readonly #perSecond: number
  readonly #signal: AbortSignal | undefined
  #freeMs: number

  constructor(clock: Clock, perSecond: number, signal?: AbortSignal) {
    this.#clock = clock
    this.#perSecond = perSecond
    this.#signal = signal
    this.#freeMs = clock.monotonicMs()
  }

  async spend(count: number): Promise<void> {
    const now = this.#clock.monotonicMs()
    const waitMs = this.#freeMs - now
    // What was not spent in time is lost: a pause is not made up for.
    this.#freeMs = Math.max(this.#freeMs, now) + (count * 1000) / this.#perSecond
    if (waitMs > 0) await this.#clock.sleep(waitMs, this.#signal)
  }
}
