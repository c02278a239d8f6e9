// What a public event says of each noun. One declaration gives the `data` of the server-sent event
// and the Avro value on the topic: the same fields under the same names. What was released stays as
// it is; a new field is one of orNull, listOf or mapOf with the `since` of its schema's new version.

import { field, record } from './shape.ts'
import type { DataOf } from './shape.ts'

/** Begins every event of an entry. */
export const COMMON = {
  project: field('string', 'Name of the project: the unit of order'),
  seq: field('long', 'Place of the entry in the log of the project: 1, 2, 3 and so on'),
  atMicros: field('micros', 'Log time of the entry; it never falls within a project'),
  principal: field('string', 'Who asked for what happened'),
  request: field('string', 'Id of the request that was decided, 32 hex digits'),
  cause: field({ orNull: 'string' }, 'Id of the request that led to this one, if one did'),
} as const

const BRANCH_REF = record('BranchRef', 'A branch of a repo of the same project', {
  repo: field('string', 'Name of the repo'),
  branch: field('string', 'Name of the branch'),
})

const COMMIT_REF = record('CommitRef', 'A commit of the same project', {
  repo: field('string', 'Name of the repo'),
  branch: field('string', 'Name of the branch'),
  id: field('string', 'Id of the commit, 32 hex digits; all commits of one commit set share it'),
})

const WHY = record('Why', 'Why something ended, or will end, without a result', {
  code: field(
    'string',
    'INPUT_FAILED, SUPERSEDED, DATUM_FAILED, OUTPUT_CONFLICT, CODE_FAILED or STOPPED; more may come',
  ),
  text: field('string', 'For people: names and numbers'),
  commit: field({ orNull: COMMIT_REF }, 'The commit that is to blame, if one is'),
})

const STATS = record('TreeStats', 'What a tree of files holds', {
  files: field('long', 'Number of files'),
  bytes: field('long', 'Bytes in all files together'),
})

const FEED = record('Feed', 'What a commit holds of a feed', {
  spout: field('string', 'Name of the spout that made the commit'),
  ranges: field(
    {
      mapOf: record('SourceRange', 'Part of a feed, from inclusive, to exclusive', {
        from: field({ orNull: 'string' }, 'Position of the first record; null: the very start'),
        to: field('string', 'Position behind the last record'),
      }),
    },
    'By part of the feed (topic/partition, name of a file): from where to where',
  ),
})

export const REPO = {
  repo: field('string', 'Name of the repo'),
  pipeline: field({ orNull: 'string' }, 'The pipeline that owns it; only its jobs write there'),
} as const

export const BRANCH = {
  repo: field('string', 'Name of the repo'),
  branch: field('string', 'Name of the branch'),
  head: field({ orNull: 'string' }, 'Id of its newest good commit: what reading the branch reads'),
  pipeline: field({ orNull: 'string' }, 'The pipeline that fills it'),
  provenance: field({ listOf: BRANCH_REF }, 'The branches it is made from directly'),
  epoch: field('long', 'Rises each time a person moves the branch'),
} as const

export const COMMIT = {
  repo: field('string', 'Name of the repo'),
  branch: field('string', 'Name of the branch'),
  commit: field('string', 'Id of the commit, 32 hex digits; all commits of one set share it'),
  state: field(
    'string',
    'open, queued, running, finished, failed, unrunnable, superseded or stopped; more may come',
  ),
  origin: field('string', 'user, auto (a pipeline) or spout; more may come'),
  parent: field({ orNull: 'string' }, 'Id of the commit before it on the branch'),
  stats: field({ orNull: STATS }, 'What it holds; null until it ends with a result'),
  provenance: field({ listOf: COMMIT_REF }, 'The commits it was made from directly'),
  sources: field(
    { mapOf: 'string' },
    'All commits it was made from, also through others: repo@branch to the id of the commit',
  ),
  why: field({ orNull: WHY }, 'Why it ended without a result; null when it did not'),
  feed: field({ orNull: FEED }, 'What it holds of a feed; null unless a spout made it'),
  openedSeq: field('long', 'The seq at which it was opened'),
  openedAtMicros: field('micros', 'When it was opened, in log time'),
  endedAtMicros: field({ orNull: 'micros' }, 'When it ended, in log time'),
} as const

export const PIPELINE = {
  pipeline: field('string', 'Name of the pipeline'),
  version: field('long', 'Rises each time the pipeline is put: 1, 2, 3 and so on'),
  state: field('string', 'running or stopped; more may come'),
  inputs: field({ listOf: BRANCH_REF }, 'The branches it reads'),
  output: field(BRANCH_REF, 'The branch it fills'),
  backlog: field(
    'string',
    'every: each commit gets a job; latest: only the newest of those waiting',
  ),
} as const

