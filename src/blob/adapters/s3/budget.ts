import type { Clock } from '../../../base/clock.ts'

/**
 * How much may be asked on top of what callers asked for: a bucket of tokens, filled by work that is
 * asked for and a little by time. With it a store in trouble gets at most that share more, never a
 * multiple; without it every layer's retries would multiply the load just when it hurts.
 */
export class ExtraBudget {
  readonly #limits: {
    readonly capacity: number
    readonly share: number
    readonly perSecond: number
  }
  readonly #clock: Clock
  #tokens: number
  #atMs: number

  /** @param limits `share`: extra requests per request asked for */
  constructor(
    clock: Clock,
    limits: { readonly capacity: number; readonly share: number; readonly perSecond: number },
  ) {
    this.#clock = clock
    this.#limits = limits
    this.#tokens = limits.capacity
    this.#atMs = clock.monotonicMs()
  }

  /** A request that a caller asked for. */
  asked(): void {
    this.#add(this.#limits.share)
  }

  /** Whether one more may be sent now. */
  take(): boolean {
    const nowMs = this.#clock.monotonicMs()
    this.#add(((nowMs - this.#atMs) / 1000) * this.#limits.perSecond)
    this.#atMs = nowMs
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  #add(tokens: number): void {
    this.#tokens = Math.min(this.#limits.capacity, this.#tokens + tokens)
  }
}
