// Where a project's projections stand, and in which view.

import type { Tables } from '../tables/tables.ts'
import { FIRST_VIEW, WATERMARKS } from './tables.ts'

export interface Mark {
  readonly view: number
  readonly seq: number
}

/**
 * The current view and its watermark. Beginning at `view`, which was current once (default: the
 * oldest there is), it follows the rows' `next`. @throws VarveError UNAVAILABLE
 */
export async function readMark(tables: Tables, project: string, view?: number): Promise<Mark> {
  let at = view ?? (await oldestView(tables, project))
  let row = await tables.get(WATERMARKS, { project, view: at })
  if (!row && view !== undefined) {
    // The rows of a view that was replaced long ago may have been taken away.
    at = await oldestView(tables, project)
    row = await tables.get(WATERMARKS, { project, view: at })
  }
  while (row?.next !== undefined) {
    at = row.next
    row = await tables.get(WATERMARKS, { project, view: at })
  }
  return { view: at, seq: row?.seq ?? 0 }
}

/** A view nobody has begun. */
export async function freeView(tables: Tables, project: string): Promise<number> {
  let newest = FIRST_VIEW
  for await (const row of tables.scan(WATERMARKS, { project })) newest = Math.max(newest, row.view)
  return newest + 1
}

/** Whoever takes rows away takes the views that were never current before those that were. */
async function oldestView(tables: Tables, project: string): Promise<number> {
  for await (const row of tables.scan(WATERMARKS, { project }, { limit: 1 })) return row.view
  return FIRST_VIEW
}
