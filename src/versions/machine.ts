// The domain as the log drives it.

import { branchKey } from '../model/entities.ts'
import type { Fact, Op } from '../model/ops.ts'
import type { Machine } from '../log/machine.ts'
import { decide } from './decide/decide.ts'
import { foldEntry } from './fold.ts'
import type { PrepareGuests } from './prepare.ts'
import { prepare } from './prepare.ts'
import type { Prepared } from './prepared.ts'
import { projectEntries } from './project.ts'
import type { State } from './state.ts'
import { emptyState, restoreState, snapshotState } from './state.ts'

export function versionsMachine(guests: PrepareGuests): Machine<Op, Fact, State, Prepared> {
  return {
    empty: emptyState,
    fold: foldEntry,
    orderedBy: (proposal) => [...new Set(proposal.ops.flatMap(orderOf))],
    prepare: (state, proposals) => prepare(guests, state, proposals),
    decide: (state, proposal, prepared, at) =>
      decide(state, proposal, prepared, at, guests.emptyRoot),
    project: projectEntries,
    snapshot: snapshotState,
    restore: restoreState,
  }
}

/** The branches whose tree an op changes or moves, and the repos it looks for commits in. */
function orderOf(op: Op): string[] {
  switch (op.op) {
    case 'commit.put':
      return [branchKey(op.branch)]
    case 'branch.put':
      // A branch may be moved to a commit of another: that must not be dropped in between.
      return [branchKey(op.branch), ...(op.head === undefined ? [] : [op.branch.repo])]
    case 'commit.drop':
      return [...op.commits.map(branchKey), ...op.commits.map(({ repo }) => repo)]
    case 'commit.finish':
      return [branchKey(op.commit)]
    default:
      return []
  }
}
