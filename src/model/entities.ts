// What the log holds, as values. An entry's facts carry whole new values of these, so a fold is an
// assignment, a projection is a row, and no release can read an old log differently.

import type { Id } from './id.ts'
import type { KeepRule } from './keep.ts'
import type { TreeRef } from './tree-ref.ts'

export interface Project {
  readonly name: string
  readonly createdAtMs: number
}

export interface Repo {
  readonly name: string
  /** The pipeline that owns it; only its jobs write there. */
  readonly pipeline: string | null
  readonly createdAtMs: number
  /** The entry that made it: rows of an earlier repo of its name opened before. */
  readonly createdSeq?: number
  /** Which commits of its branches are kept, where a branch has no rule of its own; default: all. */
  readonly keep?: KeepRule
}

export interface BranchKey {
  readonly repo: string
  readonly branch: string
}

export interface CommitKey extends BranchKey {
  readonly id: Id
}

/** What decide must know of a branch's tip and head without looking their commits up. */
export interface TipValue {
  readonly id: Id
  readonly root: TreeRef | null
  /** What the root holds; null where its commit does not know. */
  readonly stats: TreeStats | null
  /** Ended states only; an AUTO tip still at work is `queued` or `running`. */
  readonly state: CommitState
  /** Transitive provenance: `repo@branch` → commit id; one version of each, itself left out. */
  readonly sources: Readonly<Record<string, Id>>
}

export interface Branch extends BranchKey {
  /** Direct provenance: the branches it is made from. */
  readonly provenance: readonly BranchKey[]
  /** The pipeline that fills it. */
  readonly pipeline: string | null
  readonly tip: TipValue | null
  /** The newest good commit; what `repo@branch` reads. Its root is never null. */
  readonly head: TipValue | null
  /** Raised each time a person moves the branch. */
  readonly epoch: number
  /** Which of its commits are kept, whatever the rule of its repo. */
  readonly keep?: KeepRule
}

export type CommitState =
  | 'open' // a person's, being written
  | 'queued' // AUTO: behind others on its branch, or its inputs are not finished
  | 'running' // AUTO: its job has started
  | 'finished'
  | 'failed'
  | 'unrunnable' // an input ended without a result
  | 'superseded' // a newer one took its place before it started
  | 'stopped'

export type CommitOrigin = 'user' | 'auto' | 'spout'

/** One part of a feed, [from, to) in the source's own positions; `from` null: its very start. */
export interface SourceRange {
  readonly from: string | null
  readonly to: string
}

export interface TreeStats {
  readonly files: number
  readonly bytes: number
}

export interface Commit extends CommitKey {
  readonly origin: CommitOrigin
  readonly state: CommitState
  /** As of its job: it runs, and is good as it runs, until a newer one takes its place. */
  readonly standing?: true
  /** The head it stands on. */
  readonly parent: Id | null
  /** Null until it ends with a result. */
  readonly root: TreeRef | null
  readonly stats: TreeStats | null
  /** Direct inputs, one of each branch. */
  readonly provenance: readonly CommitKey[]
  readonly sources: Readonly<Record<string, Id>>
  /** Why it will end, or ended, without a result. */
  readonly cause: Cause | null
  /** Spout commits: what they hold of the feed, by part (`topic/partition`, a file's name). */
  readonly feed: {
    readonly spout: string
    readonly ranges: Readonly<Record<string, SourceRange>>
  } | null
  /** The author's message: a stored chunk, never in the log itself, so that a purge can reach it. */
  readonly note: TreeRef | null
  readonly openedSeq: number
  readonly openedAtMs: number
  readonly endedSeq: number | null
  readonly endedAtMs: number | null
  /** Sessions before this seq were closed when it opened: they may not stage for it. */
  readonly closed?: number
  /** It can be read no more: root and note are null, the rest says what it was. */
  readonly dropped?: { readonly seq: number; readonly atMs: number }
}

export interface Cause {
  readonly code:
    | 'INPUT_FAILED'
    | 'SUPERSEDED'
    | 'DATUM_FAILED'
    | 'OUTPUT_CONFLICT'
    | 'CODE_FAILED'
    | 'STOPPED'
  /** Our words with names and numbers, no user's bytes. */
  readonly text: string
  /** The commit that is to blame. */
  readonly commit: CommitKey | null
}

