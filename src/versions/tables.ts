// The rows of the domain. Projections are keyed by project and view and can be made again from the
// log; `value` is the entity as JSON, the other columns are what it is found by. `runs` and `uploads` are
// truth of their own: what was staged for commits that are still open, or not yet.

import { defineTable } from '../tables/schema.ts'

export const PROJECTS = defineTable({
  name: 'projects',
  kind: 'facts',
  derived: true,
  partition: ['project', 'view'],
  clustering: ['name'],
  columns: { project: 'text', view: 'int', name: 'text', value: 'text' },
})

export const REPOS = defineTable({
  name: 'repos',
  kind: 'facts',
  derived: true,
  partition: ['project', 'view'],
  clustering: ['name'],
  // created_seq: rows of an earlier repo of this name have opened before it.
  columns: { project: 'text', view: 'int', name: 'text', created_seq: 'int', value: 'text' },
})

export const BRANCHES = defineTable({
  name: 'branches',
  kind: 'facts',
  derived: true,
  partition: ['project', 'view', 'repo'],
  clustering: ['branch'],
  columns: { project: 'text', view: 'int', repo: 'text', branch: 'text', value: 'text' },
})

/** The open commit of a person on a branch; `commit_id` is empty when there is none. */
export const OPEN_COMMITS = defineTable({
  name: 'open_commits',
  kind: 'facts',
  derived: true,
  partition: ['project', 'view', 'repo'],
  clustering: ['branch'],
  columns: { project: 'text', view: 'int', repo: 'text', branch: 'text', commit_id: 'text' },
})

/** Newest first within a bucket of SEQ_BUCKET seqs; `seq` is the one it opened at. */
export const COMMITS = defineTable({
  name: 'commits',
  kind: 'facts',
  derived: true,
  partition: ['project', 'view', 'repo', 'bucket'],
  clustering: ['seq', 'branch', 'id'],
  descending: ['seq'],
  columns: {
    project: 'text',
    view: 'int',
    repo: 'text',
    bucket: 'int',
    seq: 'int',
    branch: 'text',
    id: 'text',
    value: 'text',
  },
})

/** Where a commit's row is, and all commits of a set. Ids of one slot were made together. */
export const COMMIT_INDEX = defineTable({
  name: 'commit_index',
  kind: 'facts',
  derived: true,
  partition: ['project', 'view', 'slot'],
  clustering: ['id', 'repo', 'branch'],
  columns: {
    project: 'text',
    view: 'int',
    slot: 'int',
    id: 'text',
    repo: 'text',
    branch: 'text',
    seq: 'int',
  },
})

/** Provenance turned around: what was made directly from a commit. The other way is in its row. */
export const SUBVENANCE = defineTable({
  name: 'subvenance',
  kind: 'facts',
  derived: true,
  partition: ['project', 'view', 'slot'],
  clustering: ['id', 'repo', 'branch', 'below_repo', 'below_branch', 'below_id'],
  columns: {
    project: 'text',
    view: 'int',
    slot: 'int',
    id: 'text',
    repo: 'text',
    branch: 'text',
    below_repo: 'text',
    below_branch: 'text',
    below_id: 'text',
  },
})

export const PIPELINES = defineTable({
  name: 'pipelines',
  kind: 'facts',
  derived: true,
  partition: ['project', 'view'],
  clustering: ['name'],
  columns: { project: 'text', view: 'int', name: 'text', value: 'text' },
})

export const PIPELINE_VERSIONS = defineTable({
  name: 'pipeline_versions',
  kind: 'facts',
  derived: true,
  partition: ['project', 'view', 'name'],
  clustering: ['seq'],
  descending: ['seq'],
  columns: { project: 'text', view: 'int', name: 'text', seq: 'int', value: 'text' },
})

/** As `commits`, by the seq they started at. */
export const JOBS = defineTable({
  name: 'jobs',
  kind: 'facts',
  derived: true,
  partition: ['project', 'view', 'pipeline', 'bucket'],
  clustering: ['seq', 'id'],
  descending: ['seq'],
  columns: {
    project: 'text',
    view: 'int',
    pipeline: 'text',
    bucket: 'int',
    seq: 'int',
    id: 'text',
    value: 'text',
  },
})

