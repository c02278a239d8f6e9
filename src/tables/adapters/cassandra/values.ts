// Between cells and what the driver takes and gives.

import type { types } from 'cassandra-driver'
import type { Cell, ColumnType } from '../../schema.ts'
import type { Cells, TableShape } from '../../shape.ts'

/** A value of a prepared statement's parameter. */
export type Parameter = string | number | boolean | Buffer | null

export function toParameter(cell: Cell | null | undefined): Parameter {
  if (cell === undefined) return null
  if (cell instanceof Uint8Array) return Buffer.from(cell.buffer, cell.byteOffset, cell.byteLength)
  return cell
}

export function toParameters(cells: readonly (Cell | null)[]): Parameter[] {
  return cells.map(toParameter)
}

/** Cells of a row whose columns were selected in the order of `shape.columns`. */
export function toCells(shape: TableShape, row: types.Row): Cells {
  return shape.columns.map((name, i) => toCell(shape.types[i] as ColumnType, row[name]))
}

function toCell(type: ColumnType, value: unknown): Cell | null {
  if (value === null || value === undefined) return null
  // A Long of the driver. All integers are safe ones.
  if (type === 'int') return Number(value)
  // A copy: what the driver gives is a view that would keep a whole frame alive.
  if (type === 'bytes') return new Uint8Array(value as Buffer)
  return value as string | boolean
}

/** About what a row weighs in a frame. */
export function weightOf(cells: readonly (Cell | null)[]): number {
  let size = 0
  for (const cell of cells)
    size += typeof cell === 'string' || cell instanceof Uint8Array ? cell.length + 4 : 12
  return size
}
