// State from entries. Pinned for ever: what this makes of a recorded fact may never change, because
// every log ever written is read with it. Facts carry whole new values, so it only assigns; what it
// derives (queues, edges, sets) depends on nothing but the order of facts.

import type { Commit } from '../model/entities.ts'
import { branchKey, commitKey, hasEnded } from '../model/entities.ts'
import type { Fact } from '../model/ops.ts'
import type { Entry } from '../log/machine.ts'
import { AssertionError } from '../base/assert.ts'
import type { State, View } from './state.ts'
import { CLOSED, dequeue, enqueue, setEdges } from './state.ts'

/** @throws AssertionError on a fact it does not know: the lane stops, it never skips one. */
export function foldEntry(state: State, entry: Entry<Fact>): void {
  state.seq = entry.seq
  if (!('yes' in entry.decision)) return
  // A set is traced from its first open commit on, wherever in the entry that stands.
  for (const fact of entry.decision.yes)
    if (fact.f === 'commit.opened' && fact.commit.state === 'open') traceSet(state, fact.commit)
  for (const fact of entry.decision.yes) applyFact(state, fact)
}

export function applyFact(view: View, fact: Fact): void {
  switch (fact.f) {
    case 'project.created':
      view.projects.set(fact.project.name, fact.project)
      return
    case 'sessions.closed':
      view.closed.set(CLOSED, { before: fact.before, by: fact.by })
      return
    case 'repo.created':
    case 'repo.changed':
      view.repos.set(fact.repo.name, fact.repo)
      return
    case 'repo.deleted':
      view.repos.delete(fact.repo.name)
      return
    case 'branch.created':
    case 'branch.moved':
    case 'branch.changed': {
      const key = branchKey(fact.branch)
      const before = view.branches.get(key)?.provenance ?? []
      if (before !== fact.branch.provenance)
        setEdges(view, key, before.map(branchKey), fact.branch.provenance.map(branchKey))
      view.branches.set(key, fact.branch)
      return
    }
    case 'branch.deleted': {
      const key = branchKey(fact.branch)
      setEdges(view, key, (view.branches.get(key)?.provenance ?? []).map(branchKey), [])
      view.branches.delete(key)
      return
    }
    case 'commit.opened':
    case 'commit.changed':
    case 'commit.finished':
    case 'commit.failed':
      applyCommit(view, fact.commit)
      return
    case 'commit.dropped':
      // It had ended: the state holds none of it, and no branch names it as its tip or head.
      return
    case 'purge.begun':
    case 'purge.ended':
      // What is read of commits is not in the state.
      return
    case 'pipeline.put':
    case 'pipeline.stopped':
    case 'pipeline.started':
      view.pipelines.set(fact.pipeline.name, fact.pipeline)
      return
    case 'pipeline.deleted':
      view.pipelines.delete(fact.pipeline.name)
      return
    case 'job.started':
    case 'job.stopping':
      view.jobs.set(commitKey(fact.job.commit), fact.job)
      return
    case 'job.finished':
      view.jobs.delete(commitKey(fact.job.commit))
      return
    case 'spout.put':
    case 'spout.changed':
      view.spouts.set(fact.spout.name, fact.spout)
      return
    case 'spout.deleted':
      view.spouts.delete(fact.spout.name)
      return
    case 'egress.put':
    case 'egress.changed':
    case 'egress.delivered':
      view.egresses.set(fact.egress.name, fact.egress)
      return
    case 'egress.deleted':
      view.egresses.delete(fact.egress.name)
      return
    default:
      // Written by a newer release: folding on without it would fork the truth.
      throw new AssertionError(`unknown fact: ${JSON.stringify(fact satisfies never)}`)
  }
}

function applyCommit(view: View, commit: Commit): void {
  const key = commitKey(commit)
  const branch = branchKey(commit)
  const before = view.commits.get(key)
  if (commit.state === 'open') traceSet(view, commit)
  const set = view.sets.get(commit.id)
  const open = (set?.open ?? 0) + Number(commit.state === 'open') - Number(before?.state === 'open')
  if (set && open === 0 && before?.state === 'open') view.sets.delete(commit.id)
  else if (set) {
    const branches = set.branches.includes(branch) ? set.branches : [...set.branches, branch]
    view.sets.set(commit.id, { open, branches })
  }
  if (!hasEnded(commit.state)) {
    view.commits.set(key, commit)
    if (!before && commit.origin === 'auto') enqueue(view, branch, key)
  } else if (before) {
    view.commits.delete(key)
    if (before.origin === 'auto') dequeue(view, branch, key)
  }
}

function traceSet(view: View, commit: Commit): void {
  if (!view.sets.has(commit.id)) view.sets.set(commit.id, { open: 0, branches: [] })
}
