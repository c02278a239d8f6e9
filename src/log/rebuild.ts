// Fills a view of a project's projections from the first entry on, beside the one in use.

import type { LogGuests } from './guests.ts'
import { Journal } from './journal.ts'
import type { Entry, Machine } from './machine.ts'
import { readMark } from './marks.ts'
import { projection } from './projector.ts'
import { FIRST_GENERATION, WATERMARKS } from './tables.ts'

/**
 * Projects every entry through the current watermark into `intoView`, which must be above the current
 * one; again after a failure it goes on where it stood. Making the view the current one is for a
 * recorded entry of the project's own log: at it the lane brings this view to the seq before, and the
 * old view's watermark row gets `next`.
 * @returns the seq it stands at
 * @throws VarveError UNAVAILABLE, CORRUPT; what the signal was aborted with
 */
export async function rebuild<Fact>(
  guests: LogGuests & { readonly machine: Pick<Machine<never, Fact, never, never>, 'project'> },
  project: string,
  intoView: number,
  signal: AbortSignal,
): Promise<number> {
  const { tables, machine } = guests
  const journal = new Journal<Fact>(guests, project, FIRST_GENERATION)
  const { seq: through } = await readMark(tables, project)
  let at = (await tables.get(WATERMARKS, { project, view: intoView }))?.seq ?? 0
  for await (const block of journal.blocks(at, through)) {
    signal.throwIfAborted()
    const all = await journal.entries(block)
    const entries: readonly Entry<Fact>[] = all.filter(({ seq }) => seq > at && seq <= through)
    await tables.apply(projection(machine, project, intoView, entries))
    at = entries.at(-1)?.seq ?? at
  }
  return at
}
