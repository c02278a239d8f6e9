// What this room keeps from collection: trees and messages of commits, what is staged for open ones,
// parts of uploads. A commit that was dropped keeps nothing; that a branch or a pin needs one is a reason
// not to drop it.

import type { Commit, Purge } from '../model/entities.ts'
import type { Fact, Op } from '../model/ops.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { Root } from '../objects/upkeep/mark.ts'
import type { Versions } from './versions.ts'

/** All there are now, or were when this was called. */
export async function* versionRoots(versions: Versions, project: string): AsyncGenerator<Root> {
  for await (const { name } of versions.repos(project)) {
    for await (const { head, tip } of versions.branches(project, name)) {
      yield* trees(head?.root, tip?.root)
    }
    for await (const commit of versions.commits(project, name)) {
      yield* ofCommit(commit)
      if (commit.state === 'open' && commit.origin === 'user')
        for await (const run of versions.stagedRuns(project, commit)) yield { ref: run }
    }
  }
  for await (const purge of versions.purges(project)) yield* ofPurge(purge)
  for await (const ref of versions.uploads.roots(project)) yield { ref }
}

/** Of an entry: what became a root by it. */
export function* rootsOfFact(fact: Fact): Generator<Root> {
  switch (fact.f) {
    case 'branch.created':
    case 'branch.moved':
    case 'branch.changed':
      yield* trees(fact.branch.head?.root, fact.branch.tip?.root)
      return
    case 'commit.opened':
    case 'commit.changed':
    case 'commit.finished':
    case 'commit.failed':
      yield* ofCommit(fact.commit)
      return
    case 'purge.begun':
    case 'purge.ended':
      yield* ofPurge(fact.purge)
      return
    default:
  }
}

/** Of an op: what it proposes to keep. */
export function rootsOf(op: Op): Root[] {
  switch (op.op) {
    case 'commit.put':
      return [...trees(...op.change.runs, op.change.root, op.change.base), ...chunks(op.note)]
    case 'commit.finish':
      return [...trees(...op.change.runs, op.change.root, op.change.base)]
    case 'commit.open':
      return [...chunks(op.note)]
    case 'purge.put':
      return [...ofPurge(op.purge)]
    case 'job.started':
      return [...trees(op.plan)]
    case 'job.finished':
      return [...trees(op.root, op.datumTree, op.ownerTree)]
    default:
      return []
  }
}

function* ofCommit({ root, note }: Commit): Generator<Root> {
  yield* trees(root)
  yield* chunks(note)
}

function* ofPurge({ map, receipt }: Pick<Purge, 'map' | 'receipt'>): Generator<Root> {
  yield { ref: map, chunk: true, map: true }
  yield { ref: receipt, chunk: true }
}

function* trees(...refs: (TreeRef | null | undefined)[]): Generator<Root> {
  for (const ref of refs) if (ref) yield { ref }
}

function* chunks(...refs: (TreeRef | null)[]): Generator<Root> {
  for (const ref of refs) if (ref) yield { ref, chunk: true }
}
