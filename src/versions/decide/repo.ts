import type { Branch } from '../../model/entities.ts'
import { branchKey } from '../../model/entities.ts'
import { isName } from '../../model/name.ts'
import type { Op } from '../../model/ops.ts'
import { removeBranch, whyKept } from './remove.ts'
import type { Stop, Transaction } from './transaction.ts'
import { addRepo, missingRepo, refuse } from './transaction.ts'

export function createRepo(
  tx: Transaction,
  op: Extract<Op, { op: 'repo.create' }>,
): Stop | undefined {
  if (!isName(op.name))
    return refuse('INVALID_OPTION', `cannot use "${op.name}" as the name of a repo`)
  if (tx.view.repos.has(op.name))
    return refuse('ALREADY_EXISTS', `cannot create the repo "${op.name}": it exists`)
  addRepo(tx, op.name, null)
  return undefined
}

export function deleteRepo(
  tx: Transaction,
  op: Extract<Op, { op: 'repo.delete' }>,
): Stop | undefined {
  const repo = tx.view.repos.get(op.name)
  if (!repo) return missingRepo(tx.view, op.name)
  const branches: Branch[] = []
  for (const branch of tx.view.branches.values())
    if (branch.repo === repo.name) branches.push(branch)
  for (const branch of op.force ? [] : branches) {
    const why = whyKept(tx.view, branch)
    if (why !== undefined)
      return refuse('HAS_CHILDREN', `cannot delete the repo "${repo.name}": ${why}`, {
        branch: branchKey(branch),
      })
  }
  for (const branch of branches) removeBranch(tx, branch)
  tx.record({ f: 'repo.deleted', repo })
  return undefined
}
