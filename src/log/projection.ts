// The rows of entries in one view, and the step from one view to the next.
//
// Invariants of the rows of WATERMARKS:
//  - a view's mark says that all rows of the view through that seq are written; it is written last.
//  - its version is its seq; that of the mark which names `next` is the seq of the entry that made
//    `next` the current view. Nothing is projected into a replaced view at or past that entry, so the
//    mark that names `next` stands for ever.
//  - `next` is named only when that view stands at the seq before the entry. So whoever goes from a
//    view to its next one finds there all he has read, and whoever stays reads what was so before.
// All of it depends on nothing but the entries: two lanes that do it at once write the same rows.

import { assert } from '../base/assert.ts'
import { idTimeMs } from '../model/id.ts'
import type { FactWrite, Tables } from '../tables/tables.ts'
import { putFact } from '../tables/tables.ts'
import type { Journal } from './journal.ts'
import type { Entry, Machine } from './machine.ts'
import { REQUESTS, WATERMARKS, requestSlot } from './tables.ts'

type Projecting<Fact> = Pick<Machine<never, Fact, never, never>, 'project'>

/** Entries projected together when a view lags behind its log. */
export const TOGETHER = 1024

/** The rows of a dense run for one view, the watermark last. */
export function projection<Fact>(
  machine: Projecting<Fact>,
  project: string,
  view: number,
  entries: readonly Entry<Fact>[],
): FactWrite[] {
  const writes = machine.project(project, view, entries)
  let seq = 0
  for (const entry of entries) {
    const { id } = entry
    seq = entry.seq
    writes.push(putFact(REQUESTS, { project, view, slot: requestSlot(idTimeMs(id)), id, seq }, seq))
  }
  writes.push({ ...putFact(WATERMARKS, { project, view, seq }, seq), after: true })
  return writes
}

/** From the entry at seq `at` on `next` is the current view; `view` stands at the seq before. */
export function replaced(project: string, view: number, at: number, next: number): FactWrite {
  assert(next > view, `view ${next} cannot take the place of view ${view}`)
  return putFact(WATERMARKS, { project, view, seq: at - 1, next }, at)
}

/**
 * Projects into a view what it lacks through `through`, which must be below the entry that replaces
 * this view, if there is one. Yields the seq it stands at, as it goes; begun again it goes on there.
 * @throws VarveError UNAVAILABLE, CORRUPT; what the signal was aborted with
 */
export async function* fillView<Fact>(
  tables: Tables,
  machine: Projecting<Fact>,
  journal: Journal<Fact>,
  view: number,
  through: number,
  signal: AbortSignal,
): AsyncGenerator<number> {
  const { project } = journal
  const mark = await tables.get(WATERMARKS, { project, view })
  const runs = journal.runs(mark?.seq ?? 0, through, TOGETHER)
  const read = (): ReturnType<typeof runs.next> => {
    const next = runs.next()
    next.catch(() => {}) // it is awaited in its turn
    return next
  }
  // The next run is read while this one is written.
  for (let next = read(); ;) {
    const run = await next
    signal.throwIfAborted()
    if (run.done) return
    next = read()
    await tables.apply(projection(machine, project, view, run.value))
    yield run.value.at(-1)?.seq ?? 0
  }
}
