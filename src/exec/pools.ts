// The port that keeps workers alive. Embedded: loops of this process, always there. Kubernetes: pods, as
// many as the work asks for, none when there is none. test/contract/pools.ts runs it on every adapter.

import type { PipelineSpec } from '../model/spec-pipeline.ts'
import type { PoolStatus } from '../model/pool-status.ts'

export interface PipelineDemand {
  readonly project: string
  readonly spec: PipelineSpec
  /** Chunks that wait for a worker. */
  readonly queued: number
  /** Chunks a worker holds. */
  readonly running: number
}

export interface Demand {
  /** Every pipeline that is there, with work or without: first as it stands, then as its jobs have it. */
  readonly pipelines: readonly PipelineDemand[]
  /** Hosts (names of pods) that hold work, as far as is known; only `retire` is sure. */
  readonly busy: ReadonlySet<string>
}

/** Whoever hands out the work. All of it may fail: then nothing is taken away. */
export interface Foreman {
  demand(): Promise<Demand>
  /**
   * From now on the named hosts of the pool get no work, all others of it do. Returns those of them
   * that surely hold none.
   */
  retire(pool: string, hosts: readonly string[]): Promise<ReadonlySet<string>>
  /** A token that opens the routes of workers for this pool, until the pool is forgotten. */
  admit(pool: string): Promise<string>
  /** Tokens of the pool open nothing from now on. */
  forget(pool: string): Promise<void>
}

export interface Pools {
  /** Keeps the pools until the signal is aborted and nothing of it runs any more; never rejects. */
  run(signal: AbortSignal): Promise<void>
  /** The work changed: look now. */
  ring(): void
  status(): readonly PoolStatus[]
}
