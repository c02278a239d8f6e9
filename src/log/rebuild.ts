// A new view of a project's projections, made from its log beside the one in use.

import { VarveError } from '../base/errors.ts'
import { compareViews } from './compare-views.ts'
import type { LogGuests } from './guests.ts'
import { Journal } from './journal.ts'
import type { Answer, Entry, Machine, RebuildStep } from './machine.ts'
import type { Mark } from './marks.ts'
import { freeView, readMark } from './marks.ts'
import { fillView } from './projection.ts'
import { FIRST_GENERATION } from './tables.ts'

/** Entries the lane may be left to fill while readers wait. */
const NEAR = 256
/** A log that grows faster than a view is filled is caught up with by its lane. */
const ROUNDS = 20
const LOOK_MS = 25

export interface RebuildOptions<Fact> {
  readonly guests: LogGuests
  readonly machine: Pick<Machine<never, Fact, never, never>, 'project'>
  readonly project: string
  /** Compare the new view with the one in use, and leave that the current one. */
  readonly check: boolean
  /** Proposes that the view be the current one. */
  readonly propose: (view: number) => Promise<Answer<Fact>>
}

/**
 * Fills a view nobody has begun, then has it made the current one. See Log.rebuild.
 * @throws VarveError STALE_STATE, UNAVAILABLE, CORRUPT; what the signal was aborted with
 */
export async function* rebuild<Fact>(
  options: RebuildOptions<Fact>,
  signal: AbortSignal,
): AsyncGenerator<RebuildStep> {
  const { guests, machine, project } = options
  const { tables, clock } = guests
  const view = await freeView(tables, project)
  const at = { view, seq: 0, through: 0, rows: 0, differing: 0, examples: [] }
  let { seq, through } = at
  for (let round = 0; round < ROUNDS; round++) {
    const mark = await readMark(tables, project)
    // What is projected must be below the entry that replaces the view: see projection.ts.
    if (mark.view >= view) throw overtaken(project, mark)
    if (round > 0 && mark.seq - seq < NEAR) break
    through = mark.seq
    yield { ...at, phase: 'filling', seq, through }
    const journal = new Journal<Fact>(guests, project, FIRST_GENERATION)
    for await (seq of fillView(tables, machine, journal, view, through, signal))
      yield { ...at, phase: 'filling', seq, through }
  }
  if (options.check) {
    let last: RebuildStep = { ...at, phase: 'comparing', seq, through }
    for await (const { rows, differing, examples } of compareViews(options, view, signal))
      yield (last = { ...last, rows, differing, examples })
    yield { ...last, phase: 'done' }
    return
  }
  yield { ...at, phase: 'switching', seq, through }
  const entry = await decided(options, view, signal)
  while ((await readMark(tables, project)).seq < entry.seq) {
    signal.throwIfAborted()
    await clock.sleep(LOOK_MS, signal)
  }
  yield rebuilt(entry)
}

/** @throws VarveError with the code of a refusal */
async function decided<Fact>(
  { propose }: RebuildOptions<Fact>,
  view: number,
  signal: AbortSignal,
): Promise<Entry<Fact>> {
  for (;;) {
    signal.throwIfAborted()
    const answer = await propose(view)
    if (answer.kind === 'notice') throw new VarveError(answer.code, answer.message)
    if (answer.kind === 'pending') continue
    const { decision } = answer.entry
    if ('no' in decision) throw new VarveError(decision.no.code, decision.no.message)
    return answer.entry
  }
}

function overtaken(project: string, { view }: Mark): VarveError {
  return new VarveError(
    'STALE_STATE',
    `cannot rebuild project "${project}" any further: view ${view} has become the current one`,
  )
}

/** The last step of a rebuild that was decided, now or when it was asked for before. */
export function rebuilt(entry: Entry<unknown>): RebuildStep {
  const { view = 0, seq } = entry
  return { phase: 'done', view, seq, through: seq, rows: 0, differing: 0, examples: [] }
}
