import { branchKey } from '../../model/entities.ts'
import { isKeepRule } from '../../model/keep.ts'
import type { KeepRule } from '../../model/keep.ts'
import type { Op } from '../../model/ops.ts'
import type { Stop, Transaction } from './transaction.ts'
import { missingBranch, missingRepo, refuse } from './transaction.ts'

/** Nothing is dropped by this entry: the retention of the project looks at the rule and proposes. */
export function putRetention(
  tx: Transaction,
  { repo: name, branch: line, keep }: Extract<Op, { op: 'retention.put' }>,
): Stop | undefined {
  const repo = tx.view.repos.get(name)
  if (!repo) return missingRepo(tx.view, name)
  if (keep !== null && !isKeepRule(keep))
    return refuse(
      'INVALID_OPTION',
      `cannot keep commits of "${name}" by this rule: give "all", or how many, how young, or both`,
    )
  if (line === undefined) {
    tx.record({ f: 'repo.changed', repo: ruled(repo, keep) })
    return undefined
  }
  const key = { repo: name, branch: line }
  const branch = tx.view.branches.get(branchKey(key))
  if (!branch) return missingBranch(tx.view, key)
  tx.branch(ruled(branch, keep))
  return undefined
}

function ruled<T extends { readonly keep?: KeepRule }>(value: T, keep: KeepRule | null): T {
  const { keep: _, ...rest } = value
  return (keep === null ? rest : { ...rest, keep }) as T
}
