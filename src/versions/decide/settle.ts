// Ends every commit whose end is already certain, until nothing more follows: those that must end
// without a result, and those on branches without a pipeline, which have nothing to wait for once
// their inputs are good. Only the front of a queue ends, so ends keep the order of openings.

import { branchKey, commitKey } from '../../model/entities.ts'
import type { Cause, Commit } from '../../model/entities.ts'
import { unreachable } from '../../base/assert.ts'
import type { View } from '../state.ts'
import { frontOf } from '../state.ts'
import { branchOf, endBad, endGood } from './end.ts'
import type { Transaction } from './transaction.ts'

const NOTHING = { files: 0, bytes: 0 }

export function settle(tx: Transaction): void {
  for (const key of tx.unsettled) {
    // Deleted first: an end below may ask for this branch again.
    tx.unsettled.delete(key)
    for (let front = frontOf(tx.view, key); front; front = frontOf(tx.view, key))
      if (!endsNow(tx, front)) break
  }
}

function endsNow(tx: Transaction, front: Commit): boolean {
  if (front.state !== 'queued') return false
  if (front.cause) {
    endBad(tx, front, endState(front.cause), front.cause)
    return true
  }
  const branch = branchOf(tx, front)
  if (branch.pipeline !== null || !inputsEnded(tx.view, front)) return false
  const { root, stats } = branch.head ?? { root: null, stats: NOTHING }
  endGood(tx, front, root ?? tx.emptyRoot, stats)
  return true
}

/** With no cause recorded, inputs that have ended are good. */
export function inputsEnded(view: View, commit: Commit): boolean {
  return commit.provenance.every((input) => !view.commits.has(commitKey(input)))
}

/** The input a commit waits for, if it waits. */
export function openInput(view: View, commit: Commit): string | undefined {
  const input = commit.provenance.find((one) => view.commits.has(commitKey(one)))
  return input && branchKey(input)
}

function endState(cause: Cause): 'unrunnable' | 'superseded' | 'stopped' | 'failed' {
  switch (cause.code) {
    case 'INPUT_FAILED':
      return 'unrunnable'
    case 'SUPERSEDED':
      return 'superseded'
    case 'STOPPED':
      return 'stopped'
    case 'DATUM_FAILED':
    case 'OUTPUT_CONFLICT':
    case 'CODE_FAILED':
      return 'failed'
    default:
      return unreachable(cause.code)
  }
}
