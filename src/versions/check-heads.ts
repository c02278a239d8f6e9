// What a log says of branches and their heads, entry by entry, against what must hold of it (I3):
//
// - A commit that ends well stands on the head its branch had, and is the head then; nothing else moves
//   a head but a person, which raises the branch's epoch.
// - A tip is a commit of its branch that was opened or ended in the entry that made it the tip.
// - What has ended never changes again, and nothing ends that was never open.

import type { Branch } from '../model/entities.ts'
import { branchKey, commitKey, hasEnded } from '../model/entities.ts'
import type { Fact } from '../model/ops.ts'
import type { Step } from './history-check.ts'

export function* headFaults({ seq, facts, before }: Step): Generator<string> {
  const heads = new Map<string, string | null>()
  const tips = new Map<string, Set<string>>()
  const branches = new Map<string, Extract<Fact, { branch: Branch }>>()
  for (const fact of facts) if ('branch' in fact) branches.set(branchKey(fact.branch), fact)
  for (const fact of facts) {
    if (fact.f === 'branch.deleted') heads.set(branchKey(fact.branch), null)
    if (!('commit' in fact) || fact.f === 'commit.dropped') continue
    const { commit } = fact
    const key = commitKey(commit)
    const at = branchKey(commit)
    const tip = tips.get(at) ?? new Set()
    tips.set(at, tip.add(commit.id))
    const known = before.commits.get(key)
    if (commit.openedSeq === seq ? known : known?.openedSeq !== commit.openedSeq)
      yield `${key} changes, which was not open`
    if (hasEnded(commit.state) && commit.endedSeq !== seq)
      yield `${key} ends here and says at ${commit.endedSeq}`
    if (commit.state !== 'finished') continue
    const was = before.branches.get(at)?.head?.id ?? null
    const head = heads.has(at) ? heads.get(at) : was
    // Where a person made or moved the branch, it stood elsewhere for a part of this entry.
    if (commit.parent !== head && branches.get(at)?.f === 'branch.changed')
      yield `${key} stands on ${commit.parent ?? 'nothing'}; the head was ${head ?? 'none'}`
    heads.set(at, commit.id)
  }
  for (const [at, fact] of branches) {
    if (fact.f === 'branch.deleted') continue
    const known = before.branches.get(at)
    const { head, tip, epoch } = fact.branch
    if (fact.f === 'branch.changed') {
      const last = heads.get(at) ?? known?.head?.id ?? null
      if ((head?.id ?? null) !== last)
        yield `the head of ${at} becomes ${head?.id ?? 'none'}; it is ${last ?? 'none'}`
      const isSame = (tip?.id ?? null) === (known?.tip?.id ?? null)
      if (!isSame && (!tip || !tips.get(at)?.has(tip.id)))
        yield `the tip of ${at} becomes ${tip?.id ?? 'none'}, which nothing here made`
      if (epoch !== known?.epoch) yield `the epoch of ${at} rises, and nobody moved it`
    }
    if (fact.f === 'branch.moved' && epoch <= (known?.epoch ?? 0))
      yield `${at} is moved, and its epoch does not rise`
  }
  for (const [at] of heads)
    if (!branches.has(at)) yield `the head of ${at} does not become the commit that ended there`
}