export const JOB_INDEX = defineTable({
  name: 'job_index',
  kind: 'facts',
  derived: true,
  partition: ['project', 'view', 'slot'],
  clustering: ['id', 'pipeline'],
  columns: {
    project: 'text',
    view: 'int',
    slot: 'int',
    id: 'text',
    pipeline: 'text',
    seq: 'int',
  },
})

/** The newest ended job that left a datum tree, for each code it ran. */
export const DATUM_TREES = defineTable({
  name: 'datum_trees',
  kind: 'facts',
  derived: true,
  partition: ['project', 'view', 'pipeline'],
  clustering: ['code_key'],
  columns: { project: 'text', view: 'int', pipeline: 'text', code_key: 'text', value: 'text' },
})

export const SPOUTS = defineTable({
  name: 'spouts',
  kind: 'facts',
  derived: true,
  partition: ['project', 'view'],
  clustering: ['name'],
  columns: { project: 'text', view: 'int', name: 'text', value: 'text' },
})

export const EGRESSES = defineTable({
  name: 'egresses',
  kind: 'facts',
  derived: true,
  partition: ['project', 'view'],
  clustering: ['name'],
  columns: { project: 'text', view: 'int', name: 'text', value: 'text' },
})

export const PURGES = defineTable({
  name: 'purges',
  kind: 'facts',
  derived: true,
  partition: ['project', 'view'],
  clustering: ['id'],
  columns: { project: 'text', view: 'int', id: 'text', value: 'text' },
})

/**
 * Staged writes of an open commit, (repo@branch=id). Row GUARD is {state, n, closed, base}: `open`
 * until somebody finishes or abandons it, then `closing` for ever; rows 0 … n−1 are its runs in order, and rows
 * below GUARD hold in `run` the id of the request that staged one, at a place the id comes to. `base` is
 * the tree their authors saw, empty text for none; sessions before `closed` may not add.
 */
export const RUNS = defineTable({
  name: 'runs',
  kind: 'guarded',
  partition: ['project', 'commit_key'],
  clustering: ['row'],
  columns: {
    project: 'text',
    commit_key: 'text',
    row: 'int',
    state: 'text',
    n: 'int',
    closed: 'int',
    base: 'text',
    run: 'text',
    write_id: 'text',
  },
})

export const GUARD = -1

/**
 * Uploads under way and just ended: what came of files too large for one request. Row GUARD is the upload,
 * {state, n, closed, touched_ms, request, value}: `open` takes parts, `finishing` is becoming the commit of
 * `request`, then `done` or `dropped`; n parts have come. Rows from 0 on are its parts, each a tree of
 * puts (`root`) with what is said of it (`value`, JSON). Sessions before `closed` may not add.
 */
export const UPLOADS = defineTable({
  name: 'uploads',
  kind: 'guarded',
  partition: ['project', 'shard'],
  clustering: ['upload', 'row'],
  columns: {
    project: 'text',
    shard: 'int',
    upload: 'text',
    row: 'int',
    state: 'text',
    n: 'int',
    closed: 'int',
    touched_ms: 'int',
    request: 'text',
    root: 'text',
    value: 'text',
    write_id: 'text',
  },
})

export const VERSIONS_TABLES = [
  PROJECTS,
  REPOS,
  BRANCHES,
  OPEN_COMMITS,
  COMMITS,
  COMMIT_INDEX,
  SUBVENANCE,
  PIPELINES,
  PIPELINE_VERSIONS,
  JOBS,
  JOB_INDEX,
  DATUM_TREES,
  SPOUTS,
  EGRESSES,
  PURGES,
  RUNS,
  UPLOADS,
] as const

/** Seqs in one partition of `commits` and `jobs`: with rows of 2 KB, under 10 MB. */
const SEQ_BUCKET = 4_096
const ID_SLOT_MS = 8_000

export function bucketOf(seq: number): number {
  return Math.floor(seq / SEQ_BUCKET)
}

/** The slot of an id's own time. */
export function slotOf(timeMs: number): number {
  return Math.floor(timeMs / ID_SLOT_MS)
}
