// What crosses between the caller's thread and the writer's: arrays, because objects cost more to
// clone, and never errors, because they lose their class on the way.

import type { GuardedCells } from '../guard.ts'
import type { TableSpec } from '../schema.ts'
import type { Cells } from '../shape.ts'
import type { Version } from '../tables.ts'

export interface WriterOptions {
  readonly file: string
  readonly tables: readonly TableSpec[]
  /** An upper bound of the database in pages of 4 KiB: writes beyond end with DISK_FULL. */
  readonly maxPages: number | undefined
}

/** [index of the table, version, removed, cells of the row or, if removed, of its key] */
export type FactJobRow = readonly [table: number, version: Version, gone: boolean, cells: Cells]

export type Job =
  | readonly [id: number, kind: 'facts', rows: readonly FactJobRow[]]
  | readonly [id: number, kind: 'guarded', table: number, write: GuardedCells]

export type JobResult =
  | readonly [id: number, kind: 'done']
  | readonly [id: number, kind: 'refused', current: Cells | null]
  /** The caller asked for something no correct program asks for. */
  | readonly [id: number, kind: 'wrong', message: string]
  /** `never`: it did not happen and will not. */
  | readonly [id: number, kind: 'failed', message: string, full: boolean, never: boolean]

export type ToWriter = readonly Job[] | 'close'
export type FromWriter = readonly JobResult[] | 'open' | 'closed' | { readonly cannotOpen: string }
