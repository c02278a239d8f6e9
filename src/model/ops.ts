// The vocabulary of the log: what can be proposed (ops) and what is then so (facts).

import type { ErrorCode } from '../base/errors.ts'
import type {
  BranchKey,
  Branch,
  Cause,
  Commit,
  CommitKey,
  DatumCounts,
  Egress,
  EgressProgress,
  Job,
  Pipeline,
  Project,
  Purge,
  Repo,
  SourceRange,
  Spout,
  TreeStats,
} from './entities.ts'
import type { Id } from './id.ts'
import type { KeepRule } from './keep.ts'
import type { TreeRef } from './tree-ref.ts'

/** What a commit changes, made durable before it is proposed. */
export interface Change {
  /** The branch tip's root the author built on; null: an empty tree. */
  readonly base: TreeRef | null
  /** Staged writes in order; merged onto the tip if the tip is no longer `base`. */
  readonly runs: readonly TreeRef[]
  /** `base` with `runs` merged onto it, and what it holds. */
  readonly root: TreeRef
  readonly stats: TreeStats
}

/**
 * The seq of the log at which its author knew all that was condemned, before it wrote or looked at what
 * it built on; none: from the beginning. Ops whose bytes are stored elsewhere name it.
 */
export type Session = number

export type Op =
  | { readonly op: 'project.create'; readonly name: string }
  | { readonly op: 'repo.create'; readonly name: string }
  | { readonly op: 'repo.delete'; readonly name: string; readonly force: boolean }
  /** The rule of a repo, or of one branch of it; null: none of its own. */
  | {
      readonly op: 'retention.put'
      readonly repo: string
      readonly branch?: string
      readonly keep: KeepRule | null
    }
  /** Creates the branch, moves its head, or changes its provenance. */
  | {
      readonly op: 'branch.put'
      readonly branch: BranchKey
      readonly head?: Id
      readonly provenance?: readonly BranchKey[]
    }
  | { readonly op: 'branch.delete'; readonly branch: BranchKey; readonly force: boolean }
  /** A one-shot commit: opened and finished in this entry; its id is the proposal's. */
  | {
      readonly op: 'commit.put'
      readonly branch: BranchKey
      readonly change: Change
      readonly note: TreeRef | null
      /** Refused with HEAD_MOVED unless the head is this commit. */
      readonly ifParent?: Id | null
      /** A spout's commit: accepted only if every `from` (and the epoch) is what is stored. */
      readonly feed?: {
        readonly spout: string
        readonly epoch: number
        readonly ranges: Readonly<Record<string, SourceRange>>
        /** Folders of parts that begin here; the others keep theirs. */
        readonly folders?: Readonly<Record<string, string>>
      }
      readonly session?: Session
    }
  /** A commit that stays open for writing beside the branch. */
  | {
      readonly op: 'commit.open'
      readonly branch: BranchKey
      readonly note: TreeRef | null
      readonly session?: Session
    }
  | {
      readonly op: 'commit.finish'
      readonly commit: CommitKey
      readonly change: Change
      readonly session?: Session
    }
  /** Gives a person's open commit up: it ends `stopped`, and what was staged for it counts for nothing. */
  | { readonly op: 'commit.abandon'; readonly commit: CommitKey }
  /** Ended commits that nothing needs lose their files and messages; all of them, or none. */
  | {
      readonly op: 'commit.drop'
      /** At most MOST_DROPPED. */
      readonly commits: readonly CommitKey[]
      /** By retention: refused unless this is the rule of each one's branch, and none is dropped yet. */
      readonly rule?: KeepRule
    }
  | { readonly op: 'pipeline.put'; readonly pipeline: PipelinePut }
  | { readonly op: 'pipeline.stop'; readonly name: string }
  | { readonly op: 'pipeline.start'; readonly name: string }
  | { readonly op: 'pipeline.delete'; readonly name: string }
  | {
      readonly op: 'job.started'
      readonly commit: CommitKey
      readonly plan: TreeRef
      readonly chunks: number
      readonly codeKey: string
      readonly standing?: true
      readonly planned: Job['planned']
      readonly session?: Session
    }
  | { readonly op: 'job.stop'; readonly commit: CommitKey }
  | {
      readonly op: 'job.finished'
      readonly commit: CommitKey
      /** The plan it carried out: refused unless it is the recorded one. */
      readonly plan: TreeRef
      readonly state: 'finished' | 'failed' | 'stopped'
      /** The output; null unless finished. */
      readonly root: TreeRef | null
      readonly stats: TreeStats | null
      readonly datumTree: TreeRef | null
      readonly ownerTree: TreeRef | null
      readonly counts: DatumCounts
      readonly cause: Cause | null
      readonly session?: Session
    }
  /** Collection: what was written in sessions before this entry becomes no root any more. */
  | { readonly op: 'sessions.close' }
  /** Nodes are read in the stead of others from here on; or nothing of what is purged is left. */
  | {
      readonly op: 'purge.put'
      readonly purge: Omit<Purge, 'atMs'>
      readonly session?: Session
    }
  | { readonly op: 'spout.put'; readonly spout: SpoutPut }
  | {
      readonly op: 'spout.set'
      readonly name: string
      readonly state: Spout['state']
      readonly cause: string | null
    }
  | { readonly op: 'spout.delete'; readonly name: string }
  | { readonly op: 'egress.put'; readonly egress: EgressPut }
  | {
      readonly op: 'egress.set'
      readonly name: string
      readonly state: Egress['state']
      readonly cause: string | null
    }
  | { readonly op: 'egress.delete'; readonly name: string }
  | {
      readonly op: 'egress.delivered'
      readonly name: string
      readonly epoch: number
      /** What is stored now; refused otherwise. */
      readonly from: EgressProgress | null
      readonly to: EgressProgress
      /** Records sent in this step. */
      readonly records: number
      /** Where they are: topic, partition, offset ranges, a file's name and length. */
      readonly coordinates: Readonly<Record<string, unknown>>
    }

