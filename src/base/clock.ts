// Time is a guest: rooms get a Clock and never ask the machine. The simulation's clock is virtual.

export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. May jump; compare ages with `monotonicMs`. */
  nowMs(): number
  /** Milliseconds from an arbitrary start; never falls. */
  monotonicMs(): number
  /** Resolves after `ms`, or at once when the signal is aborted (it never rejects). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const done = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal?.addEventListener('abort', done)
    }),
}
