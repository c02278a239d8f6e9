// What planners, workers and recorders hand each other about datums. JSON values only.

import type { Id } from './id.ts'
import type { TreeRef } from './tree-ref.ts'

/** One piece of input: a file or a whole directory, as a glob matched it. */
export interface DatumPiece {
  /** The input's name: its folder below /pfs. */
  readonly name: string
  readonly path: string
  readonly kind: 'file' | 'dir'
  /** Covers content, and for a directory the names below it. */
  readonly digest: string
  readonly sizeBytes: number
}

/** Why a datum runs; `every-job`: its pipeline asks for that, nothing changed. */
export type RunReason = 'new' | 'input-changed' | 'code-changed' | 'no-success' | 'every-job'

export interface PlannedDatum {
  /** Names it: the same inputs, repos, branches and paths. 64 hex digits. */
  readonly id: string
  /** Decides reuse: the same content and code as well. 64 hex digits. */
  readonly key: string
  readonly why: RunReason
  readonly inputs: readonly DatumPiece[]
}

/** What became of a datum that ran. */
export interface DatumResult extends PlannedDatum {
  readonly state: 'success' | 'failed' | 'recovered'
  readonly attempts: number
  readonly exit: {
    readonly code: number | null
    readonly signal: string | null
    readonly timedOut: boolean
  } | null
  /** The last lines of its last attempt, when it did not succeed. */
  readonly lastLines: readonly string[]
  readonly times: {
    readonly layoutMs: number
    readonly runMs: number
    readonly uploadMs: number
  }
  /** Files it put out. */
  readonly files: number
}

/** A result with where it came from: what a datum tree keeps. */
export interface DatumRecord extends DatumResult {
  /** The job that ran it. */
  readonly job: Id
  /** The result tree that holds its output below `out/<datum id>`. */
  readonly tree: TreeRef
}

/** One chunk of a job's work. */
export interface ChunkKey {
  readonly project: string
  readonly pipeline: string
  readonly job: Id
  readonly n: number
}

export function chunkKey(key: ChunkKey): string {
  return `${key.project}/${key.pipeline}=${key.job}#${key.n}`
}

/** An input of a job: the commit it reads. */
export interface JobInput {
  readonly name: string
  readonly project: string
  readonly repo: string
  readonly branch: string
  readonly commit: Id
  readonly root: TreeRef
  readonly glob: string
  readonly emptyFiles: boolean
}
