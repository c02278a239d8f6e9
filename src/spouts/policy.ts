// When the open range becomes a commit: a pure function of what is in hand and of time.

import type { CommitPolicy } from './spec.ts'

export interface InHand {
  readonly records: number
  readonly bytes: number
  /** A position that must be kept though no record came: where a feed was first met. */
  readonly pinned: boolean
  /** When its first and its newest record came, monotonic; null with nothing in hand. */
  readonly firstMs: number | null
  readonly newestMs: number | null
  /** When the last commit was made, monotonic; null before the first. */
  readonly committedMs: number | null
}

export interface Due {
  /** Monotonic milliseconds; in the past: now. */
  readonly atMs: number
  /** `records`, `bytes`, `age`, `idle`, `interval`. */
  readonly why: string
}

/** Null: nothing to commit. */
export function whenDue(hand: InHand, policy: CommitPolicy): Due | null {
  if (hand.firstMs === null || hand.newestMs === null) return null
  if (hand.records === 0 && !hand.pinned) return null
  const full =
    hand.records >= policy.records ? 'records' : hand.bytes >= policy.bytes ? 'bytes' : undefined
  const age = { atMs: hand.firstMs + policy.ageMs, why: 'age' }
  const idle = { atMs: hand.newestMs + policy.idleMs, why: 'idle' }
  const due = full ? { atMs: hand.firstMs, why: full } : idle.atMs < age.atMs ? idle : age
  const notBefore = (hand.committedMs ?? -Infinity) + policy.minIntervalMs
  return due.atMs < notBefore ? { atMs: notBefore, why: 'interval' } : due
}
