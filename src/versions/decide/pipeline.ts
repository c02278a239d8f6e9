// A pipeline fills one branch of a repo it owns, which is made from its inputs. Without inputs only
// people open its commits, by putting and starting it; the other branches of its repo are then like any.

import type { Pipeline } from '../../model/entities.ts'
import { branchKey, commitKey } from '../../model/entities.ts'
import { isName } from '../../model/name.ts'
import type { Op, PipelinePut } from '../../model/ops.ts'
import { must } from '../../base/assert.ts'
import { frontOf } from '../state.ts'
import { supersede } from './propagate.ts'
import { distinct, linkInputs, sameBranches } from './provenance.ts'
import { release, removePipeline } from './remove.ts'
import type { Stop, Transaction } from './transaction.ts'
import { addRepo, ensureBranch, missing, refuse } from './transaction.ts'

export function putPipeline(
  tx: Transaction,
  op: Extract<Op, { op: 'pipeline.put' }>,
): Stop | undefined {
  const put = op.pipeline
  const output = { repo: put.name, branch: put.outputBranch }
  const key = branchKey(output)
  const stop = checkPut(tx, put)
  if (stop) return stop
  const before = tx.view.pipelines.get(put.name)
  if (!tx.view.repos.has(put.name)) addRepo(tx, put.name, put.name)
  if (before && branchKey(before.output) !== key)
    release(tx, branchKey(before.output), 'its pipeline fills another branch now')
  const unlinked = linkInputs(tx, key, put.inputs)
  if (unlinked) return unlinked
  const branch = must(ensureBranch(tx, output), `branch "${key}"`)
  const inputs = distinct(put.inputs)
  const pipeline: Pipeline = {
    name: put.name,
    version: (before?.version ?? 0) + 1,
    state: before?.state ?? 'running',
    output,
    inputs,
    backlog: put.backlog,
    spec: put.spec,
    updatedAtMs: tx.at.atMs,
  }
  tx.record({ f: 'pipeline.put', pipeline })
  // What waits names versions of other inputs: the new code could not read it.
  if (!sameBranches(branch.provenance, inputs)) supersede(tx, key, null)
  tx.branch({
    ...must(tx.view.branches.get(key), `branch "${key}"`),
    provenance: inputs,
    pipeline: put.name,
  })
  tx.due.add(key)
  return undefined
}

function checkPut(tx: Transaction, put: PipelinePut): Stop | undefined {
  for (const name of [put.name, put.outputBranch])
    if (!isName(name))
      return refuse('INVALID_OPTION', `cannot use "${name}" as the name of a pipeline`)
  const repo = tx.view.repos.get(put.name)
  if (repo && repo.pipeline !== put.name)
    return refuse(
      'ALREADY_EXISTS',
      `cannot put the pipeline "${put.name}": a repo of that name exists and is not its own`,
    )
  const own = put.inputs.find((input) => input.repo === put.name)
  if (own)
    return refuse(
      'CYCLE',
      `cannot put the pipeline "${put.name}": its input "${branchKey(own)}" is its own repo`,
    )
  const open = [...tx.view.commits.values()].find(
    (commit) =>
      commit.state === 'open' && commit.repo === put.name && commit.branch === put.outputBranch,
  )
  return open
    ? refuse(
        'ALREADY_EXISTS',
        `cannot put the pipeline "${put.name}": the commit "${commitKey(open)}" is open there`,
      )
    : undefined
}

/** Stopped: it opens nothing, its job goes on only to keep what is done, what waits stays waiting. */
export function stopPipeline(
  tx: Transaction,
  op: Extract<Op, { op: 'pipeline.stop' }>,
): Stop | undefined {
  const pipeline = tx.view.pipelines.get(op.name)
  if (!pipeline) return missingPipeline(tx, op.name)
  if (pipeline.state === 'stopped') return undefined
  tx.record({ f: 'pipeline.stopped', pipeline: { ...pipeline, state: 'stopped' } })
  const front = frontOf(tx.view, branchKey(pipeline.output))
  const job = front && tx.view.jobs.get(commitKey(front))
  if (job?.state === 'running') tx.record({ f: 'job.stopping', job: { ...job, state: 'stopping' } })
  return undefined
}

/** Running again, with one commit at the current tips. */
export function startPipeline(
  tx: Transaction,
  op: Extract<Op, { op: 'pipeline.start' }>,
): Stop | undefined {
  const pipeline = tx.view.pipelines.get(op.name)
  if (!pipeline) return missingPipeline(tx, op.name)
  if (pipeline.state === 'running') return undefined
  tx.record({ f: 'pipeline.started', pipeline: { ...pipeline, state: 'running' } })
  tx.due.add(branchKey(pipeline.output))
  return undefined
}

export function deletePipeline(
  tx: Transaction,
  op: Extract<Op, { op: 'pipeline.delete' }>,
): Stop | undefined {
  if (!tx.view.pipelines.has(op.name)) return missingPipeline(tx, op.name)
  removePipeline(tx, op.name)
  return undefined
}

function missingPipeline(tx: Transaction, name: string): Stop {
  return missing('NOT_FOUND_PIPELINE', 'pipeline', name, tx.view.pipelines.keys())
}
