// A job is recorded when it starts, with its plan, and when it ends. Schedulers and recorders race:
// the first to be decided wins, the others are told by state and nothing of theirs is recorded.

import type { Commit, Job } from '../../model/entities.ts'
import { branchKey, commitKey } from '../../model/entities.ts'
import type { Op } from '../../model/ops.ts'
import { sameTree } from '../../model/tree-ref.ts'
import { must } from '../../base/assert.ts'
import { CLOSED, frontOf } from '../state.ts'
import { branchOf, endBad, endGood, tipOf } from './end.ts'
import { openInput } from './settle.ts'
import type { Stop, Transaction } from './transaction.ts'
import { refuse, stale } from './transaction.ts'

export function startJob(
  tx: Transaction,
  op: Extract<Op, { op: 'job.started' }>,
): Stop | undefined {
  const key = commitKey(op.commit)
  const commit = tx.view.commits.get(key)
  const not = (why: string): Stop =>
    stale('STALE_STATE', `cannot start the job of "${key}": ${why}`)
  if (!commit) return not('the commit is not open')
  if (commit.origin !== 'auto' || commit.state !== 'queued') return not(`it is ${commit.state}`)
  if (commit.cause) return not(`it will end: ${commit.cause.text}`)
  const front = frontOf(tx.view, branchKey(commit))
  if (front?.id !== commit.id) return not(`"${front?.id}" is before it`)
  const waiting = openInput(tx.view, commit)
  if (waiting !== undefined) return not(`its input ${waiting} is not finished`)
  const branch = branchOf(tx, commit)
  const pipeline = branch.pipeline === null ? undefined : tx.view.pipelines.get(branch.pipeline)
  if (pipeline?.state !== 'running') return not('its pipeline is stopped')
  const standing = op.standing && { standing: op.standing }
  const parent = branch.head?.id ?? null
  const running: Commit = { ...commit, ...standing, state: 'running', parent }
  const closed = tx.view.closed.get(CLOSED)?.before
  const job: Job = {
    ...(closed !== undefined && { closed }),
    pipeline: pipeline.name,
    pipelineVersion: pipeline.version,
    commit: { repo: commit.repo, branch: commit.branch, id: commit.id },
    state: 'running',
    plan: op.plan,
    chunks: op.chunks,
    codeKey: op.codeKey,
    ...standing,
    planned: op.planned,
    counts: null,
    datumTree: null,
    ownerTree: null,
    cause: null,
    startedAtMs: tx.at.atMs,
    startedSeq: tx.at.seq,
    endedAtMs: null,
  }
  tx.record({ f: 'job.started', job })
  tx.commit(running)
  if (branch.tip?.id === commit.id) tx.branch({ ...branch, tip: tipOf(running) })
  return undefined
}

/** A running job is told to stop and keeps what is done; a commit without one ends at its turn. */
export function stopJob(tx: Transaction, op: Extract<Op, { op: 'job.stop' }>): Stop | undefined {
  const key = commitKey(op.commit)
  const job = tx.view.jobs.get(key)
  if (job) {
    if (job.state === 'running')
      tx.record({ f: 'job.stopping', job: { ...job, state: 'stopping' } })
    return undefined
  }
  const commit = tx.view.commits.get(key)
  if (commit?.origin !== 'auto')
    return refuse('NOT_FOUND_JOB', `cannot stop the job of "${key}": none is running or waiting`)
  if (!commit.cause)
    tx.commit({
      ...commit,
      cause: { code: 'STOPPED', text: 'it was stopped before its job started', commit: null },
    })
  tx.unsettled.add(branchKey(commit))
  return undefined
}

export function finishJob(
  tx: Transaction,
  op: Extract<Op, { op: 'job.finished' }>,
): Stop | undefined {
  const key = commitKey(op.commit)
  const job = tx.view.jobs.get(key)
  const not = (why: string): Stop => stale('STALE_STATE', `cannot end the job of "${key}": ${why}`)
  if (!job) return not('it is not running')
  if (!sameTree(job.plan, op.plan)) return not('another plan is recorded')
  if (op.state === 'stopped' && job.state !== 'stopping') return not('nobody stopped it')
  if ((op.state === 'finished') !== (op.root !== null))
    return refuse(
      'INVALID_OPTION',
      `cannot end the job of "${key}": ${op.state} and its output differ`,
    )
  const commit = must(tx.view.commits.get(key), `commit "${key}"`)
  const cause =
    op.state === 'finished'
      ? null
      : (op.cause ??
        (op.state === 'stopped'
          ? { code: 'STOPPED' as const, text: 'it was stopped', commit: null }
          : { code: 'DATUM_FAILED' as const, text: 'its job failed', commit: null }))
  tx.record({
    f: 'job.finished',
    job: {
      ...job,
      state: op.state,
      counts: op.counts,
      datumTree: op.datumTree,
      ownerTree: op.ownerTree,
      cause,
      endedAtMs: tx.at.atMs,
    },
  })
  if (op.root !== null) endGood(tx, commit, op.root, op.stats)
  else endBad(tx, commit, op.state === 'stopped' ? 'stopped' : 'failed', must(cause, 'cause'))
  return undefined
}
