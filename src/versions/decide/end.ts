// How commits end, for whatever reason: the commit's last value, the branch's tip and head, and who
// below hears of it. Every end goes through here.
//
//  - A good end moves the head; any other leaves it.
//  - A bad end marks, in the same entry, every queued commit directly below that names it: `cause` says
//    why it will end when its turn comes. So at the front "no cause and no open input" means "ready".

import type { Branch, Cause, Commit, TipValue, TreeStats } from '../../model/entities.ts'
import { branchKey, commitKey } from '../../model/entities.ts'
import type { TreeRef } from '../../model/tree-ref.ts'
import { assert, must } from '../../base/assert.ts'
import type { Transaction } from './transaction.ts'
import { frontOf, queueOf } from '../state.ts'

export function tipOf(commit: Commit): TipValue {
  const { id, root, stats, state, sources } = commit
  return { id, root, stats, state, sources }
}

export function branchOf(tx: Transaction, commit: Commit): Branch {
  return must(tx.view.branches.get(branchKey(commit)), `branch "${branchKey(commit)}"`)
}

export function endGood(
  tx: Transaction,
  commit: Commit,
  root: TreeRef,
  stats: TreeStats | null,
): void {
  const branch = branchOf(tx, commit)
  const ended: Commit = {
    ...commit,
    state: 'finished',
    parent: branch.head?.id ?? null,
    root,
    stats,
    cause: null,
    endedSeq: tx.at.seq,
    endedAtMs: tx.at.atMs,
  }
  tx.commit(ended)
  const head = tipOf(ended)
  const isTip = ended.origin !== 'auto' || branch.tip?.id === ended.id
  tx.branch({ ...branch, tip: isTip ? head : branch.tip, head })
  unsettle(tx, branch)
}

export function endBad(
  tx: Transaction,
  commit: Commit,
  state: 'failed' | 'unrunnable' | 'superseded' | 'stopped',
  cause: Cause,
): void {
  assert(commit.origin === 'auto', () => `"${commitKey(commit)}" is a person's: it cannot fail`)
  const branch = branchOf(tx, commit)
  const ended: Commit = {
    ...commit,
    state,
    parent: branch.head?.id ?? null,
    cause,
    endedSeq: tx.at.seq,
    endedAtMs: tx.at.atMs,
  }
  tx.commit(ended)
  if (branch.tip?.id === ended.id) tx.branch({ ...branch, tip: tipOf(ended) })
  blameBelow(tx, ended)
  unsettle(tx, branch)
}

/** Ends a person's open commit, which stands beside its branch: nothing was made from it. */
export function endUnfinished(tx: Transaction, commit: Commit, text: string): void {
  assert(commit.state === 'open', () => `"${commitKey(commit)}" is ${commit.state}, not open`)
  tx.commit({
    ...commit,
    state: 'stopped',
    cause: { code: 'STOPPED', text, commit: null },
    endedSeq: tx.at.seq,
    endedAtMs: tx.at.atMs,
  })
}

/** What a commit that names `input` will end of: the first that failed is to blame. */
function causeOf(input: Commit): Cause {
  const { repo, branch, id } = input
  const self = { repo, branch, id }
  return {
    code: input.state === 'superseded' ? 'SUPERSEDED' : 'INPUT_FAILED',
    text: `its input ${branchKey(input)} ended ${input.state}`,
    commit: input.state === 'unrunnable' ? (input.cause?.commit ?? self) : self,
  }
}

function blameBelow(tx: Transaction, input: Commit): void {
  const above = branchKey(input)
  for (const key of tx.view.below.get(above) ?? []) {
    for (const commit of queueOf(tx.view, key)) {
      const named = commit.provenance.find((one) => branchKey(one) === above)
      if (named?.id === input.id) {
        if (!commit.cause) tx.commit({ ...commit, cause: causeOf(input) })
      } else if (named && tx.view.commits.has(commitKey(named))) {
        // Versions of one input rise along a queue: from here on all name newer ones.
        break
      }
    }
  }
}

function unsettle(tx: Transaction, branch: Branch): void {
  tx.unsettled.add(branchKey(branch))
  for (const key of tx.view.below.get(branchKey(branch)) ?? []) tx.unsettled.add(key)
}

/** Ends all AUTO commits of a branch, and its job: nobody will fill it any more. */
export function endQueue(tx: Transaction, branch: string, text: string): void {
  for (let front = frontOf(tx.view, branch); front; front = frontOf(tx.view, branch)) {
    const cause: Cause = { code: 'STOPPED', text, commit: null }
    const job = tx.view.jobs.get(commitKey(front))
    if (job)
      tx.record({
        f: 'job.finished',
        job: { ...job, state: 'stopped', cause, endedAtMs: tx.at.atMs },
      })
    endBad(tx, front, 'stopped', cause)
  }
}
