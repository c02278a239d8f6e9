// Rows of a partition in pages. Rows weigh from some bytes to half a megabyte: pages begin small and
// grow while they are light. From the second page on the next one is fetched while one is read.

import type { QueryOptions, types } from 'cassandra-driver'
import type { Cells, ScanBounds, TableShape } from '../../shape.ts'
import { segmentsOf, stopsAtBefore } from './cql.ts'
import type { Cql, Segment } from './cql.ts'
import { toCells, toParameters, weightOf } from './values.ts'
import type { Parameter } from './values.ts'

const PAGE_ROWS_FIRST = 64
const PAGE_ROWS_MAX = 5_000
/** A heavier page makes the next one shorter. */
const PAGE_BYTES = 1 << 20
const LIMIT_MAX = 2 ** 31 - 1

type FetchPage = (
  query: string,
  params: Parameter[],
  more: QueryOptions,
) => Promise<types.ResultSet>

export async function* scanPages(
  cql: Cql,
  shape: TableShape,
  partition: Cells,
  bounds: ScanBounds,
  fetchPage: FetchPage,
): AsyncGenerator<Cells[]> {
  const isOver = stopsAtBefore(shape, bounds) ? atOrPast(shape, bounds) : undefined
  let left = bounds.limit
  for (const segment of segmentsOf(shape, bounds)) {
    if (left <= 0) return
    for await (const rows of segmentPages(
      cql,
      shape,
      partition,
      bounds,
      segment,
      left,
      fetchPage,
    )) {
      const end = isOver ? rows.findIndex(isOver) : -1
      const kept = end < 0 ? rows : rows.slice(0, end)
      left -= kept.length
      yield kept
      if (end >= 0) return
    }
  }
}

async function* segmentPages(
  cql: Cql,
  shape: TableShape,
  partition: Cells,
  { reverse }: ScanBounds,
  segment: Segment,
  limit: number,
  fetchPage: FetchPage,
): AsyncGenerator<Cells[]> {
  const isLimited = limit <= LIMIT_MAX
  const query = cql.selectSegment(shape, segment, reverse, isLimited)
  const params = toParameters([...partition, ...segment.parameters])
  if (isLimited) params.push(limit)
  let fetchSize = PAGE_ROWS_FIRST
  let next: Promise<types.ResultSet> | undefined = fetchPage(query, params, { fetchSize })
  for (let n = 0; next; n++) {
    const result: types.ResultSet = await next
    const rows = result.rows.map((row) => toCells(shape, row))
    const bytes = rows.reduce((sum, cells) => sum + weightOf(cells), 0)
    fetchSize =
      bytes > PAGE_BYTES ? Math.max(1, fetchSize >> 2) : Math.min(PAGE_ROWS_MAX, fetchSize * 4)
    // The server takes a page that could hold the whole limit for a query without pages, and begins anew.
    if (isLimited) fetchSize = Math.min(fetchSize, limit - 1)
    const pageState = result.pageState as string | null | undefined
    const more = pageState ? { fetchSize, pageState } : undefined
    next = more && n > 0 ? fetchPage(query, params, more) : undefined
    // A reader that stops early leaves it behind.
    next?.catch(() => undefined)
    yield rows
    if (more && n === 0) next = fetchPage(query, params, more)
  }
}

/** Whether a row stands at or after `before` in scan order. */
function atOrPast(shape: TableShape, { before, reverse }: ScanBounds): (cells: Cells) => boolean {
  const key = before ?? []
  return (cells) => {
    const order = shape.compareClustering(cells, shape.partitionSize, key, 0, key.length)
    return reverse ? order <= 0 : order >= 0
  }
}
