// Commits of persons and spouts. What was prepared must stand on the tree the branch reads now; if it
// does not, the proposal is prepared again and keeps its id.

import type { Branch, BranchKey, Commit, Spout } from '../../model/entities.ts'
import { branchKey, commitKey } from '../../model/entities.ts'
import { isName } from '../../model/name.ts'
import type { Op } from '../../model/ops.ts'
import { assert } from '../../base/assert.ts'
import type { Merged, PreparedOp } from '../prepared.ts'
import { endGood, endUnfinished } from './end.ts'
import { CLOSED } from '../state.ts'
import type { Stop, Transaction } from './transaction.ts'
import { AGAIN, ensureBranch, filledBy, missingRepo, refuse, stale } from './transaction.ts'

type Put = Extract<Op, { op: 'commit.put' }>

export function putCommit(tx: Transaction, op: Put, prepared: PreparedOp): Stop | undefined {
  const feed = op.feed && checkFeed(tx, op, op.feed)
  if (feed && 'stop' in feed) return feed.stop
  const stop = checkWritable(tx, op.branch)
  if (stop) return stop
  const key = branchKey(op.branch)
  if (tx.touched(key, tx.id))
    return refuse('INVALID_OPTION', `cannot commit to "${key}" twice in one transaction`)
  const head = tx.view.branches.get(key)?.head ?? null
  if (op.ifParent !== undefined && (head?.id ?? null) !== op.ifParent)
    return refuse(
      'HEAD_MOVED',
      `cannot commit to "${key}" on top of "${op.ifParent}": its head is "${head?.id ?? 'empty'}"`,
      { head: head?.id ?? null },
    )
  const merged = fitting(tx, key, prepared)
  if ('stop' in merged) return merged.stop
  ensureBranch(tx, op.branch)
  const commit = newCommit(tx, op.branch, op.note)
  finish(
    tx,
    {
      ...commit,
      origin: op.feed ? 'spout' : 'user',
      feed: op.feed ? { spout: op.feed.spout, ranges: op.feed.ranges } : null,
    },
    merged,
  )
  if (feed) tx.record({ f: 'spout.changed', spout: feed.spout })
  return undefined
}

/** The spout as it stands after this commit: the feed goes on exactly where the last one ended. */
function checkFeed(
  tx: Transaction,
  op: Put,
  feed: NonNullable<Put['feed']>,
): { readonly spout: Spout } | { readonly stop: Stop } {
  const spout = tx.view.spouts.get(feed.spout)
  const why = !spout
    ? 'there is no such spout'
    : spout.state !== 'running'
      ? `it is ${spout.state}`
      : spout.epoch !== feed.epoch
        ? 'its positions were set back'
        : branchKey(spout) !== branchKey(op.branch)
          ? `its branch is "${branchKey(spout)}"`
          : Object.entries(feed.ranges)
              .filter(([part, { from }]) => (spout.positions[part] ?? null) !== from)
              .map(([part]) => `"${part}" stands at "${spout.positions[part] ?? 'its start'}"`)[0]
  if (!spout || why !== undefined)
    return {
      stop: stale('STALE_SOURCE', `cannot commit for the spout "${feed.spout}": ${why}`),
    }
  const positions = { ...spout.positions }
  for (const [part, { to }] of Object.entries(feed.ranges)) positions[part] = to
  if (!feed.folders) return { spout: { ...spout, positions } }
  return { spout: { ...spout, positions, folders: { ...spout.folders, ...feed.folders } } }
}

export function openCommit(
  tx: Transaction,
  op: Extract<Op, { op: 'commit.open' }>,
): Stop | undefined {
  const stop = checkWritable(tx, op.branch)
  if (stop) return stop
  const key = branchKey(op.branch)
  for (const commit of tx.view.commits.values())
    if (branchKey(commit) === key && commit.state === 'open')
      return refuse(
        'ALREADY_EXISTS',
        `cannot start a commit on "${key}": "${commit.id}" is open there`,
        { commit: commit.id },
      )
  if (tx.touched(key, tx.id))
    return refuse('INVALID_OPTION', `cannot commit to "${key}" twice in one transaction`)
  const branch = ensureBranch(tx, op.branch)
  const closed = tx.view.closed.get(CLOSED)?.before
  tx.commit({
    ...newCommit(tx, op.branch, op.note),
    parent: branch?.head?.id ?? null,
    ...(closed !== undefined && { closed }),
  })
  return undefined
}

