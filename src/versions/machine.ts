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
    prepare: (state, proposal) => prepare(guests, state, proposal),
    decide: (state, proposal, prepared, at) =>
      decide(state, proposal, prepared, at, guests.emptyRoot),
    project: projectEntries,
    snapshot: snapshotState,
    restore: restoreState,
  }
}

/** The branches whose tree an op changes or moves. */
function orderOf(op: Op): string[] {
  switch (op.op) {
    case 'commit.put':
    case 'branch.put':
      return [branchKey(op.branch)]
    case 'commit.finish':
      return [branchKey(op.commit)]
    default:
      return []
  }
}
