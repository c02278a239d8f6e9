// Compares a filled view with the one in use, while that goes on. What rows there are is known from
// the log: the partitions its entries write. No moment has to be found at which both stand at one seq:
// the row in use is read; the watermark passes all entries there are then, and the new view is brought
// up to it; the row there is read, and the row in use once more. If that did not change, it says what
// the log says at the watermark, and so must the other.

import { assert } from '../base/assert.ts'
import { VarveError } from '../base/errors.ts'
import type { Row, TableSpec } from '../tables/schema.ts'
import { equalRows, shapeOf } from '../tables/shape.ts'
import type { Cells } from '../tables/shape.ts'
import type { FactWrite, Tables } from '../tables/tables.ts'
import type { LogGuests } from './guests.ts'
import { Journal } from './journal.ts'
import type { Machine } from './machine.ts'
import { readMark } from './marks.ts'
import { TOGETHER, fillView, projection } from './projection.ts'
import { FIRST_GENERATION, WATERMARKS } from './tables.ts'

export interface Comparison {
  readonly rows: number
  readonly differing: number
  /** The first few: table, key, which of the views has what. */
  readonly examples: readonly string[]
}

export interface ViewComparing<Fact> {
  readonly guests: LogGuests
  readonly machine: Pick<Machine<never, Fact, never, never>, 'project'>
  readonly project: string
}

export interface Place {
  readonly table: TableSpec
  /** The partition but for its view. */
  readonly partition: Row
}

const EXAMPLES = 10
/** A partition that changes all the time is looked at this often; then the rows that stood still count. */
const LOOKS = 5
const PLACES_A_STEP = 256
const WAITS = 400
const WAIT_MS = 25

/** Yields as it goes; the last one is the whole. @throws VarveError UNAVAILABLE, CORRUPT */
export async function* compareViews<Fact>(
  comparing: ViewComparing<Fact>,
  view: number,
  signal: AbortSignal,
): AsyncGenerator<Comparison> {
  const { guests, machine, project } = comparing
  const { tables } = guests
  const journal = new Journal<Fact>(guests, project, FIRST_GENERATION)
  const { seq: through } = await readMark(tables, project)
  const places = new Map<string, Place>()
  for await (const run of journal.runs(0, through, TOGETHER)) {
    signal.throwIfAborted()
    for (const write of projection(machine, project, view, run)) addPlace(places, write)
  }
  /** Past every entry there is now; false: another view has become the current one. */
  const refill = async (inUse: number): Promise<boolean> => {
    let mark = await readMark(tables, project)
    const known = { seq: mark.seq, write: '', chain: new Uint8Array(0) }
    const head = await journal.head(known)
    for (let waits = 0; mark.seq < head.seq; waits++) {
      signal.throwIfAborted()
      if (waits >= WAITS)
        throw new VarveError(
          'UNAVAILABLE',
          `cannot compare the rows of project "${project}": entries of its log wait to be projected`,
        )
      await guests.clock.sleep(WAIT_MS, signal)
      mark = await readMark(tables, project)
    }
    if (mark.view >= view)
      throw new VarveError(
        'STALE_STATE',
        `cannot compare view ${view} of project "${project}" any further: view ${mark.view} has become the current one`,
      )
    if (mark.view !== inUse) return false
    const filling = fillView(tables, machine, journal, view, mark.seq, signal)
    for await (const _ of filling);
    return true
  }
  let [rows, differing, looked] = [0, 0, 0]
  const examples: string[] = []
  yield { rows, differing, examples: [] }
  for (const place of places.values()) {
    signal.throwIfAborted()
    const found = await compare(tables, project, place, view, refill)
    rows += found.rows
    differing += found.differing.length
    examples.push(...found.differing.slice(0, EXAMPLES - examples.length))
    if (++looked % PLACES_A_STEP === 0) yield { rows, differing, examples: [...examples] }
  }
  yield { rows, differing, examples: [...examples] }
}

/** Adds the partition that a write is in, unless it is known. */
export function addPlace(places: Map<string, Place>, write: FactWrite): void {
  const { table } = write
  if (table === WATERMARKS) return
  assert(table.partition.includes('view'), `table "${table.name}" is projected and has no view`)
  const row = ('put' in write ? write.put : write.remove) as Row
  const name = `${table.name} ${JSON.stringify(table.partition.map((column) => row[column]))}`
  if (places.has(name)) return
  const partition = Object.fromEntries(table.partition.map((column) => [column, row[column]]))
  places.set(name, { table, partition })
}

async function compare(
  tables: Tables,
  project: string,
  { table, partition }: Place,
  view: number,
  refill: (inUse: number) => Promise<boolean>,
): Promise<{ readonly rows: number; readonly differing: readonly string[] }> {
  const read = (of: number): Promise<Map<string, Cells>> =>
    readRows(tables, table, { ...partition, view: of })
  for (let look = 0; ; look++) {
    const inUse = (await readMark(tables, project)).view
    const before = await read(inUse)
    if (look > 0 && !(await refill(inUse))) continue
    const made = await read(view)
    const after = look > 0 ? await read(inUse) : before
    const keys = new Set([...before.keys(), ...made.keys()])
    const still = [...keys].filter((key) => same(before.get(key), after.get(key)))
    const differing = still.filter((key) => !same(before.get(key), made.get(key)))
    if (differing.length === 0) return { rows: keys.size, differing: [] }
    // The first look goes without a refill: most rows are alike already.
    if (look === 0 || (look < LOOKS && still.length < keys.size)) continue
    const text = (cells: Cells | undefined): string => JSON.stringify(cells) ?? 'no row'
    const words = (key: string): string =>
      `${table.name} ${key}: in use ${text(before.get(key))}, made again ${text(made.get(key))}`
    return { rows: keys.size, differing: differing.map(words) }
  }
}

/** Rows by their key, both but for the view. */
export async function readRows(
  tables: Tables,
  table: TableSpec,
  partition: Row,
): Promise<Map<string, Cells>> {
  const shape = shapeOf(table)
  const viewAt = shape.index('view')
  const rows = new Map<string, Cells>()
  for await (const row of tables.scan(table, partition as never)) {
    const cells = shape.cells(row).with(viewAt, null)
    rows.set(JSON.stringify(cells.slice(0, shape.keySize)), cells)
  }
  return rows
}

/** Whether both hold the same, or neither anything. */
export function same(a: Cells | undefined, b: Cells | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalRows(a, b)
}
