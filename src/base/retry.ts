import type { Clock } from './clock.ts'
import type { Random } from './random.ts'

export interface Backoff {
  readonly firstMs: number
  readonly maxMs: number
}

/** Full jitter: a wait drawn from [0, min(maxMs, firstMs·2^attempt)), so that a crowd spreads out. */
export function backoffMs(backoff: Backoff, attempt: number, random: Random): number {
  return random.next() * Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(attempt, 30))
}

/**
 * Repeats `work` until it returns, the signal is aborted (the last error is thrown), or `retryable`
 * says no. The caller bounds the time by the signal.
 */
export async function retry<T>(
  guests: { clock: Clock; random: Random },
  backoff: Backoff,
  work: (attempt: number) => Promise<T>,
  options: { retryable?: (error: unknown) => boolean; signal?: AbortSignal } = {},
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work(attempt)
    } catch (error) {
      if (options.retryable && !options.retryable(error)) throw error
      if (options.signal?.aborted) throw error
      await guests.clock.sleep(backoffMs(backoff, attempt, guests.random), options.signal)
      if (options.signal?.aborted) throw error
    }
  }
}
