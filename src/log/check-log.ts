// Whether a project's log is whole and its rows say what it says, for a store that nobody writes to. The
// rows are made again into tables of their own; the store's are only read.
//
// Checked: entries dense, each block follows by its hash from the one before, big entries are what was
// hashed (I2); one decision for an id (I1); rows of the view in use are those made again (I4). What must
// hold of the facts themselves the caller looks at, entry by entry.

import { equalBytes } from '../base/bytes.ts'
import type { Check } from '../base/check.ts'
import { VarveError, isVarveError } from '../base/errors.ts'
import { idTimeMs } from '../model/id.ts'
import type { Cells } from '../tables/shape.ts'
import type { Tables } from '../tables/tables.ts'
import { addPlace, readRows, same } from './compare-views.ts'
import type { Place, ViewComparing } from './compare-views.ts'
import { Journal } from './journal.ts'
import type { Head } from './journal.ts'
import type { Entry } from './machine.ts'
import { readMark } from './marks.ts'
import { fillView, projection, TOGETHER } from './projection.ts'
import { FIRST_GENERATION, REQUESTS, requestSlot } from './tables.ts'

export interface LogChecking<Fact> extends ViewComparing<Fact> {
  /** Empty, of the same shapes; filled here. */
  readonly made: Tables
  /** Given every entry in order, and asked at the end; not if the log is not whole. */
  readonly history: {
    entry(entry: Entry<Fact>): void
    checks(): Iterable<Check>
  }
}

const EXAMPLES = 3

/** @throws VarveError UNAVAILABLE; what the signal was aborted with */
export async function* checkLog<Fact>(
  checking: LogChecking<Fact>,
  signal: AbortSignal,
): AsyncGenerator<Check> {
  const { guests, history, project } = checking
  const journal = new Journal<Fact>(guests, project, FIRST_GENERATION)
  const what = `log of project "${project}"`
  let head: Head
  try {
    head = await wholeLog(journal, (entry) => history.entry(entry), signal)
  } catch (error) {
    if (!isVarveError(error, 'CORRUPT')) throw error
    const remedy =
      'put the tables back from a copy; what the log says from this entry on cannot be trusted'
    return yield { what, state: 'failed', found: error.message, remedy }
  }
  if (head.seq === 0) return yield { what, state: 'ok', found: 'empty' }
  yield { what, state: 'ok', found: `${head.seq} entries, dense; the chain of hashes holds` }
  yield* history.checks()
  const mark = await readMark(guests.tables, project)
  if (mark.seq > head.seq)
    return yield rowsFailed(project, `they stand at entry ${mark.seq} of ${head.seq}`)
  yield* checkRows(checking, journal, mark, head.seq, signal)
}

/** @returns where it ends @throws VarveError CORRUPT */
async function wholeLog<Fact>(
  journal: Journal<Fact>,
  take: (entry: Entry<Fact>) => void,
  signal: AbortSignal,
): Promise<Head> {
  const genesis = journal.genesis()
  const head = await journal.head(genesis)
  let chain = genesis.chain
  for await (const block of journal.blocksFrom(genesis, head.seq)) {
    signal.throwIfAborted()
    for (const entry of await journal.entries(block)) take(entry)
    chain = block.chain
  }
  if (!equalBytes(chain, head.chain))
    throw new VarveError(
      'CORRUPT',
      `cannot trust the log of project "${journal.project}": its guard names another chain of hashes`,
    )
  return head
}

async function* checkRows<Fact>(
  { guests: { tables }, machine, project, made }: LogChecking<Fact>,
  journal: Journal<Fact>,
  mark: { readonly view: number; readonly seq: number },
  head: number,
  signal: AbortSignal,
): AsyncGenerator<Check> {
  const { view } = mark
  for await (const _ of fillView(made, machine, journal, view, mark.seq, signal));
  const places = new Map<string, Place>()
  const twice: string[] = []
  for await (const run of journal.runs(0, mark.seq, TOGETHER)) {
    signal.throwIfAborted()
    for (const write of projection(machine, project, view, run)) addPlace(places, write)
    for (const { id, seq } of run) {
      const row = await made.get(REQUESTS, { project, view, slot: requestSlot(idTimeMs(id)), id })
      if (row?.seq !== seq) twice.push(`${id} at ${seq} and ${row?.seq}`)
    }
  }
  yield decided(project, mark.seq, twice)

  const read = (of: Tables, { table, partition }: Place): Promise<Map<string, Cells>> =>
    readRows(of, table, { ...partition, view })
  let rows = 0
  const doubtful: { place: Place; key: string; found: Cells | undefined }[] = []
  for (const place of places.values()) {
    signal.throwIfAborted()
    const found = await read(tables, place)
    const meant = await read(made, place)
    const keys = new Set([...found.keys(), ...meant.keys()])
    rows += keys.size
    for (const key of keys)
      if (!same(found.get(key), meant.get(key)))
        doubtful.push({ place, key, found: found.get(key) })
  }
  // A server that was killed may have written rows of entries past the watermark: they may be so, too.
  for await (const _ of fillView(made, machine, journal, view, head, signal));
  const differing: string[] = []
  for (const { place, key, found } of doubtful)
    if (head === mark.seq || !same(found, (await read(made, place)).get(key)))
      differing.push(`${place.table.name} ${key}`)
  const what = `rows of project "${project}"`
  if (differing.length > 0)
    yield rowsFailed(
      project,
      `${differing.length} of ${rows} differ from its log: ${few(differing)}`,
    )
  else yield { what, state: 'ok', found: `all ${rows} are what its log says` }
}

function decided(project: string, seq: number, twice: readonly string[]): Check {
  const what = `decisions of project "${project}"`
  if (twice.length === 0) return { what, state: 'ok', found: `${seq}, each of an id of its own` }
  const remedy = 'report it with the log: no server should have written that'
  return { what, state: 'failed', found: `ids decided twice: ${few(twice)}`, remedy }
}

function rowsFailed(project: string, found: string): Check {
  const remedy = `start the server and run varve rebuild ${project}: the log is right, rows follow from it`
  return { what: `rows of project "${project}"`, state: 'failed', found, remedy }
}

function few(all: readonly string[]): string {
  const more = all.length - EXAMPLES
  return all.slice(0, EXAMPLES).join('; ') + (more > 0 ? ` and ${more} more` : '')
}
