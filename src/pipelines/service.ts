// What server, cli and page ask of pipelines.

import type { Cause, CommitKey, Job, Pipeline } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { Path } from '../model/path.ts'
import type { Request } from '../versions/versions.ts'

export type DatumState = 'queued' | 'running' | 'success' | 'failed' | 'recovered' | 'skipped'

export interface DatumView {
  readonly id: string
  readonly key: string
  readonly state: DatumState
  /** `new | input-changed | code-changed | no-success` when it ran, `unchanged | reused` when not. */
  readonly why: string
  /** The job that ran it. */
  readonly job: Id
  readonly inputs: readonly {
    readonly name: string
    readonly path: Path
    readonly digest: string
  }[]
  readonly attempts: number
  readonly exit: {
    readonly code: number | null
    readonly signal: string | null
    readonly timedOut: boolean
  } | null
  /** The last lines it wrote, when it failed. */
  readonly lastLines: readonly string[]
  readonly times: {
    readonly layoutMs: number
    readonly runMs: number
    readonly uploadMs: number
  } | null
}

export interface LogLine {
  readonly atMs: number
  readonly job: Id
  readonly datum: string
  readonly attempt: number
  readonly stream: 'stdout' | 'stderr' | 'varve'
  readonly text: string
}

export interface FileExplanation {
  readonly path: Path
  readonly commit: CommitKey
  readonly digest: string
  /** Null for a file a person or a spout put. */
  readonly datum: DatumView | null
  readonly job: Job | null
  readonly code: {
    readonly key: string
    readonly cmd: readonly string[]
    readonly pipelineVersion: number
  } | null
  readonly inputs: readonly FileExplanation[]
  /**
   * Of a file that a person or a spout put: the commit that brought it as it is. Null for what a job
   * made, and when it lies further back than the 10,000 commits that are looked at.
   */
  readonly brought: CommitKey | null
  /** The feed's part that commit holds. */
  readonly feed: Readonly<Record<string, { from: string | null; to: string }>> | null
  /** seq and chain hash would go here with the log's proof; the set id leads to the entry. */
  readonly set: Id
}

/** Progress of a running job; live only, may be missed. */
export interface JobProgress {
  readonly pipeline: string
  readonly job: Id
  readonly total: number
  readonly toRun: number
  readonly done: number
  readonly failed: number
}

export interface PipelinePlan {
  readonly total: number
  readonly run: number
  readonly reuse: number
  readonly warnings: readonly string[]
}

export interface Pipelines {
  /** Validates the document, makes repo and branch, records it. @throws INVALID_SPEC with line, column, nearest */
  put(
    project: string,
    document: Readonly<Record<string, unknown>>,
    request: Request,
  ): Promise<Pipeline>
  /** What a put would run and reuse now. */
  plan(project: string, document: Readonly<Record<string, unknown>>): Promise<PipelinePlan>
  /** A commit that waits or runs, in words: `waiting: inputs of images@master`, or undefined when nothing waits. */
  waitingFor(project: string, pipeline: string): Promise<string | undefined>
  progress(project: string, pipeline: string): JobProgress | undefined
  datums(
    project: string,
    pipeline: string,
    job: Id,
    options?: { state?: DatumState; limit?: number },
  ): AsyncIterable<DatumView>
  explainDatum(project: string, pipeline: string, job: Id, datum: string): Promise<DatumView>
  explainFile(project: string, commit: CommitKey, path: Path): Promise<FileExplanation>
  logs(
    project: string,
    pipeline: string,
    options: { job?: Id; datum?: string; follow?: boolean; signal?: AbortSignal; tail?: number },
  ): AsyncIterable<LogLine>
}

export type { Cause }
