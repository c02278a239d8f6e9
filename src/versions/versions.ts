// What other rooms use of the domain: propose changes, read rows, follow entries, stage files.

import type {
  Branch,
  BranchKey,
  Commit,
  CommitKey,
  Egress,
  Job,
  Pipeline,
  Project,
  Purge,
  Repo,
  Spout,
} from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { Change, Fact, Op, Session } from '../model/ops.ts'
import type { Ref } from '../model/ref.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { Entry, RebuildStep } from '../log/machine.ts'
import type { Objects, TreeWriter } from '../objects/objects.ts'
import type { Sessions } from './sessions.ts'
import type { Uploads } from './uploads.ts'

export type VersionEntry = Entry<Fact>

/** Who asks, and under which id; the same id with the same request gives the same answer for ever. */
export interface Request {
  readonly id: Id
  readonly principal: string
  readonly cause?: Id | null
  /** What the author sent, for KEY_REUSED; default: the ops without base, root and runs. */
  readonly fingerprint?: string
  /** Default 30 s; past it UNAVAILABLE with details {id, pending: true}. */
  readonly deadlineMs?: number
}

export interface CommitOptions {
  readonly note?: TreeRef | null
  readonly ifParent?: Id | null
  readonly feed?: Extract<Op, { op: 'commit.put' }>['feed']
}

/** Lists are of the state at the watermark, newest first where time matters. */
export interface Versions {
  readonly objects: Objects
  /** Content that comes in parts. */
  readonly uploads: Uploads
  /** What those name who store bytes and propose to keep them. */
  readonly sessions: Sessions

  /** Decided yes: the entry. @throws VarveError with the decision's code; STALE_STATE, STALE_SOURCE for machines */
  propose(project: string, ops: readonly Op[], request: Request): Promise<VersionEntry>
  decisionOf(project: string, id: Id): Promise<VersionEntry | undefined>
  follow(project: string, after: number, signal: AbortSignal): AsyncIterable<VersionEntry>
  watermark(project: string): Promise<number>
  /**
   * Makes the project's rows again from its log, beside those in use; then a recorded entry makes them
   * the ones that are read. With `check` they are compared with those in use instead, and stay unused.
   * The rows of a view that is not read any more stay where they are.
   * @throws VarveError NOT_FOUND_PROJECT, STALE_STATE: another rebuild was quicker, UNAVAILABLE, CORRUPT
   */
  rebuild(
    project: string,
    request: Request,
    check: boolean,
    signal: AbortSignal,
  ): AsyncIterable<RebuildStep>

  projects(): AsyncIterable<Project>
  repo(project: string, name: string): Promise<Repo | undefined>
  repos(project: string): AsyncIterable<Repo>
  branch(project: string, key: BranchKey): Promise<Branch | undefined>
  branches(project: string, repo: string): AsyncIterable<Branch>
  commit(project: string, key: CommitKey): Promise<Commit | undefined>
  /** Newest first, by the seq they opened at. */
  commits(
    project: string,
    repo: string,
    options?: { branch?: string; limit?: number; beforeSeq?: number },
  ): AsyncIterable<Commit>
  /** All commits of one id. */
  commitSet(project: string, id: Id): Promise<Commit[]>
  /** Commits made directly from this one. */
  subvenance(project: string, key: CommitKey): AsyncIterable<CommitKey>
  pipeline(project: string, name: string): Promise<Pipeline | undefined>
  pipelines(project: string): AsyncIterable<Pipeline>
  job(project: string, pipeline: string, id: Id): Promise<Job | undefined>
  jobs(
    project: string,
    pipeline: string,
    options?: { limit?: number; beforeSeq?: number },
  ): AsyncIterable<Job>
  /** The newest ended job of a code key (with any branch), for reuse. */
  datumTreeOf(project: string, pipeline: string, codeKey: string): Promise<Job | undefined>
  /** The same of every code key. */
  datumTreesOf(project: string, pipeline: string): AsyncIterable<Job>
  spout(project: string, name: string): Promise<Spout | undefined>
  spouts(project: string): AsyncIterable<Spout>
  egress(project: string, name: string): Promise<Egress | undefined>
  egresses(project: string): AsyncIterable<Egress>
  purge(project: string, id: Id): Promise<Purge | undefined>
  /** By id: oldest first. */
  purges(project: string): AsyncIterable<Purge>

  /**
   * The commit a reference means for reading: a branch is its head; `=id`, a whole id, or the last or
   * first ≥ 4 characters of one among the repo's newest 1,000 commits.
   * @throws VarveError NOT_FOUND_REPO, NOT_FOUND_BRANCH, NOT_FOUND_COMMIT (with did-you-mean in the message)
   */
  resolve(project: string, ref: Ref): Promise<Commit>

  /**
   * Stages what `write` writes and commits it to the branch in one shot, creating the branch if the
   * repo exists. The commit's id is the request's.
   */
  commitFiles(
    project: string,
    branch: BranchKey,
    write: (writer: TreeWriter) => Promise<void>,
    request: Request,
    options?: CommitOptions,
  ): Promise<Commit>
  /**
   * Stages into an open commit: on return an acknowledged part of it, once for each request.
   * @throws NOT_OPEN once finishing began
   */
  stageFiles(
    project: string,
    commit: CommitKey,
    write: (writer: TreeWriter) => Promise<void>,
    request: Request,
  ): Promise<void>
  /** Closes it to writers, merges its runs in order, proposes the finish. */
  finishCommit(project: string, commit: CommitKey, request: Request): Promise<Commit>
  /**
   * Gives an open commit up: it ends `stopped`, its staged files count for nothing, and the branch is
   * free for another. Races with finishing; the first to be decided wins.
   * @throws VarveError NOT_OPEN
   */
  abandonCommit(project: string, commit: CommitKey, request: Request): Promise<Commit>
  /** The open commit of a person on this branch, if there is one: puts go there. */
  openCommit(project: string, branch: BranchKey): Promise<Commit | undefined>
  /**
   * Of collection: from its entry on, whose seq it returns, nothing that was written in a session
   * before it can become part of a commit, or of one that is open.
   */
  closeSessions(project: string, request: Request): Promise<Session>
  /** What is staged for an open commit, and the tree its authors saw. */
  stagedRuns(project: string, commit: CommitKey): AsyncIterable<TreeRef>
}

export type { Change, RebuildStep }
