// One proposer waiting for its answer.

import type { Deferred } from '../base/async.ts'
import type { BusMessage } from '../bus/bus.ts'
import type { Id } from '../model/id.ts'
import type { Answer, Entry } from './machine.ts'
import { KEY_REUSED, isReused } from './verdict.ts'
import type { Notice } from './wire.ts'

export const FIRST_POLL_MS = 25
const FIRST_RESEND_MS = 1_000

export interface Asking<Fact> {
  readonly project: string
  readonly id: Id
  /** Undefined: whatever was asked under this id. */
  readonly fingerprint: string | undefined
  readonly issuedAtMs: number
  /** What was sent; sent again as it is, because the bus may lose it. */
  readonly message: BusMessage
  readonly answer: Deferred<Answer<Fact>>
  /** All by the monotonic clock. */
  readonly sentMs: number
  readonly deadlineMs: number
  pollMs: number
  nextPollMs: number
  resendMs: number
  nextResendMs: number
}

export function asking<Fact>(
  what: Pick<
    Asking<Fact>,
    'project' | 'id' | 'fingerprint' | 'issuedAtMs' | 'message' | 'answer' | 'deadlineMs'
  >,
  nowMs: number,
  firstPollMs: number,
): Asking<Fact> {
  return {
    ...what,
    sentMs: nowMs,
    pollMs: firstPollMs,
    nextPollMs: nowMs + firstPollMs,
    resendMs: FIRST_RESEND_MS,
    nextResendMs: nowMs + FIRST_RESEND_MS,
  }
}

/** The answer an entry is to a request with this fingerprint. */
export function answerOf<Fact>(entry: Entry<Fact>, fingerprint: string | undefined): Answer<Fact> {
  if (fingerprint !== undefined && isReused(entry, fingerprint))
    return { kind: 'notice', ...KEY_REUSED }
  return { kind: 'decided', entry }
}

/** Whether the notice is about this very send. */
export function isFor(notice: Notice, one: Asking<unknown>): boolean {
  return (
    notice.id === one.id &&
    notice.fingerprint === (one.fingerprint ?? '') &&
    notice.issuedAtMs.includes(one.issuedAtMs)
  )
}
