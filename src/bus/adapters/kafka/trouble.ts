import type { Clock } from '../../../base/clock.ts'
import { backoffMs } from '../../../base/retry.ts'
import type { Random } from '../../../base/random.ts'
import { say } from './diagnostics.ts'

const BACKOFF = { firstMs: 200, maxMs: 5_000 }

/** One thing that keeps trying: says that it is lost once, and that it is back once. */
export class Trouble {
  readonly #what: string
  readonly #clock: Clock
  readonly #random: Random
  #sinceMs: number | undefined
  #attempt = 0

  constructor(what: string, guests: { clock: Clock; random: Random }) {
    this.#what = what
    this.#clock = guests.clock
    this.#random = guests.random
  }

  /** Notes a failure and waits before the next try: longer each time, up to five seconds. */
  async rest(error: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    if (this.#sinceMs === undefined) {
      this.#sinceMs = this.#clock.monotonicMs()
      say('lost', { what: this.#what, error })
    }
    await this.#clock.sleep(50 + backoffMs(BACKOFF, this.#attempt++, this.#random), signal)
  }

  over(): void {
    if (this.#sinceMs === undefined) return
    say('back', { what: this.#what, afterMs: this.#clock.monotonicMs() - this.#sinceMs })
    this.#sinceMs = undefined
    this.#attempt = 0
  }
}
