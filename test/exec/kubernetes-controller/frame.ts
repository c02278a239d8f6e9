// What every test beside the fake API server needs: a wait on the virtual clock, and no error that is lost.

import { afterEach, beforeEach, expect } from 'vitest'
import type { Clock } from '../../../src/base/clock.ts'

const MOST_MS = 3_600_000

/** How long it took until it was so; fails after an hour of the clock, with what is told then. */
export async function until(
  clock: Clock,
  so: () => boolean,
  told: () => unknown = () => undefined,
): Promise<number> {
  const startMs = clock.monotonicMs()
  while (!so()) {
    if (clock.monotonicMs() - startMs > MOST_MS)
      throw new Error(`never; at last ${JSON.stringify(told(), undefined, 1)}`)
    await clock.sleep(10)
  }
  return clock.monotonicMs() - startMs
}

/** Errors nobody caught fail the test. `end` stops what runs. */
export function noErrorIsLost(end: () => Promise<void>): void {
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  beforeEach(() => void process.on('unhandledRejection', note))
  afterEach(async () => {
    await end()
    process.off('unhandledRejection', note)
    expect(unhandled.splice(0)).toEqual([])
  })
}
