// Log time and the line of expiry. Invariants:
//  - log time never falls, and neither the rate of entries nor one bad clock can carry it away;
//  - the line never falls. A person's proposal issued before it may have been decided by an entry
//    whose id is no longer kept, so it is not decided any more. What is issued at or after the line
//    was looked up by its sender at that time, so an earlier decision on it is among the kept ids.

import { idTimeMs } from '../model/id.ts'
import type { Id } from '../model/id.ts'

/** How long a person's proposal may be on its way. */
export const HORIZON_MS = 600_000
/** How far a clock may be ahead of ours. */
export const AHEAD_MS = 60_000
/**
 * An id that says it was made within this time before the stamp of its send needs no look-up. No send of
 * it, by any API, bears a stamp earlier than its own time less AHEAD_MS (CLOCK_AHEAD), so all of them
 * lie within YOUNG_MS + AHEAD_MS: far less than the horizon by which ids are kept longer than stamps
 * are taken, and too short for the 2^20 entries by which they are kept longer at up to 15,000 a second.
 */
export const YOUNG_MS = 5_000

/** Whether no decision on the id can be too old for lanes to hold it. */
export function isYoung(id: Id, issuedAtMs: number): boolean {
  return idTimeMs(id) >= issuedAtMs - YOUNG_MS
}

/**
 * Ids are kept for two horizons, and at most this many of the newest. The line is never older than
 * the decision of the newest id but half as many.
 */
export const KEPT_IDS = 2 ** 21

/** The time of the next entry: equal times are allowed, seq is the order. */
export function logTimeMs(lastMs: number, clockMs: number, newestIssuedMs: number): number {
  return Math.max(lastMs, Math.floor(Math.min(clockMs, newestIssuedMs + AHEAD_MS)))
}

/**
 * The line after an entry. `nthNewestMs` is the decision time of the 2^20-th newest id, the
 * entry's own counted as the first; undefined when there are fewer or it is older than kept.
 */
export function nextLineMs(
  lineMs: number,
  entryMs: number,
  nthNewestMs: number | undefined,
): number {
  return Math.max(lineMs, entryMs - HORIZON_MS, nthNewestMs ?? 0)
}
