// The port that runs user code for one datum. test/contract/runner.ts runs it on every adapter.

import type { TransformSpec } from '../model/spec-transform.ts'

/** The part of a pipeline's spec that says what to run, normalised. */
export type Transform = TransformSpec

/** 64 hex digits: equal exactly when the code that would run is the same. */
export type CodeDigest = string

export interface RunRequest {
  readonly cmd: readonly string[]
  readonly stdin: Uint8Array | undefined
  /** Everything the process sees; nothing of ours is inherited. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string | undefined
  /** Folder on this machine that the code sees as /pfs (or finds in PFS_ROOT). */
  readonly pfs: string
  readonly limits: { readonly timeoutMs: number | undefined }
}

export interface Exit {
  /** Null when a signal ended it. */
  readonly code: number | null
  readonly signal: string | null
  readonly timedOut: boolean
}

export interface OutputLine {
  readonly stream: 'stdout' | 'stderr'
  readonly text: string
}

export type TakeLine = (line: OutputLine) => void | Promise<void>

export interface Runner {
  /** Whether /pfs itself is there for the code; otherwise it must use PFS_ROOT. */
  readonly mountsPfs: boolean
  /** Embedded: the resolved executable's bytes, every argument that names a readable file, `code` globs. */
  identify(transform: Transform): Promise<CodeDigest>
  /**
   * Runs to the end. Lines come as they are written, cut at 64 KiB; where `line` answers with a promise
   * the code may be held back until it is fulfilled. When the signal is aborted or
   * the time is over, the whole process group is killed before it returns.
   * @throws VarveError CODE_FAILED when the program cannot be started (message says why)
   */
  run(request: RunRequest, line: TakeLine, signal: AbortSignal): Promise<Exit>
  close(): Promise<void>
}
