// How long a command waits for a server that is away: it may have been started again.

import { systemClock } from '../base/clock.ts'
import { isVarveError } from '../base/errors.ts'

/** So long it may be away, again and again, before the command gives up. */
const PATIENCE_MS = 60_000
const FIRST_WAIT_MS = 250
const LONGEST_WAIT_MS = 5_000

export class Patience {
  readonly #signal: AbortSignal
  /** When it was first away; undefined: it is there. */
  #sinceMs: number | undefined
  #waitMs = FIRST_WAIT_MS

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  /** It is there: something came. */
  renew(): void {
    this.#sinceMs = undefined
    this.#waitMs = FIRST_WAIT_MS
  }

  /** A while. @throws the error itself, when it is of another kind or patience is at its end */
  async wait(error: unknown): Promise<void> {
    const nowMs = systemClock.monotonicMs()
    this.#sinceMs ??= nowMs
    const isOver = nowMs - this.#sinceMs >= PATIENCE_MS
    if (!isVarveError(error, 'UNAVAILABLE') || isOver || this.#signal.aborted) throw error
    await systemClock.sleep(this.#waitMs, this.#signal)
    this.#waitMs = Math.min(this.#waitMs * 2, LONGEST_WAIT_MS)
  }
}

/** Again while the server is away. */
export async function patiently<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const patience = new Patience(signal)
  for (;;)
    try {
      return await work()
    } catch (error) {
      await patience.wait(error)
    }
}
