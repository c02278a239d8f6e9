import type { BranchKey, Commit } from '../../model/entities.ts'
import { branchKey, hasEnded } from '../../model/entities.ts'
import { isName } from '../../model/name.ts'
import type { Op } from '../../model/ops.ts'
import type { PreparedOp } from '../prepared.ts'
import { endQueue, tipOf } from './end.ts'
import { supersede } from './propagate.ts'
import { distinct, linkInputs, sameBranches } from './provenance.ts'
import { removeBranch, whyKept } from './remove.ts'
import type { Stop, Transaction } from './transaction.ts'
import {
  ensureBranch,
  filledBy,
  missing,
  missingBranch,
  missingRepo,
  refuse,
} from './transaction.ts'

/** Creates a branch, moves its head (which raises its epoch), or changes what it is made from. */
export function putBranch(
  tx: Transaction,
  op: Extract<Op, { op: 'branch.put' }>,
  prepared: PreparedOp,
): Stop | undefined {
  const key = branchKey(op.branch)
  const repo = tx.view.repos.get(op.branch.repo)
  if (!repo) return missingRepo(tx.view, op.branch.repo)
  if (!isName(op.branch.branch))
    return refuse('INVALID_OPTION', `cannot use "${op.branch.branch}" as the name of a branch`)
  const known = tx.view.branches.get(key)
  const filled = filledBy(tx.view, repo, known)
  if (filled !== undefined && (known?.pipeline ?? repo.pipeline) !== null)
    return refuse('OUTPUT_BRANCH', `cannot change the branch "${key}": ${filled}`)
  if (op.provenance) {
    const stop = setProvenance(tx, op.branch, op.provenance)
    if (stop) return stop
  }
  if (op.head !== undefined) return setHead(tx, op.branch, op.head, prepared, known === undefined)
  ensureBranch(tx, op.branch)
  return undefined
}

function setProvenance(
  tx: Transaction,
  at: BranchKey,
  provenance: readonly BranchKey[],
): Stop | undefined {
  const key = branchKey(at)
  const stop = linkInputs(tx, key, provenance)
  if (stop) return stop
  const branch = ensureBranch(tx, at)
  if (!branch) return missingRepo(tx.view, at.repo)
  const inputs = distinct(provenance)
  if (sameBranches(branch.provenance, inputs)) return undefined
  tx.branch({ ...branch, provenance: inputs })
  // What waits was made from other inputs; without any, nobody would end it.
  if (inputs.length === 0) endQueue(tx, key, 'the branch is no longer made from others')
  else {
    supersede(tx, key, null)
    tx.due.add(key)
  }
  return undefined
}

function setHead(
  tx: Transaction,
  at: BranchKey,
  id: Commit['id'],
  prepared: PreparedOp,
  created: boolean,
): Stop | undefined {
  const key = branchKey(at)
  const branch = ensureBranch(tx, at)
  if (!branch) return missingRepo(tx.view, at.repo)
  if (branch.provenance.length > 0)
    return refuse(
      'OUTPUT_BRANCH',
      `cannot move the branch "${key}": it is made from ${branch.provenance.map(branchKey).join(', ')}`,
    )
  const commit = namedCommit(at, prepared.named ?? [])
  if (!commit)
    return missing(
      'NOT_FOUND_COMMIT',
      `commit of "${at.repo}"`,
      id,
      branch.head ? [branch.head.id] : [],
    )
  if (commit.dropped)
    return refuse(
      'NOT_FOUND_COMMIT',
      `cannot move the branch "${key}" to "${id}": that commit was dropped`,
    )
  if (commit.state !== 'finished' || commit.root === null)
    return refuse(
      'INVALID_OPTION',
      `cannot move the branch "${key}" to "${id}": that commit is ${commit.state}`,
    )
  if (branch.head?.id === id) return undefined
  // A commit of another branch becomes one of this branch too, under its id, so that whatever is made
  // from this branch names a commit that is here.
  const { seq, atMs } = tx.at
  if (commit.branch !== at.branch)
    tx.commit({
      ...commit,
      branch: at.branch,
      openedSeq: seq,
      openedAtMs: atMs,
      endedSeq: seq,
      endedAtMs: atMs,
    })
  const tip = tipOf(commit)
  tx.branch(
    { ...branch, tip, head: tip, epoch: created ? branch.epoch : branch.epoch + 1 },
    created ? 'created' : 'moved',
  )
  tx.moved.set(key, tx.id)
  setBack(tx, key, prepared)
  return undefined
}

/** A feed goes on from where it stood at the commit the branch was moved to. */
function setBack(tx: Transaction, key: string, { positions = {} }: PreparedOp): void {
  for (const [name, position] of Object.entries(positions)) {
    const spout = tx.view.spouts.get(name)
    if (!spout || branchKey(spout) !== key) continue
    tx.record({
      f: 'spout.changed',
      spout: {
        ...spout,
        epoch: spout.epoch + 1,
        positions: position,
        updatedAtMs: tx.at.atMs,
      },
    })
  }
}

/** Of the commits of a repo with one id: the one on this branch, else any that is finished. */
function namedCommit(at: BranchKey, named: readonly Commit[]): Commit | undefined {
  return (
    named.find((commit) => commit.branch === at.branch) ??
    named.find((commit) => commit.state === 'finished') ??
    named.find((commit) => hasEnded(commit.state)) ??
    named[0]
  )
}

export function deleteBranch(
  tx: Transaction,
  op: Extract<Op, { op: 'branch.delete' }>,
): Stop | undefined {
  const branch = tx.view.branches.get(branchKey(op.branch))
  if (!branch)
    return tx.view.repos.has(op.branch.repo)
      ? missingBranch(tx.view, op.branch)
      : missingRepo(tx.view, op.branch.repo)
  const why = op.force ? undefined : whyKept(tx.view, branch)
  if (why !== undefined)
    return refuse('HAS_CHILDREN', `cannot delete the branch "${branchKey(branch)}": ${why}`)
  removeBranch(tx, branch)
  return undefined
}
