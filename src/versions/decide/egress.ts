import type { Egress, EgressProgress } from '../../model/entities.ts'
import { branchKey } from '../../model/entities.ts'
import { isName } from '../../model/name.ts'
import type { Op } from '../../model/ops.ts'
import type { Stop, Transaction } from './transaction.ts'
import { ensureBranch, missing, missingRepo, refuse, stale } from './transaction.ts'

/** Progress stays over a new spec: what was delivered was delivered. */
export function putEgress(
  tx: Transaction,
  op: Extract<Op, { op: 'egress.put' }>,
): Stop | undefined {
  const put = op.egress
  for (const name of [put.name, put.branch])
    if (!isName(name)) return refuse('INVALID_OPTION', `cannot use "${name}" as a name`)
  if (!ensureBranch(tx, put)) return missingRepo(tx.view, put.repo)
  const before = tx.view.egresses.get(put.name)
  if (before && branchKey(before) !== branchKey(put))
    return refuse(
      'ALREADY_EXISTS',
      `cannot put the egress "${put.name}" on "${branchKey(put)}": it reads "${branchKey(before)}"`,
    )
  const egress: Egress = {
    name: put.name,
    repo: put.repo,
    branch: put.branch,
    spec: put.spec,
    state: before?.state ?? 'running',
    cause: before?.cause ?? null,
    epoch: before?.epoch ?? 0,
    base: before?.base ?? null,
    progress: before?.progress ?? null,
    deliveredRecords: before?.deliveredRecords ?? 0,
    updatedAtMs: tx.at.atMs,
  }
  tx.record({ f: 'egress.put', egress })
  return undefined
}

export function setEgress(
  tx: Transaction,
  op: Extract<Op, { op: 'egress.set' }>,
): Stop | undefined {
  const egress = tx.view.egresses.get(op.name)
  if (!egress) return missingEgress(tx, op.name)
  if (egress.state === op.state && egress.cause === op.cause) return undefined
  tx.record({
    f: 'egress.changed',
    egress: { ...egress, state: op.state, cause: op.cause, updatedAtMs: tx.at.atMs },
  })
  return undefined
}

/** What a sink has taken, told by its host; it must go on from what is recorded. */
export function deliver(
  tx: Transaction,
  op: Extract<Op, { op: 'egress.delivered' }>,
): Stop | undefined {
  const egress = tx.view.egresses.get(op.name)
  if (!egress || egress.epoch !== op.epoch || !sameProgress(egress.progress, op.from))
    return stale(
      'STALE_STATE',
      `cannot record what the egress "${op.name}" delivered: it does not continue what is recorded`,
    )
  tx.record({
    f: 'egress.delivered',
    egress: {
      ...egress,
      base: op.to.done ? op.to.commit : egress.base,
      progress: op.to,
      deliveredRecords: egress.deliveredRecords + op.records,
      updatedAtMs: tx.at.atMs,
    },
  })
  return undefined
}

export function deleteEgress(
  tx: Transaction,
  op: Extract<Op, { op: 'egress.delete' }>,
): Stop | undefined {
  const egress = tx.view.egresses.get(op.name)
  if (!egress) return missingEgress(tx, op.name)
  tx.record({ f: 'egress.deleted', egress })
  return undefined
}

function sameProgress(a: EgressProgress | null, b: EgressProgress | null): boolean {
  if (a === null || b === null) return a === b
  return a.commit === b.commit && a.records === b.records && a.done === b.done
}

const missingEgress = (tx: Transaction, name: string): Stop =>
  missing('NOT_FOUND_EGRESS', 'egress', name, tx.view.egresses.keys())