/** Commits one `commit.drop` may name: each goes whole into its entry. */
export const MOST_DROPPED = 500

export interface PipelinePut {
  readonly name: string
  readonly inputs: readonly BranchKey[]
  readonly outputBranch: string
  readonly backlog: 'every' | 'latest'
  readonly spec: Readonly<Record<string, unknown>>
}

export interface SpoutPut extends BranchKey {
  readonly name: string
  readonly spec: Readonly<Record<string, unknown>>
}

export interface EgressPut extends BranchKey {
  readonly name: string
  readonly spec: Readonly<Record<string, unknown>>
}

/** Ops of machines: they carry the state they continue, never expire, and a repeat is refused unrecorded. */
export function isMachineOp(op: Op): boolean {
  return (
    op.op === 'job.started' ||
    op.op === 'job.finished' ||
    op.op === 'egress.delivered' ||
    (op.op === 'commit.drop' && op.rule !== undefined) ||
    (op.op === 'commit.put' && op.feed !== undefined)
  )
}

export type Fact =
  | { readonly f: 'project.created'; readonly project: Project }
  /** Sessions before this seq, by the request that closed them. */
  | { readonly f: 'sessions.closed'; readonly before: number; readonly by: Id }
  | { readonly f: 'repo.created' | 'repo.changed'; readonly repo: Repo }
  | { readonly f: 'repo.deleted'; readonly repo: Repo }
  | { readonly f: 'branch.created' | 'branch.moved' | 'branch.changed'; readonly branch: Branch }
  | { readonly f: 'branch.deleted'; readonly branch: Branch }
  | {
      readonly f: 'commit.opened' | 'commit.changed' | 'commit.finished' | 'commit.failed'
      readonly commit: Commit
    }
  | { readonly f: 'commit.dropped'; readonly commit: Commit }
  | { readonly f: 'purge.begun' | 'purge.ended'; readonly purge: Purge }
  | {
      readonly f: 'pipeline.put' | 'pipeline.stopped' | 'pipeline.started' | 'pipeline.deleted'
      readonly pipeline: Pipeline
    }
  | { readonly f: 'job.started' | 'job.stopping' | 'job.finished'; readonly job: Job }
  | { readonly f: 'spout.put' | 'spout.changed' | 'spout.deleted'; readonly spout: Spout }
  | {
      readonly f: 'egress.put' | 'egress.changed' | 'egress.delivered' | 'egress.deleted'
      readonly egress: Egress
    }

export type FactName = Fact['f']

export interface Refusal {
  readonly code: ErrorCode
  readonly message: string
  readonly details?: Record<string, unknown>
}
