// What goes away takes what fills or reads it along; what is made from it stays and waits.

import type { Branch } from '../../model/entities.ts'
import { branchKey } from '../../model/entities.ts'
import type { View } from '../state.ts'
import { endQueue, endUnfinished } from './end.ts'
import type { Transaction } from './transaction.ts'

/** What depends on the branch, in words. */
export function whyKept(view: View, branch: Branch): string | undefined {
  const key = branchKey(branch)
  const [below] = view.below.get(key) ?? []
  if (below !== undefined) return `"${below}" is made from "${key}"`
  if (branch.pipeline !== null) return `the pipeline "${branch.pipeline}" fills "${key}"`
  for (const spout of view.spouts.values())
    if (branchKey(spout) === key) return `the spout "${spout.name}" fills "${key}"`
  for (const egress of view.egresses.values())
    if (branchKey(egress) === key) return `the egress "${egress.name}" reads "${key}"`
  return undefined
}

/**
 * Takes a branch away with what fills and reads it. Branches below keep naming it: they open nothing
 * until a branch of that name exists again.
 */
export function removeBranch(tx: Transaction, branch: Branch): void {
  const key = branchKey(branch)
  if (branch.pipeline !== null) removePipeline(tx, branch.pipeline)
  for (const spout of tx.view.spouts.values())
    if (branchKey(spout) === key) tx.record({ f: 'spout.deleted', spout })
  for (const egress of tx.view.egresses.values())
    if (branchKey(egress) === key) tx.record({ f: 'egress.deleted', egress })
  const text = 'its branch was deleted'
  endQueue(tx, key, text)
  for (const commit of tx.view.commits.values())
    if (branchKey(commit) === key) endUnfinished(tx, commit, text)
  // What earlier ops of this entry meant to open there has nowhere to be.
  tx.due.delete(key)
  tx.moved.delete(key)
  tx.branchDeleted(tx.view.branches.get(key) ?? branch)
}

/** Its results stay: its repo keeps its name, so that a pipeline put again goes on from them. */
export function removePipeline(tx: Transaction, name: string): void {
  const pipeline = tx.view.pipelines.get(name)
  if (!pipeline) return
  release(tx, branchKey(pipeline.output), 'its pipeline was deleted')
  tx.record({ f: 'pipeline.deleted', pipeline })
}

/** The branch becomes one like any other. */
export function release(tx: Transaction, key: string, text: string): void {
  endQueue(tx, key, text)
  tx.due.delete(key)
  const branch: Branch | undefined = tx.view.branches.get(key)
  if (branch) tx.branch({ ...branch, provenance: [], pipeline: null })
}
