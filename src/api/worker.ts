// What a worker asks of a server: claim, lay out, run, upload, done. In one process it is called
// directly, from a pod over HTTP; the worker sees no difference and speaks to nothing else.

import type { ChunkKey, DatumResult, JobInput, PlannedDatum } from '../model/datum.ts'
import type { PipelineSpec } from '../model/spec-pipeline.ts'
import type { TreeRef } from '../model/tree-ref.ts'

/** A chunk that is this worker's until it is done, given back, or 30 s pass without a beat naming it. */
export interface Claim extends ChunkKey {
  readonly worker: string
  /** Rises at each claim of the chunk; what an older one does is refused. */
  readonly token: number
  readonly outputBranch: string
  readonly spec: PipelineSpec
  readonly inputs: readonly JobInput[]
  readonly datums: readonly PlannedDatum[]
  /** Spouts reached over HTTP: where their code writes, and the token that opens that and no more. */
  readonly writes?: { readonly token: string; readonly repo: string; readonly branch: string }
}

export interface InputFile {
  /** From the root of the repo. */
  readonly path: string
  readonly sizeBytes: number
  /** Equal exactly when content is. Servers of 0.1 do not say it. */
  readonly digest?: string
}

export interface WorkerLine {
  readonly atMs: number
  readonly datum: string
  readonly attempt: number
  readonly stream: 'stdout' | 'stderr' | 'varve'
  readonly text: string
}

/** Collects the output of a chunk's datums; nothing of it counts before `done`. */
export interface OutputWriter {
  put(datum: string, path: string, content: AsyncIterable<Uint8Array>): Promise<void>
  /** A file of an input, by reference: no byte moves. */
  copy(datum: string, path: string, input: string, inputPath: string): Promise<void>
  /** Forgets what the datum put so far. */
  drop(datum: string): Promise<void>
  /** Everything durable, with what became of each datum. */
  finish(results: readonly DatumResult[]): Promise<TreeRef>
  abandon(): void
}

export interface WorkerApi {
  /** Waits for work up to `waitMs`; undefined when there was none, or the signal was aborted. */
  claim(worker: string, waitMs: number, signal: AbortSignal): Promise<Claim | undefined>
  /**
   * Says that the worker lives and names all it keeps; `beat` rises by one each time. Answers the
   * tokens of claims that are no longer its own: it must stop working on them.
   */
  beat(worker: string, beat: number, keeps: readonly Claim[]): Promise<readonly Claim[]>
  /** Files of an input at or below a path, in path order. */
  files(claim: Claim, input: string, path: string): AsyncIterable<InputFile>
  /**
   * A file of an input. No byte comes that was not checked against its id, so that what is written
   * as it comes may be given to user code once the stream has ended. @throws VarveError CORRUPT
   */
  read(claim: Claim, input: string, path: string): AsyncIterable<Uint8Array>
  /** A file that will not be read this time: it is there already. */
  pass?(claim: Claim, input: string, path: string): void
  output(claim: Claim): OutputWriter
  /** Keeps lines with the job; on return they may still be in memory, after `done` they are stored. */
  lines(claim: Claim, lines: readonly WorkerLine[]): Promise<void>
  /** Datums of the chunk done so far; live only. Code that stands: `failed` is its ends in a row. */
  progress(claim: Claim, done: number, failed: number): void
  /** The last act on a chunk. False: it was no longer this worker's, and nothing of it counts. */
  done(claim: Claim, result: TreeRef): Promise<boolean>
  /** Ready for others at once, instead of when the lease runs out. */
  giveBack(claim: Claim): Promise<void>
}