export interface Pipeline {
  readonly name: string
  /** 1, 2, 3 …: rises at each put. */
  readonly version: number
  readonly state: 'running' | 'stopped'
  readonly output: BranchKey
  readonly inputs: readonly BranchKey[]
  readonly backlog: 'every' | 'latest'
  /** The normalised spec (model/spec.ts), as it was put. */
  readonly spec: Readonly<Record<string, unknown>>
  readonly updatedAtMs: number
}

export interface DatumCounts {
  readonly total: number
  /** Run in this job: new, changed, or without a success so far. */
  readonly ran: number
  readonly reused: number
  readonly failed: number
  readonly recovered: number
  /** Run again through no change of theirs: the code changed. */
  readonly codeChanged: number
}

export interface Job {
  readonly pipeline: string
  readonly pipelineVersion: number
  /** The output commit it fills; its id is the job's. */
  readonly commit: CommitKey
  readonly state: 'running' | 'stopping' | 'finished' | 'failed' | 'stopped'
  /** The recorded plan, a tree; everybody carries out this one. */
  readonly plan: TreeRef
  /** Chunks of work in it: 0 … n−1. */
  readonly chunks: number
  readonly codeKey: string
  /** Its code does not end by itself: it runs until a newer version takes its place or it is stopped. */
  readonly standing?: true
  readonly planned: { readonly run: number; readonly reuse: number; readonly total: number }
  readonly counts: DatumCounts | null
  /** Datum id → record; output path → datum id. Set at the end, whatever the end was. */
  readonly datumTree: TreeRef | null
  readonly ownerTree: TreeRef | null
  readonly cause: Cause | null
  readonly startedAtMs: number
  readonly startedSeq: number
  readonly endedAtMs: number | null
  /** Sessions before this seq were closed when it started: no result of theirs counts. */
  readonly closed?: number
}

export interface Spout extends BranchKey {
  readonly name: string
  readonly spec: Readonly<Record<string, unknown>>
  readonly state: 'running' | 'paused'
  readonly cause: string | null
  /** Raised whenever a person sets positions back. */
  readonly epoch: number
  /** Next position to read, by part; moved only by the spout's own commits and by people. */
  readonly positions: Readonly<Record<string, string>>
  /** The folder of a part's files, where it is not the part's own name. */
  readonly folders?: Readonly<Record<string, string>>
  readonly updatedAtMs: number
}

export interface EgressProgress {
  readonly commit: Id
  /** Entries of the diff to `commit` already delivered; `done` when the commit is through. */
  readonly records: number
  readonly done: boolean
  /** Where the sink stands there, in its own words: what it goes on from. */
  readonly coordinates?: Readonly<Record<string, unknown>>
}

export interface Egress extends BranchKey {
  readonly name: string
  readonly spec: Readonly<Record<string, unknown>>
  readonly state: 'running' | 'paused'
  readonly cause: string | null
  readonly epoch: number
  /** The last commit delivered whole, the base of the next diff. */
  readonly base: Id | null
  readonly progress: EgressProgress | null
  readonly deliveredRecords: number
  readonly updatedAtMs: number
}

/** Files taken out of all commits of a repo, for ever. What they were called stands in the receipt alone. */
export interface Purge {
  readonly id: Id
  readonly repo: string
  /** A chunk: which nodes are read in whose stead (objects/upkeep/redactions.ts). */
  readonly map: TreeRef
  /** A chunk of JSON: what was asked for and found, and once it has ended what came of it. */
  readonly receipt: TreeRef
  /** Whether nothing of it is in the store any more. */
  readonly ended: boolean
  readonly atMs: number
}

export function branchKey(key: BranchKey): string {
  return `${key.repo}@${key.branch}`
}

export function commitKey(key: CommitKey): string {
  return `${key.repo}@${key.branch}=${key.id}`
}

export function hasEnded(state: CommitState): boolean {
  return state !== 'open' && state !== 'queued' && state !== 'running'
}

/** Whether there is nothing more to wait for: it has ended, or runs without end. */
export function hasArrived({ state, standing }: Pick<Commit, 'state' | 'standing'>): boolean {
  return hasEnded(state) || (standing === true && state === 'running')
}
