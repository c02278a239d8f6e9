// From a proposal to facts or a refusal: a pure function of state, proposal, what was prepared, and
// where the log stands. The ops of a proposal are one transaction, all or nothing, and what moved in
// any of them propagates once, at the end.

import { SYSTEM_PROJECT } from '../../model/name.ts'
import type { Fact, Op } from '../../model/ops.ts'
import type { TreeRef } from '../../model/tree-ref.ts'
import { unreachable } from '../../base/assert.ts'
import type { At, Proposal, Verdict } from '../../log/machine.ts'
import type { Prepared, PreparedOp } from '../prepared.ts'
import type { View } from '../state.ts'
import { deleteBranch, putBranch } from './branch.ts'
import { abandonCommit, finishCommit, openCommit, putCommit } from './commit.ts'
import { dropCommits } from './drop.ts'
import { deleteEgress, deliver, putEgress, setEgress } from './egress.ts'
import { finishJob, startJob, stopJob } from './job.ts'
import { deletePipeline, putPipeline, startPipeline, stopPipeline } from './pipeline.ts'
import { createProject } from './project.ts'
import { propagate } from './propagate.ts'
import { putPurge } from './purge.ts'
import { createRepo, deleteRepo } from './repo.ts'
import { putRetention } from './retention.ts'
import { settle } from './settle.ts'
import { closeSessions, refuseClosed } from './sessions.ts'
import { deleteSpout, putSpout, setSpout } from './spout.ts'
import type { Stop } from './transaction.ts'
import { Transaction, refuse } from './transaction.ts'

export function decide(
  state: View,
  proposal: Proposal<Op>,
  prepared: Prepared,
  at: At,
  emptyRoot: TreeRef,
): Verdict<Fact> {
  const tx = new Transaction(state, proposal.id, at, emptyRoot)
  for (const [i, op] of proposal.ops.entries()) {
    const stop = decideOp(tx, op, prepared[i] ?? {})
    if (stop) return stop
  }
  const stop = propagate(tx)
  if (stop) return stop
  settle(tx)
  return { yes: tx.facts() }
}

function decideOp(tx: Transaction, op: Op, prepared: PreparedOp): Stop | undefined {
  if (tx.view.project === SYSTEM_PROJECT && op.op !== 'project.create')
    return refuse('INVALID_OPTION', `cannot do this in "${SYSTEM_PROJECT}": it holds projects only`)
  const closed = refuseClosed(tx, op)
  if (closed) return closed
  switch (op.op) {
    case 'sessions.close':
      return closeSessions(tx)
    case 'project.create':
      return createProject(tx, op)
    case 'repo.create':
      return createRepo(tx, op)
    case 'repo.delete':
      return deleteRepo(tx, op)
    case 'retention.put':
      return putRetention(tx, op)
    case 'branch.put':
      return putBranch(tx, op, prepared)
    case 'branch.delete':
      return deleteBranch(tx, op)
    case 'commit.put':
      return putCommit(tx, op, prepared)
    case 'commit.open':
      return openCommit(tx, op)
    case 'commit.finish':
      return finishCommit(tx, op, prepared)
    case 'commit.abandon':
      return abandonCommit(tx, op)
    case 'commit.drop':
      return dropCommits(tx, op, prepared)
    case 'purge.put':
      return putPurge(tx, op)
    case 'pipeline.put':
      return putPipeline(tx, op)
    case 'pipeline.stop':
      return stopPipeline(tx, op)
    case 'pipeline.start':
      return startPipeline(tx, op)
    case 'pipeline.delete':
      return deletePipeline(tx, op)
    case 'job.started':
      return startJob(tx, op)
    case 'job.stop':
      return stopJob(tx, op)
    case 'job.finished':
      return finishJob(tx, op)
    case 'spout.put':
      return putSpout(tx, op)
    case 'spout.set':
      return setSpout(tx, op)
    case 'spout.delete':
      return deleteSpout(tx, op)
    case 'egress.put':
      return putEgress(tx, op)
    case 'egress.set':
      return setEgress(tx, op)
    case 'egress.delete':
      return deleteEgress(tx, op)
    case 'egress.delivered':
      return deliver(tx, op)
    default:
      return unreachable(op)
  }
}
