// From a proposal and what its preparation gave to what is to be done about it. No effects.

import { toVarveError } from '../base/errors.ts'
import type { Item } from './arrivals.ts'
import type { Fold } from './fold.ts'
import type { At, Decision, Entry, Machine, Verdict } from './machine.ts'

/** A proposal that asks this often to be prepared again is at fault itself. */
const MOST_AGAIN = 100

export type Ruling<Fact> = Verdict<Fact> & { readonly bug?: unknown }

/** Total: what throws becomes the recorded INTERNAL, with the error in `bug`. */
export function rule<Op, Fact, State, Prepared>(
  machine: Pick<Machine<Op, Fact, State, Prepared>, 'decide'>,
  fold: Pick<Fold<Fact, State>, 'state' | 'view'>,
  item: Item<Op, Prepared>,
  at: At,
): Ruling<Fact> {
  const { proposal, prepared } = item
  if (item.kind === 'give-up')
    return no('EXPIRED', `gave up on ${proposal.id}: it was not decided in time`)
  if (proposal.view !== undefined) return changeView(fold.view, proposal.view)
  if (item.poisoned) return bug('its facts cannot be folded')
  if (!prepared) return bug('it was not prepared')
  if ('error' in prepared) {
    const { code, message, details } = toVarveError(prepared.error)
    if (code === 'INTERNAL') return bug(prepared.error)
    return { no: { code, message, ...(details && { details }) } }
  }
  try {
    const verdict = machine.decide(fold.state, proposal, prepared.value, at)
    if ('again' in verdict && item.again >= MOST_AGAIN) return bug('it is never prepared well')
    return verdict
  } catch (error) {
    return bug(error)
  }
}

/** Views come in rising order: of two that were made at once the lower is of no use to anybody. */
function changeView(view: number, next: number): Decision<never> {
  if (next > view) return { yes: [] }
  return no('STALE_STATE', `cannot go on with view ${next}: view ${view} is the current one`)
}

/** The text stays out of the log: it may hold anything. */
function bug(error: unknown): Ruling<never> {
  return { ...no('INTERNAL', 'cannot decide this request: deciding it failed'), bug: error }
}

export function no(
  code: 'EXPIRED' | 'INTERNAL' | 'STALE_STATE' | 'TOO_LARGE',
  message: string,
): Decision<never> {
  return { no: { code, message } }
}

export const KEY_REUSED = {
  code: 'KEY_REUSED',
  message: 'cannot use this id: it belongs to a different request',
} as const

/** Whether the entry decided another request than the one with this fingerprint. */
export function isReused<Fact>(entry: Entry<Fact>, fingerprint: string): boolean {
  if (entry.fingerprint === fingerprint) return false
  // Who gives up on an id need not know what was asked.
  return !('no' in entry.decision && entry.decision.no.code === 'EXPIRED')
}
