// A table's declaration, compiled once: rows become arrays of cells in a fixed column order (keys
// first), which is what adapters store, compare and send between threads.

import { assert } from '../base/assert.ts'
import { compareBytes, compareUtf8 } from '../base/bytes.ts'
import type { Cell, ColumnType, Row, TableSpec } from './schema.ts'
import type { ScanOptions } from './tables.ts'

/** One row's cells in the order of `TableShape.columns`; null: the column is absent. */
export type Cells = (Cell | null)[]

/** Two keys of a scan in cells of the clustering columns, and which way it runs. */
export interface ScanBounds {
  readonly after: Cells | undefined
  readonly before: Cells | undefined
  readonly reverse: boolean
  readonly limit: number
}

const shapes = new WeakMap<TableSpec, TableShape>()

/** The compiled declaration, one for each spec object. */
export function shapeOf(spec: TableSpec): TableShape {
  let shape = shapes.get(spec)
  if (!shape) shapes.set(spec, (shape = new TableShape(spec)))
  return shape
}

export class TableShape {
  readonly spec: TableSpec
  /** Partition columns, clustering columns, then the others as declared. */
  readonly columns: readonly string[]
  readonly types: readonly ColumnType[]
  readonly partitionSize: number
  readonly keySize: number
  /** For each clustering column, whether its declared order is descending. */
  readonly descending: readonly boolean[]

  constructor(spec: TableSpec) {
    const keys = [...spec.partition, ...spec.clustering]
    assert(new Set(keys).size === keys.length, `table "${spec.name}": a key column named twice`)
    assert(spec.partition.length > 0, `table "${spec.name}": no partition column`)
    this.spec = spec
    this.columns = [...keys, ...Object.keys(spec.columns).filter((name) => !keys.includes(name))]
    this.types = this.columns.map((name) => spec.columns[name] as ColumnType)
    this.partitionSize = spec.partition.length
    this.keySize = keys.length
    this.descending = spec.clustering.map((name) => spec.descending?.includes(name) ?? false)
  }

  /** All cells of a row. Asserts that keys are there, types fit and no column is unknown. */
  cells(row: object): Cells {
    const cells = this.#take(row, 0, this.columns.length, this.keySize)
    if (Object.keys(row).length > this.columns.length) this.#unknownColumn(row)
    return cells
  }

  /** Cells of the whole key. */
  key(row: object): Cells {
    return this.#take(row, 0, this.keySize, this.keySize)
  }

  /** Cells of the partition columns. */
  partition(row: object): Cells {
    return this.#take(row, 0, this.partitionSize, this.partitionSize)
  }

  row(cells: readonly (Cell | null)[]): Row {
    const row: Record<string, Cell> = {}
    for (let i = 0; i < this.columns.length; i++) {
      const cell = cells[i]
      if (cell !== null && cell !== undefined) row[this.columns[i] as string] = cell
    }
    return row
  }

  /** Asserts that bounds are prefixes of the clustering columns. */
  bounds(options: ScanOptions<TableSpec> | undefined): ScanBounds {
    return {
      after: this.#prefix(options?.after),
      before: this.#prefix(options?.before),
      reverse: options?.reverse ?? false,
      limit: options?.limit ?? Infinity,
    }
  }

  /** Declared order of clustering cells; a shorter prefix compares equal to all rows that carry it. */
  compareClustering(a: Cells, aFrom: number, b: Cells, bFrom: number, size: number): number {
    for (let i = 0; i < size; i++) {
      const order = compareCells(a[aFrom + i] as Cell, b[bFrom + i] as Cell)
      if (order !== 0) return this.descending[i] ? -order : order
    }
    return 0
  }

  index(column: string): number {
    const at = this.columns.indexOf(column)
    assert(at >= 0, () => `table "${this.spec.name}": no column "${column}"`)
    return at
  }

  #take(row: object, from: number, to: number, required: number): Cells {
    const values = row as Record<string, unknown>
    const cells: Cells = []
    for (let i = from; i < to; i++) {
      const name = this.columns[i] as string
      const value = values[name]
      if (value === undefined || value === null) {
        assert(i >= required, () => `table "${this.spec.name}": the key column "${name}" is absent`)
        cells.push(null)
      } else {
        assert(fits(value, this.types[i]), () => this.#misfit(name, value))
        cells.push(value as Cell)
      }
    }
    return cells
  }

  #prefix(key: object | undefined): Cells | undefined {
    if (!key) return undefined
    const values = key as Record<string, unknown>
    const cells: Cells = []
    for (let i = this.partitionSize; i < this.keySize; i++) {
      const name = this.columns[i] as string
      const value = values[name]
      if (value === undefined) break
      assert(fits(value, this.types[i]), () => this.#misfit(name, value))
      cells.push(value as Cell)
    }
    assert(cells.length > 0, `table "${this.spec.name}": a scan bound without clustering columns`)
    for (const name of this.spec.clustering.slice(cells.length))
      assert(values[name] === undefined, `table "${this.spec.name}": a scan bound with a gap`)
    return cells
  }

  #misfit(name: string, value: unknown): string {
    return `table "${this.spec.name}": column "${name}" is ${this.spec.columns[name]}, got ${typeof value} ${String(value)}`
  }

  #unknownColumn(row: object): void {
    for (const name of Object.keys(row))
      assert(name in this.spec.columns, `table "${this.spec.name}": no column "${name}"`)
  }
}

function fits(value: unknown, type: ColumnType | undefined): boolean {
  switch (type) {
    case 'text':
      return typeof value === 'string'
    case 'int':
      return Number.isSafeInteger(value)
    case 'bytes':
      return value instanceof Uint8Array
    case 'bool':
      return typeof value === 'boolean'
    case undefined:
      return false
  }
}

/** Order of two cells of one type: bytes and UTF-8 as memcmp, numbers, false before true. */
export function compareCells(a: Cell, b: Cell): number {
  if (typeof a === 'string') return compareUtf8(a, b as string)
  if (a instanceof Uint8Array) return compareBytes(a, b as Uint8Array)
  return Number(a) - Number(b)
}

export function equalCells(a: Cell | null | undefined, b: Cell | null | undefined): boolean {
  if (a instanceof Uint8Array) return b instanceof Uint8Array && compareBytes(a, b) === 0
  return (a ?? null) === (b ?? null)
}

export function equalRows(a: readonly (Cell | null)[], b: readonly (Cell | null)[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (!equalCells(a[i], b[i])) return false
  return true
}
