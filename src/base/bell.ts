import type { Clock } from './clock.ts'

/** Wakes one waiter before its time; a ring nobody waits for wakes the next who will. */
export class Bell {
  #rung = false
  #wake: (() => void) | undefined

  ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  /** Resolves at a ring, after `ms`, or with the signal. */
  async wait(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
    if (!this.#rung && ms > 0 && !signal?.aborted) {
      const woken = new AbortController()
      const wake = (): void => woken.abort()
      this.#wake = wake
      signal?.addEventListener('abort', wake)
      await clock.sleep(ms, woken.signal)
      signal?.removeEventListener('abort', wake)
      this.#wake = undefined
    }
    this.#rung = false
  }
}