export function finishCommit(
  tx: Transaction,
  op: Extract<Op, { op: 'commit.finish' }>,
  prepared: PreparedOp,
): Stop | undefined {
  const commit = tx.view.commits.get(commitKey(op.commit))
  if (commit?.state !== 'open')
    return refuse('NOT_OPEN', `cannot finish "${commitKey(op.commit)}": it is not open`)
  const stop = checkWritable(tx, op.commit)
  if (stop) return stop
  const merged = fitting(tx, branchKey(op.commit), prepared)
  if ('stop' in merged) return merged.stop
  finish(tx, commit, merged)
  return undefined
}

/** Whoever is decided first wins: a commit that was finished stays, one that was abandoned is over. */
export function abandonCommit(
  tx: Transaction,
  op: Extract<Op, { op: 'commit.abandon' }>,
): Stop | undefined {
  const key = commitKey(op.commit)
  const commit = tx.view.commits.get(key)
  if (commit?.state !== 'open')
    return refuse(
      'NOT_OPEN',
      commit
        ? `cannot delete "${key}": it is ${commit.state}, and a pipeline fills it`
        : `cannot delete "${key}": it has ended, and history is not rewritten`,
    )
  endUnfinished(tx, commit, 'it was deleted before it was finished')
  return undefined
}

/** What was prepared, if it stands on what the branch reads now. */
function fitting(
  tx: Transaction,
  key: string,
  { merged }: PreparedOp,
): Merged | { readonly stop: Stop } {
  const branch = tx.view.branches.get(key)
  // What was merged before sessions were closed may stand on what was condemned.
  const by = tx.view.closed.get(CLOSED)?.by ?? null
  const isYoung = merged?.under === undefined || merged.under === by
  if (merged && isYoung && tx.sameGround(merged.onto, branch?.head?.root ?? null)) return merged
  // No preparation can know what an earlier op of the same proposal made of the branch.
  if (branch !== tx.before.branches.get(key))
    return {
      stop: refuse(
        'INVALID_OPTION',
        `cannot commit to "${key}" in the transaction that makes or moves it`,
      ),
    }
  return { stop: AGAIN }
}

/** Ends it well and makes it the branch's new tip, which propagates. */
function finish(tx: Transaction, commit: Commit, merged: Merged): void {
  const key = branchKey(commit)
  const held = tx.view.sets.get(commit.id)?.branches ?? []
  tx.setBranches.set(commit.id, new Set([...(tx.setBranches.get(commit.id) ?? []), ...held]))
  endGood(tx, commit, merged.root, merged.stats)
  // Two commits of different sets may end on one branch in one entry: then the newest counts.
  tx.moved.set(key, tx.moved.has(key) ? tx.id : commit.id)
}

function newCommit(tx: Transaction, at: BranchKey, note: Commit['note']): Commit {
  return {
    repo: at.repo,
    branch: at.branch,
    id: tx.id,
    origin: 'user',
    state: 'open',
    parent: null,
    root: null,
    stats: null,
    provenance: [],
    sources: {},
    cause: null,
    feed: null,
    note,
    openedSeq: tx.at.seq,
    openedAtMs: tx.at.atMs,
    endedSeq: null,
    endedAtMs: null,
  }
}

function checkWritable(tx: Transaction, at: BranchKey): Stop | undefined {
  const repo = tx.view.repos.get(at.repo)
  if (!repo) return missingRepo(tx.view, at.repo)
  if (!isName(at.branch))
    return refuse('INVALID_OPTION', `cannot use "${at.branch}" as the name of a branch`)
  const branch: Branch | undefined = tx.view.branches.get(branchKey(at))
  const filled = filledBy(tx.view, repo, branch)
  if (filled !== undefined)
    return refuse('OUTPUT_BRANCH', `cannot commit to "${branchKey(at)}": ${filled}`)
  assert(!tx.view.queues.has(branchKey(at)), () => `"${branchKey(at)}" has AUTO commits at work`)
  return undefined
}