export const JOB = {
  pipeline: field('string', 'Name of the pipeline'),
  pipelineVersion: field('long', 'The version of the pipeline that runs'),
  job: field('string', 'Id of the job: that of the output commit it fills'),
  output: field(BRANCH_REF, 'Where that commit is'),
  state: field('string', 'running, stopping, finished, failed or stopped; more may come'),
  planned: field(
    record('Planned', 'What the job set out to do, in datums', {
      total: field('long', 'All datums'),
      run: field('long', 'To be run: new, changed, or without a success so far'),
      reuse: field('long', 'Taken over from earlier jobs'),
    }),
    'The plan',
  ),
  counts: field(
    {
      orNull: record('DatumCounts', 'What became of the datums', {
        total: field('long', 'All datums'),
        ran: field('long', 'Run in this job'),
        reused: field('long', 'Taken over from earlier jobs'),
        failed: field('long', 'Failed'),
        recovered: field('long', 'Failed, and their error handler succeeded'),
        codeChanged: field('long', 'Run again only because the code changed'),
      }),
    },
    'The outcome; null until the job ends',
  ),
  why: field({ orNull: WHY }, 'Why it ended without a result; null when it did not'),
  startedAtMicros: field('micros', 'When it was started, in log time'),
  endedAtMicros: field({ orNull: 'micros' }, 'When it ended, in log time'),
} as const

export const SPOUT = {
  spout: field('string', 'Name of the spout'),
  repo: field('string', 'The repo it commits to'),
  branch: field('string', 'The branch it commits to'),
  state: field('string', 'running or paused; more may come'),
  why: field({ orNull: 'string' }, 'Why it is paused, for people, if it paused itself'),
  epoch: field('long', 'Rises each time a person sets its positions back'),
  positions: field({ mapOf: 'string' }, 'By part of the feed: the next position to read'),
} as const

export const EGRESS = {
  egress: field('string', 'Name of the egress'),
  repo: field('string', 'The repo it delivers from'),
  branch: field('string', 'The branch it delivers from'),
  state: field('string', 'running or paused; more may come'),
  why: field({ orNull: 'string' }, 'Why it is paused, for people, if it paused itself'),
  epoch: field('long', 'Rises each time a person sets its progress back'),
  base: field({ orNull: 'string' }, 'Id of the last commit delivered whole'),
  progress: field(
    {
      orNull: record('EgressProgress', 'How far a commit is delivered', {
        commit: field('string', 'Id of the commit'),
        records: field('long', 'Entries of its difference to the base that are delivered'),
        done: field('boolean', 'The commit is delivered whole'),
        coordinates: field(
          { mapOf: 'string' },
          'Where the sink stands there, in its own words: a text as it is, anything else as JSON',
        ),
      }),
    },
    'How far it is; null before its first delivery',
  ),
  deliveredRecords: field('long', 'Records delivered since it was first put'),
} as const

/** Whole, with nothing of COMMON: no entry of the log says how a pool of workers is. */
export const POOL = {
  project: field('string', 'Name of the project; empty: it works for all'),
  pool: field('string', 'Name of the pool'),
  pipelines: field({ listOf: 'string' }, 'The pipelines whose work it does'),
  state: field('string', 'idle, waiting, starting, running, partly or gone; more may come'),
  running: field('long', 'Workers that run'),
  replicas: field('long', 'Workers asked for'),
  wanted: field('long', 'Workers the work would keep busy, caps not applied'),
  why: field(
    {
      orNull: record('Hindrance', 'Why something does not run', {
        reason: field(
          'string',
          'For programs: Unschedulable, ImageMissing, BudgetReached; more may come',
        ),
        cause: field('string', 'For people: what is in the way'),
        remedy: field('string', 'For people: what to try next'),
      }),
    },
    'What is in its way; null when it goes on',
  ),
  atMicros: field('micros', 'When it was seen, by the clock of who tells it'),
} as const

export type CommonData = DataOf<typeof COMMON>
export type RepoData = DataOf<typeof REPO>
export type BranchData = DataOf<typeof BRANCH>
export type CommitData = DataOf<typeof COMMIT>
export type PipelineData = DataOf<typeof PIPELINE>
export type JobData = DataOf<typeof JOB>
export type SpoutData = DataOf<typeof SPOUT>
export type EgressData = DataOf<typeof EGRESS>
export type PoolData = DataOf<typeof POOL>
