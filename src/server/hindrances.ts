// What keeps pipelines, jobs and datums from running: pure functions of rows and of what the keeper of
// pools said last. A pipeline that no pool names (its code runs on this machine) is hindered by none.

import type { PipelinePool } from '../api/pools.ts'
import type { Job } from '../model/entities.ts'
import type { Hindrance, PoolStatus } from '../model/pool-status.ts'
import type { DatumView, JobProgress } from '../pipelines/service.ts'

/** What is known of pools of workers. */
export interface PoolBoard {
  all(): readonly PoolStatus[]
  /** False: nobody has told of pools lately, so one that is not in `all` may be there still. */
  readonly reported: boolean
}

export const NOT_REPORTED: Hindrance = {
  reason: 'NotReported',
  cause: 'no process has told of its pool for 10 seconds',
  remedy: 'start a process with the role scheduler, or look at the log of the one that keeps pools',
}

/** Null: it is in no pool. Of several (its job was planned before it was put anew) the one with work. */
export function poolOf(
  board: PoolBoard | undefined,
  project: string,
  pipeline: string,
): PipelinePool | null {
  if (!board) return null
  const those = board
    .all()
    .filter((one) => one.project === project && one.pipelines.includes(pipeline))
  const found = those.find((one) => one.wanted > 0) ?? those[0]
  if (found) {
    const { pool, state, running, replicas, wanted, cause } = found
    const address = those.find((one) => one.address !== null)?.address ?? null
    return { pool, state, running, replicas, wanted, cause, address }
  }
  if (board.reported) return null
  const none = { running: 0, replicas: 0, wanted: 0 }
  return { pool: null, state: 'unknown', ...none, cause: NOT_REPORTED, address: null }
}

/** Why nobody runs what a job still has to run. */
export function jobHindrance(
  job: Pick<Job, 'state' | 'planned' | 'commit'>,
  pool: PipelinePool | null,
  progress: JobProgress | undefined,
): Hindrance | null {
  if (!pool || job.state !== 'running' || pool.running > 0) return null
  const { toRun, done } =
    progress?.job === job.commit.id ? progress : { toRun: job.planned.run, done: 0 }
  return done < toRun ? pool.cause : null
}

/** Why a datum of a job that runs has not run: nobody can, or others come first. */
export function datumHindrance(
  datum: Pick<DatumView, 'state'>,
  pool: PipelinePool | null,
): Hindrance | null {
  if (!pool || datum.state !== 'queued') return null
  if (pool.cause || pool.running === 0) return pool.cause
  return {
    reason: 'WorkersBusy',
    cause: `${pool.running} of ${pool.replicas} workers of pool "${pool.pool}" are at what comes before it`,
    remedy: 'nothing to do; more at once: raise parallelismSpec, or the budget',
  }
}
