import type { Op } from '../../model/ops.ts'
import type { Stop, Transaction } from './transaction.ts'
import { missingRepo } from './transaction.ts'

/** Branches, commits and ids stay as they are: it says only what is read of them from now on. */
export function putPurge(
  tx: Transaction,
  { purge }: Extract<Op, { op: 'purge.put' }>,
): Stop | undefined {
  if (!purge.ended && !tx.view.repos.has(purge.repo)) return missingRepo(tx.view, purge.repo)
  const f = purge.ended ? 'purge.ended' : 'purge.begun'
  tx.record({ f, purge: { ...purge, atMs: tx.at.atMs } })
  return undefined
}
