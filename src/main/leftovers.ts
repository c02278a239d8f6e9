// Uploads in parts that were never ended: a store keeps and charges for them, and lists them nowhere
// else. One of all processes takes them away once a day.

import type { Clock } from '../base/clock.ts'
import { VarveError } from '../base/errors.ts'
import { trouble } from '../pipelines/trouble.ts'
import type { Own } from '../versions/row-runners.ts'

const DAY_MS = 86_400_000

/** Until the signal. A live upload lasts minutes: what is a day old is nobody's. */
export function sweepLeftovers(
  guests: {
    readonly own: Own
    readonly clock: Clock
    readonly abort: (olderThanMs: number) => Promise<number>
  },
  signal: AbortSignal,
): Promise<void> {
  const { own, clock, abort } = guests
  return own('leftovers', signal, async (ours) => {
    while (!ours.aborted) {
      try {
        await abort(DAY_MS)
      } catch (error) {
        if (!(error instanceof VarveError)) throw error
        trouble('taking away unfinished uploads', error)
      }
      await clock.sleep(DAY_MS, ours)
    }
  })
}
