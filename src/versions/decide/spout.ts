import type { Spout } from '../../model/entities.ts'
import { branchKey } from '../../model/entities.ts'
import { isName } from '../../model/name.ts'
import type { Op } from '../../model/ops.ts'
import { must } from '../../base/assert.ts'
import type { Stop, Transaction } from './transaction.ts'
import { addRepo, ensureBranch, filledBy, missing, refuse } from './transaction.ts'

/** Makes the target repo and branch where they are missing; positions stay over a new spec. */
export function putSpout(tx: Transaction, op: Extract<Op, { op: 'spout.put' }>): Stop | undefined {
  const put = op.spout
  for (const name of [put.name, put.repo, put.branch])
    if (!isName(name)) return refuse('INVALID_OPTION', `cannot use "${name}" as a name`)
  const repo = tx.view.repos.get(put.repo) ?? addRepo(tx, put.repo, null)
  const filled = filledBy(tx.view, repo, tx.view.branches.get(branchKey(put)))
  if (filled !== undefined)
    return refuse(
      'OUTPUT_BRANCH',
      `cannot put the spout "${put.name}" on "${branchKey(put)}": ${filled}`,
    )
  must(ensureBranch(tx, put), `branch "${branchKey(put)}"`)
  const before = tx.view.spouts.get(put.name)
  const spout: Spout = {
    name: put.name,
    repo: put.repo,
    branch: put.branch,
    spec: put.spec,
    state: before?.state ?? 'running',
    cause: before?.cause ?? null,
    epoch: before?.epoch ?? 0,
    positions: before?.positions ?? {},
    ...(before?.folders && { folders: before.folders }),
    updatedAtMs: tx.at.atMs,
  }
  tx.record({ f: 'spout.put', spout })
  return undefined
}

export function setSpout(tx: Transaction, op: Extract<Op, { op: 'spout.set' }>): Stop | undefined {
  const spout = tx.view.spouts.get(op.name)
  if (!spout) return missingSpout(tx, op.name)
  if (spout.state === op.state && spout.cause === op.cause) return undefined
  tx.record({
    f: 'spout.changed',
    spout: { ...spout, state: op.state, cause: op.cause, updatedAtMs: tx.at.atMs },
  })
  return undefined
}

export function deleteSpout(
  tx: Transaction,
  op: Extract<Op, { op: 'spout.delete' }>,
): Stop | undefined {
  const spout = tx.view.spouts.get(op.name)
  if (!spout) return missingSpout(tx, op.name)
  tx.record({ f: 'spout.deleted', spout })
  return undefined
}

const missingSpout = (tx: Transaction, name: string): Stop =>
  missing('NOT_FOUND_SPOUT', 'spout', name, tx.view.spouts.keys())
