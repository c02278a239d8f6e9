// Rows in maps, for tests and the simulation. Every call runs whole in one turn of the event loop.

import { assert } from '../../base/assert.ts'
import { guardedCells, holds } from '../guard.ts'
import type {
  Cell,
  FactsSpec,
  GuardedSpec,
  KeyOf,
  PartitionOf,
  RowOf,
  TableSpec,
} from '../schema.ts'
import { equalRows, shapeOf } from '../shape.ts'
import type { Cells, TableShape } from '../shape.ts'
import type { FactWrite, GuardedWrite, Outcome, ScanOptions, Tables, Version } from '../tables.ts'

interface Stored {
  /** Of a removed row only the key matters. */
  cells: Cells
  version: Version
  gone: boolean
  expiresMs: number
}

export class MemoryTables implements Tables {
  /** table → partition → rows in clustering order, removed ones included. */
  readonly #tables = new Map<string, Map<string, Stored[]>>()
  readonly #nowMs: () => number

  /** `nowMs` is asked only for tables whose rows expire. */
  constructor(options: { nowMs?: () => number } = {}) {
    this.#nowMs = options.nowMs ?? (() => Date.now())
  }

  get<T extends TableSpec>(
    table: T,
    key: KeyOf<T>,
    _options?: { serial?: boolean },
  ): Promise<RowOf<T> | undefined> {
    const shape = shapeOf(table)
    const cells = this.#live(shape, shape.key(key))
    return Promise.resolve(cells && (shape.row(cells) as RowOf<T>))
  }

  async *scan<T extends TableSpec>(
    table: T,
    partition: PartitionOf<T>,
    options?: ScanOptions<T>,
  ): AsyncIterable<RowOf<T>> {
    const shape = shapeOf(table)
    const bounds = shape.bounds(options)
    const rows = this.#rows(shape, shape.partition(partition))
    const found: Cells[] = []
    const { after, before, reverse, limit } = bounds
    const low = reverse ? before : after
    const high = reverse ? after : before
    const begin = low ? position(shape, rows, low, 0, true) : 0
    const end = high ? position(shape, rows, high, 0, false) : rows.length
    for (let n = 0; n < end - begin && found.length < limit; n++) {
      const row = rows[reverse ? end - 1 - n : begin + n] as Stored
      if (this.#isLive(row)) found.push(row.cells)
    }
    for (const cells of found) yield shape.row(cells) as RowOf<T>
  }

  put<T extends FactsSpec>(table: T, rows: readonly RowOf<T>[], at: Version): Promise<void> {
    return this.apply(rows.map((row) => ({ table, put: row, at })))
  }

  remove<T extends FactsSpec>(table: T, key: KeyOf<T>, at: Version): Promise<void> {
    return this.apply([{ table, remove: key, at }])
  }

  async apply(writes: readonly FactWrite[]): Promise<void> {
    for (const write of writes) {
      const { table, at } = write
      const shape = shapeOf(table)
      assert(table.kind === 'facts', `table "${table.name}" takes conditional writes only`)
      assert(Number.isSafeInteger(at) && at >= 0, `table "${table.name}": version ${at}`)
      if ('put' in write) this.#write(shape, shape.cells(write.put), at, false)
      else this.#write(shape, shape.key(write.remove), at, true)
    }
  }

  async writeIf<T extends GuardedSpec>(
    table: T,
    write: GuardedWrite<T>,
  ): Promise<Outcome<RowOf<T>>> {
    assert(table.kind === 'guarded', `table "${table.name}" takes versioned puts only`)
    const shape = shapeOf(table)
    const guarded = guardedCells(table, write)
    const current = this.#live(shape, guarded.guardKey)
    if (!holds(guarded.expect, current))
      return { kind: 'refused', current: current && (shape.row(current) as RowOf<T>) }
    const rows = this.#rows(shape, guarded.partition)
    for (const key of guarded.remove) {
      const at = position(shape, rows, key, shape.partitionSize, false)
      if (at < rows.length && sameClustering(shape, rows[at] as Stored, key)) rows.splice(at, 1)
    }
    for (const cells of guarded.put) this.#place(shape, rows, cells, 0, false)
    return { kind: 'applied' }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #write(shape: TableShape, cells: Cells, at: Version, gone: boolean): void {
    const rows = this.#rows(shape, cells)
    const index = position(shape, rows, cells, shape.partitionSize, false)
    const stored = rows[index]
    if (stored && sameClustering(shape, stored, cells)) {
      if (stored.version > at) return
      if (stored.version === at) {
        const equal = stored.gone === gone && (gone || equalRows(stored.cells, cells))
        assert(
          equal,
          () =>
            `table "${shape.spec.name}": two different writes of ${JSON.stringify(cells.slice(0, shape.keySize))} at version ${at}`,
        )
        return
      }
    }
    this.#place(shape, rows, cells, at, gone)
  }

  #place(shape: TableShape, rows: Stored[], given: Cells, version: Version, gone: boolean): void {
    const cells = given.map((cell) => (cell instanceof Uint8Array ? cell.slice() : cell))
    const ttl = shape.spec.ttlSeconds
    const expiresMs = ttl === undefined ? Infinity : this.#nowMs() + ttl * 1000
    const index = position(shape, rows, cells, shape.partitionSize, false)
    const stored = rows[index]
    const row: Stored = { cells, version, gone, expiresMs }
    rows.splice(index, stored && sameClustering(shape, stored, cells) ? 1 : 0, row)
  }

  #live(shape: TableShape, key: Cells): Cells | undefined {
    const rows = this.#rows(shape, key)
    const stored = rows[position(shape, rows, key, shape.partitionSize, false)]
    const found = stored && sameClustering(shape, stored, key) && this.#isLive(stored)
    return found ? stored.cells : undefined
  }

  #isLive(row: Stored): boolean {
    return !row.gone && (row.expiresMs === Infinity || row.expiresMs > this.#nowMs())
  }

  #rows(shape: TableShape, key: Cells): Stored[] {
    let partitions = this.#tables.get(shape.spec.name)
    if (!partitions) this.#tables.set(shape.spec.name, (partitions = new Map()))
    const name = partitionName(key, shape.partitionSize)
    let rows = partitions.get(name)
    if (!rows) partitions.set(name, (rows = []))
    return rows
  }
}

function partitionName(key: readonly (Cell | null)[], size: number): string {
  let name = ''
  for (let i = 0; i < size; i++) {
    const text = String(key[i])
    name += `${text.length}:${text}`
  }
  return name
}

/** The first row not before `key` (or, `past`, the first after all rows that carry it). */
function position(
  shape: TableShape,
  rows: readonly Stored[],
  key: Cells,
  keyFrom: number,
  past: boolean,
): number {
  const size = Math.min(key.length - keyFrom, shape.keySize - shape.partitionSize)
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const cells = (rows[middle] as Stored).cells
    const order = shape.compareClustering(cells, shape.partitionSize, key, keyFrom, size)
    if (order < 0 || (past && order === 0)) low = middle + 1
    else high = middle
  }
  return low
}

function sameClustering(shape: TableShape, row: Stored, key: Cells): boolean {
  const from = shape.partitionSize
  return shape.compareClustering(row.cells, from, key, from, shape.keySize - from) === 0
}
