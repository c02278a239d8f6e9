// Tells when something this process needs goes away and when it is back, once each.

import { channel } from 'node:diagnostics_channel'
import type { Clock } from '../base/clock.ts'
import type { Health } from '../server/health.ts'

/** {what, error} */
const away = channel('varve:dependency:away')
/** {what, afterMs} */
const back = channel('varve:dependency:back')

const LOOK_MS = 1_000

/** Watches until the signal those whose adapters do not tell it themselves. */
export async function tellDependencies(
  health: Pick<Health, 'dependencies'>,
  names: readonly string[],
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const awaySinceMs = new Map<string, number>()
  while (!signal.aborted) {
    for (const { name, up, error } of health.dependencies()) {
      if (!names.includes(name)) continue
      const sinceMs = awaySinceMs.get(name)
      if (!up && sinceMs === undefined) {
        awaySinceMs.set(name, clock.monotonicMs())
        away.publish({ what: name, error })
      } else if (up && sinceMs !== undefined) {
        awaySinceMs.delete(name)
        back.publish({ what: name, afterMs: Math.round(clock.monotonicMs() - sinceMs) })
      }
    }
    await clock.sleep(LOOK_MS, signal)
  }
}
