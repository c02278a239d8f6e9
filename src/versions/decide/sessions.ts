// Sessions: whoever stores bytes and then proposes to keep them says as of which entry it knew what was
// condemned. Collection closes those before an entry of its own; their proposals are refused, and may
// come again under the same id when their author has looked at what it built on.

import type { Op } from '../../model/ops.ts'
import type { ClosedSessions } from '../state.ts'
import { CLOSED } from '../state.ts'
import type { Stop, Transaction } from './transaction.ts'
import { stale } from './transaction.ts'

export function closeSessions(tx: Transaction): undefined {
  tx.record({ f: 'sessions.closed', before: tx.at.seq, by: tx.id })
}

/** Not recorded: the same request may be decided otherwise. */
export function refuseClosed(tx: Transaction, op: Op): Stop | undefined {
  const closed = tx.view.closed.get(CLOSED)
  if (!closed || !isOfClosed(closed, op)) return undefined
  return stale(
    'SESSION_CLOSED',
    `cannot keep what was written: its session is closed, as are all before entry ${closed.before}`,
  )
}

export function isOfClosed(closed: ClosedSessions | undefined, op: Op): boolean {
  return closed !== undefined && keepsBytes(op) && (op.session ?? 0) < closed.before
}

type KeepsBytes = Extract<
  Op,
  {
    op:
      | 'commit.put'
      | 'commit.open'
      | 'commit.finish'
      | 'purge.put'
      | 'job.started'
      | 'job.finished'
  }
>

export function keepsBytes(op: Op): op is KeepsBytes {
  switch (op.op) {
    case 'commit.put':
    case 'commit.finish':
    case 'purge.put':
    case 'job.started':
    case 'job.finished':
      return true
    case 'commit.open':
      return op.note !== null
    default:
      return false
  }
}
