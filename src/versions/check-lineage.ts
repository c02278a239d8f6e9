// What a log says of provenance, entry by entry, against what must hold of it (I9):
//
// - An AUTO commit is made from the tips of the branches its own is made from, one each, and names all that
//   those are made of: of every branch one version. Of its own it may name an older one, where a branch
//   above was made from it once.
// - A new tip opens a commit on every branch below it in the same entry, but where that must wait
//   (decide/propagate.ts says where), and nowhere two.
// - What ends without a result leaves none that is made from it without a cause; one with a cause never
//   ends well.
// - No branch is made from itself, over however many others.

import type { Branch, Commit } from '../model/entities.ts'
import { branchKey, commitKey, hasEnded } from '../model/entities.ts'
import type { Fact } from '../model/ops.ts'
import type { Step } from './history-check.ts'
import type { View } from './state.ts'
import { queueOf } from './state.ts'

export function* lineageFaults(step: Step): Generator<string> {
  const { seq, facts, before, after } = step
  const opened = new Set<string>()
  for (const fact of facts) {
    if ('branch' in fact && fact.f !== 'branch.deleted' && closesCircle(after, fact.branch))
      yield `${branchKey(fact.branch)} is made from itself`
    if (!('commit' in fact) || fact.f === 'commit.dropped') continue
    const { commit } = fact
    const key = commitKey(commit)
    const at = branchKey(commit)
    const branch = after.branches.get(at)
    if (commit.origin !== 'auto' || isCopy(commit, step)) continue
    if (commit.openedSeq === seq && branch) {
      if (opened.has(at)) yield `two commits open on ${at}`
      opened.add(at)
      yield* sourceFaults(commit, branch, after)
    }
    if (!hasEnded(commit.state)) continue
    const cause = before.commits.get(key)?.cause
    if (commit.state === 'finished' && cause) yield `${key} ends well in spite of its cause`
    if (commit.state === 'finished') {
      const open = commit.provenance.find((input) => after.commits.has(commitKey(input)))
      if (open) yield `${key} ends before ${commitKey(open)}, of which it is made`
    } else yield* unblamed(commit, after)
  }
  yield* missed(step, opened)
}

/** A commit of another branch, to which this one was moved: it is of this branch too from now on. */
function isCopy(commit: Commit, { seq, id, facts }: Step): boolean {
  const at = branchKey(commit)
  const isMove = ({ f }: Fact): boolean => f === 'branch.moved' || f === 'branch.created'
  const moved = facts.some(
    (fact) => 'branch' in fact && isMove(fact) && branchKey(fact.branch) === at,
  )
  return moved && commit.state === 'finished' && commit.openedSeq === seq && commit.id !== id
}

function* sourceFaults(commit: Commit, branch: Branch, after: View): Generator<string> {
  const key = commitKey(commit)
  const inputs = commit.provenance.map(branchKey)
  if (inputs.toSorted().join() !== branch.provenance.map(branchKey).toSorted().join())
    yield `${key} is made from ${inputs.join(', ') || 'nothing'}; its branch from others`
  const sources = new Map<string, string>()
  for (const input of commit.provenance) {
    const above = branchKey(input)
    const tip = after.branches.get(above)?.tip
    if (tip?.id !== input.id)
      yield `${key} is made from ${commitKey(input)}; the tip is ${tip?.id ?? 'none'}`
    for (const [source, id] of [
      ...Object.entries(tip?.sources ?? {}),
      [above, input.id] as const,
    ]) {
      if ((sources.get(source) ?? id) !== id) yield `${key} holds two versions of ${source}`
      sources.set(source, id)
    }
  }
  const said = Object.entries(commit.sources)
  if (said.length !== sources.size || said.some(([source, id]) => sources.get(source) !== id))
    yield `${key} does not name what its inputs are made of`
  if (sources.get(branchKey(commit)) === commit.id) yield `${key} is made of itself`
}

/** Of those that wait and are made from a commit that ended without a result. */
function* unblamed(ended: Commit, after: View): Generator<string> {
  const key = commitKey(ended)
  for (const below of after.below.get(branchKey(ended)) ?? [])
    for (const commit of queueOf(after, below))
      if (commit.provenance.some((input) => commitKey(input) === key) && !commit.cause)
        yield `${commitKey(commit)} waits for ${key}, which ended ${ended.state}`
}

/** Branches below a new tip that should have got a commit of it. */
function* missed({ facts, before, after }: Step, opened: ReadonlySet<string>): Generator<string> {
  const fresh = new Set<string>()
  for (const fact of facts) {
    if (!('branch' in fact) || fact.f === 'branch.deleted') continue
    const at = branchKey(fact.branch)
    const { tip } = fact.branch
    if (tip && tip.id !== before.branches.get(at)?.tip?.id) fresh.add(at)
  }
  for (const above of fresh)
    for (const at of after.below.get(above) ?? []) {
      const branch = after.branches.get(at)
      if (!branch || opened.has(at) || mayWait(branch, after)) continue
      yield `${above} has a new tip, and nothing opens on ${at}`
    }
}

function mayWait(branch: Branch, after: View): boolean {
  const { pipeline } = branch
  if (pipeline !== null && after.pipelines.get(pipeline)?.state !== 'running') return true
  const sources = new Map<string, string>()
  for (const input of branch.provenance) {
    const above = branchKey(input)
    const tip = after.branches.get(above)?.tip
    if (!tip) return true
    for (const [source, id] of [...Object.entries(tip.sources), [above, tip.id] as const]) {
      if ((sources.get(source) ?? id) !== id) return true
      sources.set(source, id)
    }
  }
  return false
}

function closesCircle(view: View, branch: Branch): boolean {
  const own = branchKey(branch)
  const seen = new Set<string>()
  const rest = branch.provenance.map(branchKey)
  for (let above = rest.pop(); above !== undefined; above = rest.pop()) {
    if (above === own) return true
    if (seen.has(above)) continue
    seen.add(above)
    rest.push(...(view.branches.get(above)?.provenance ?? []).map(branchKey))
  }
  return false
}
