// A new tip that is not AUTO opens, in its own entry, exactly one AUTO commit on every branch
// transitively below, in topological order, made from the tips at that point.
//
// A branch that a pipeline fills from nothing is below none: it opens one when it is due, and only then.
//
// A branch below opens nothing when
//  - an input has no tip yet, or none of its inputs has a new one (its way up is stopped);
//  - its pipeline is stopped;
//  - the closures of its inputs disagree on the version of some branch. They can only disagree below a
//    pipeline that opened nothing (stopped, or a new input of it is still empty) or below a branch a
//    person set to an older commit: everybody else below the moved branch got a commit in one entry.
//    Two versions of one branch in one lineage would be torn, so the branch waits until the lagging
//    side opens again and brings this one with it.

import type { Branch, Cause, Commit, CommitKey } from '../../model/entities.ts'
import { branchKey, hasEnded } from '../../model/entities.ts'
import type { Id } from '../../model/id.ts'
import { must } from '../../base/assert.ts'
import { queueBackwards, queueOf } from '../state.ts'
import { tipOf } from './end.ts'
import type { Stop, Transaction } from './transaction.ts'
import { refuse } from './transaction.ts'

export function propagate(tx: Transaction): Stop | undefined {
  if (tx.moved.size === 0 && tx.due.size === 0) return undefined
  const fresh = new Set(tx.moved.keys())
  const openings = new Map<string, Opening>()
  for (const key of belowInOrder(tx)) {
    const branch = must(tx.view.branches.get(key), `branch "${key}"`)
    const above = branch.provenance.map(branchKey)
    if (above.length === 0 && branch.pipeline === null) continue
    if (!tx.due.has(key) && !above.some((one) => fresh.has(one))) continue
    if (branch.pipeline !== null && tx.view.pipelines.get(branch.pipeline)?.state !== 'running')
      continue
    const planned = closure(tx, above, openings)
    if (!planned) continue
    fresh.add(key)
    openings.set(key, { branch, ...planned })
  }
  const id = setId(tx, [...openings.keys()])
  if (id === undefined)
    return refuse(
      'INVALID_OPTION',
      'cannot do this in one transaction: a branch would get two commits of one set',
    )
  for (const opening of openings.values()) open(tx, opening, id)
  return undefined
}

interface Opening {
  readonly branch: Branch
  readonly inputs: readonly CommitKey[]
  readonly sources: Readonly<Record<string, Id>>
}

// Which id the new commits share is known only when all of them are: until then this stands for it.
const PENDING = '' as Id

/** The tips of the branches above and what they are made of, unless one is missing or two disagree. */
function closure(
  tx: Transaction,
  above: readonly string[],
  openings: ReadonlyMap<string, Opening>,
): Omit<Opening, 'branch'> | undefined {
  const inputs: CommitKey[] = []
  const sources: Record<string, Id> = {}
  for (const key of above) {
    const opening = openings.get(key)
    const branch = tx.view.branches.get(key)
    const tip = opening ? { id: PENDING, sources: opening.sources } : branch?.tip
    if (!branch || !tip) return undefined
    inputs.push({ repo: branch.repo, branch: branch.branch, id: tip.id })
    for (const [source, id] of [...Object.entries(tip.sources), [key, tip.id] as const]) {
      if (sources[source] !== undefined && sources[source] !== id) return undefined
      sources[source] = id
    }
  }
  return { inputs, sources }
}

/** Every branch transitively below what moved, and what is due itself; inputs before what reads them. */
function belowInOrder(tx: Transaction): string[] {
  const order: string[] = []
  const seen = new Set<string>()
  const visit = (key: string): void => {
    if (seen.has(key)) return
    seen.add(key)
    for (const next of tx.view.below.get(key) ?? []) visit(next)
    order.push(key)
  }
  for (const key of [...tx.moved.keys(), ...tx.due]) visit(key)
  return order.reverse().filter((key) => !tx.moved.has(key) || tx.due.has(key))
}

