// The rows of the log room. `log` is the truth; the others can be made again from it.

import { defineTable } from '../tables/schema.ts'
import type { RowOf } from '../tables/schema.ts'

/** Seqs in one partition of `log`. */
export const BUCKET_SEQS = 1024
/** Raised only when a project is restored from an older log; part of the log's key. */
export const FIRST_GENERATION = 1
export const FIRST_VIEW = 1
/** Ids of one slot share a partition of `requests`: rows written together lie together. */
const REQUEST_SLOT_MS = 8_000

/**
 * One partition is a bucket of seqs. Its row at first_seq 0 is the guard {head, head_write, chain};
 * the others are blocks {first_seq … last_seq, entries, chain}. A block never crosses a bucket.
 */
export const LOG = defineTable({
  name: 'log',
  kind: 'guarded',
  partition: ['project', 'generation', 'bucket'],
  clustering: ['first_seq'],
  columns: {
    project: 'text',
    generation: 'int',
    bucket: 'int',
    first_seq: 'int',
    last_seq: 'int',
    entries: 'bytes',
    /** hash(chain of the block before, entries); on the guard: of the newest block. */
    chain: 'bytes',
    head: 'int',
    head_write: 'text',
    write_id: 'text',
  },
})

/**
 * How far each view of a project's projections stands. `next` names the view that took its place:
 * the current one is found by following it from the first row.
 */
export const WATERMARKS = defineTable({
  name: 'watermarks',
  kind: 'facts',
  derived: true,
  partition: ['project'],
  clustering: ['view'],
  columns: { project: 'text', view: 'int', seq: 'int', next: 'int' },
})

/** Which seq decided an id. */
export const REQUESTS = defineTable({
  name: 'requests',
  kind: 'facts',
  derived: true,
  partition: ['project', 'view', 'slot'],
  clustering: ['id'],
  columns: { project: 'text', view: 'int', slot: 'int', id: 'text', seq: 'int' },
})

/** Where snapshots of the folded state lie, newest first; each has a row and a blob of its own. */
export const SNAPSHOTS = defineTable({
  name: 'snapshots',
  kind: 'facts',
  partition: ['project', 'generation'],
  clustering: ['seq', 'blob'],
  descending: ['seq'],
  columns: {
    project: 'text',
    generation: 'int',
    seq: 'int',
    blob: 'text',
    size_bytes: 'int',
    hash: 'bytes',
  },
})

export const LOG_TABLES = [LOG, WATERMARKS, REQUESTS, SNAPSHOTS] as const

export type LogRow = RowOf<typeof LOG>

/** The partition that holds a seq (1, 2, 3 …). */
export function bucketOf(seq: number): number {
  return Math.floor((seq - 1) / BUCKET_SEQS)
}

/** The last seq of a bucket. */
export function bucketEnd(bucket: number): number {
  return (bucket + 1) * BUCKET_SEQS
}

/** The `slot` of an id's own time. */
export function requestSlot(idTimeMs: number): number {
  return Math.floor(idTimeMs / REQUEST_SLOT_MS)
}
