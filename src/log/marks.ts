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
  for (;;) {
    const row = await tables.get(WATERMARKS, { project, view: at })
    if (row?.next === undefined) return { view: at, seq: row?.seq ?? 0 }
    at = row.next
  }
}

async function oldestView(tables: Tables, project: string): Promise<number> {
  for await (const row of tables.scan(WATERMARKS, { project }, { limit: 1 })) return row.view
  return FIRST_VIEW
}