/**
 * The set of the commits that finished, if it is one and has no commit on any of these branches;
 * otherwise the entry's own. Undefined if that has one too, through another op of this entry.
 */
function setId(tx: Transaction, branches: readonly string[]): Id | undefined {
  const sets = new Set(tx.moved.values())
  if (tx.due.size > 0) sets.add(tx.id)
  const [one] = sets
  const held = (one && tx.setBranches.get(one)) ?? new Set()
  const free = (id: Id): boolean => branches.every((branch) => !tx.touched(branch, id))
  if (one && sets.size === 1 && branches.every((branch) => !held.has(branch)) && free(one))
    return one
  return free(tx.id) ? tx.id : undefined
}

function open(tx: Transaction, opening: Opening, id: Id): void {
  const key = branchKey(opening.branch)
  const branch = must(tx.view.branches.get(key), `branch "${key}"`)
  const settled = (version: Id): Id => (version === PENDING ? id : version)
  const inputs = opening.inputs.map((input) => ({ ...input, id: settled(input.id) }))
  const sources: Record<string, Id> = {}
  for (const [source, version] of Object.entries(opening.sources))
    sources[source] = settled(version)
  const commit: Commit = {
    repo: branch.repo,
    branch: branch.branch,
    id,
    origin: 'auto',
    state: 'queued',
    parent: branch.head?.id ?? null,
    root: null,
    stats: null,
    provenance: inputs,
    sources,
    cause: causeNow(tx, inputs),
    feed: null,
    note: null,
    openedSeq: tx.at.seq,
    openedAtMs: tx.at.atMs,
    endedSeq: null,
    endedAtMs: null,
  }
  tx.commit(commit)
  tx.branch({ ...branch, tip: tipOf(commit) })
  tx.unsettled.add(key)
  if (branch.pipeline !== null && tx.view.pipelines.get(branch.pipeline)?.backlog === 'latest')
    supersede(tx, key, commit)
}

/** Why it ends at its first turn, when a tip it is made from has already ended without a result. */
function causeNow(tx: Transaction, inputs: readonly CommitKey[]): Cause | null {
  for (const input of inputs) {
    const tip = must(tx.view.branches.get(branchKey(input))?.tip, `tip of "${branchKey(input)}"`)
    if (!hasEnded(tip.state) || tip.state === 'finished') continue
    const text = `its input ${branchKey(input)} ended ${tip.state}`
    const code = tip.state === 'superseded' ? 'SUPERSEDED' : 'INPUT_FAILED'
    return { code, text, commit: input }
  }
  return null
}

/**
 * Marks what waits on a branch and has not started: it ends when its turn comes. By a newer commit all
 * are but the one whose turn it is: it keeps its place, so a feed that never rests cannot put a job off
 * for ever. By null, what they were made from has changed, and all are.
 */
export function supersede(tx: Transaction, branch: string, by: Commit | null): void {
  const kept = by && turnOf(tx, branch)
  for (const commit of queueBackwards(tx.view, branch)) {
    if (by && commit.id === by.id) continue
    if (commit.state !== 'queued' || commit.id === kept?.id || (by && markedHere(commit))) break
    if (commit.cause) continue
    tx.commit({
      ...commit,
      cause: {
        code: 'SUPERSEDED',
        text: 'a newer commit took its place before its job started',
        commit: by && { repo: by.repo, branch: by.branch, id: by.id },
      },
    })
  }
  tx.unsettled.add(branch)
}

/** The front; where that runs without end, the first that can take its place. */
function turnOf(tx: Transaction, branch: string): Commit | undefined {
  for (const commit of queueOf(tx.view, branch))
    if (!commit.cause && !(commit.standing && commit.state === 'running')) return commit
  return undefined
}

/** Marked by `supersede`, so that all between it and the front are: not for an input that was superseded. */
function markedHere({ cause, repo, branch }: Commit): boolean {
  if (cause?.code !== 'SUPERSEDED') return false
  return cause.commit === null || (cause.commit.repo === repo && cause.commit.branch === branch)
}
