// Everybody of one process who waits for an answer. The bus brings it, mostly; where it does not, the
// tables are asked, and the request is sent again, because the bus may have lost it.

import { forEachLimit } from '../base/async.ts'
import { TOPICS } from '../bus/bus.ts'
import type { Id } from '../model/id.ts'
import { FIRST_POLL_MS, answerOf, isFor } from './asking.ts'
import type { Asking } from './asking.ts'
import { say } from './diagnostics.ts'
import type { LogGuests } from './guests.ts'
import type { Answer, Entry } from './machine.ts'
import type { Notice } from './wire.ts'

const POLL_TICK_MS = 25
const POLL_MAX_MS = 1_600
/** The first look for an answer comes when the bus takes so much longer than usual. */
const LATE = 3
const FIRST_POLL_MAX_MS = 500
/** What a new answer weighs in what is usual. */
const NEWEST = 0.1
/** Look-ups at once: the first may bring the block that answers the others. */
const LOOK_UPS = 16

export class Waiting<Fact> {
  readonly #guests: Pick<LogGuests, 'bus' | 'clock'>
  readonly #decisionOf: (project: string, id: Id) => Promise<Entry<Fact> | undefined>
  readonly #stop = new AbortController()
  readonly #asking = new Map<Id, Asking<Fact>[]>()
  #polling: Promise<void> | undefined
  /** How long the bus takes to bring an answer. */
  #usualMs = 0

  constructor(
    guests: Pick<LogGuests, 'bus' | 'clock'>,
    decisionOf: (project: string, id: Id) => Promise<Entry<Fact> | undefined>,
  ) {
    this.#guests = guests
    this.#decisionOf = decisionOf
  }

  /** All who wait hear 'pending'. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#polling
  }

  /** When one that is sent now should first be looked up. */
  get firstPollMs(): number {
    return Math.max(FIRST_POLL_MS, Math.min(FIRST_POLL_MAX_MS, LATE * this.#usualMs))
  }

  /** Sends it; its `answer` resolves at its deadline at the latest. */
  add(one: Asking<Fact>): void {
    const same = this.#asking.get(one.id)
    if (same) same.push(one)
    else this.#asking.set(one.id, [one])
    this.#polling ??= this.#poll()
    void this.#publish(one)
  }

  /** Entries at or below the watermark. */
  entries(project: string, entries: readonly Entry<Fact>[]): void {
    if (this.#asking.size === 0) return
    const nowMs = this.#guests.clock.monotonicMs()
    for (const entry of entries)
      for (const one of this.#asking.get(entry.id) ?? []) {
        if (one.project !== project) continue
        this.#usualMs += NEWEST * (nowMs - one.sentMs - this.#usualMs)
        this.#answer(one, answerOf(entry, one.fingerprint))
      }
  }

  notices(project: string, notices: readonly Notice[]): void {
    for (const notice of notices)
      for (const one of this.#asking.get(notice.id) ?? [])
        if (one.project === project && isFor(notice, one))
          this.#answer(one, { kind: 'notice', code: notice.code, message: notice.message })
  }

  /** Something was decided that the bus cannot bring. */
  look(project: string): void {
    void this.#lookUp([...this.#asking.values()].flat().filter((one) => one.project === project))
  }

  /** What the bus does not take now is sent again by the poll. */
  async #publish(one: Asking<Fact>): Promise<void> {
    await this.#guests.bus.publish(TOPICS.proposals, [one.message]).catch((error: unknown) => {
      say('anomaly', { project: one.project, what: 'a proposal was not sent', error })
    })
  }

  #answer(one: Asking<Fact>, answer: Answer<Fact>): void {
    const same = this.#asking.get(one.id)?.filter((other) => other !== one)
    if (same && same.length > 0) this.#asking.set(one.id, same)
    else this.#asking.delete(one.id)
    one.answer.resolve(answer)
  }

  /** One loop for all who wait: an answer that comes quickly costs no timer of its own. */
  async #poll(): Promise<void> {
    const { clock } = this.#guests
    const { signal } = this.#stop
    while (this.#asking.size > 0) {
      await clock.sleep(POLL_TICK_MS, signal)
      const nowMs = clock.monotonicMs()
      const due: Asking<Fact>[] = []
      for (const one of [...this.#asking.values()].flat()) {
        if (signal.aborted || nowMs >= one.deadlineMs) this.#answer(one, { kind: 'pending' })
        else if (nowMs >= one.nextPollMs) {
          one.pollMs = Math.min(POLL_MAX_MS, one.pollMs * 2)
          one.nextPollMs = nowMs + one.pollMs
          due.push(one)
          if (nowMs >= one.nextResendMs) {
            one.resendMs *= 2
            one.nextResendMs = nowMs + one.resendMs
            void this.#publish(one)
          }
        }
      }
      void this.#lookUp(due)
    }
    this.#polling = undefined
  }

  async #lookUp(due: readonly Asking<Fact>[]): Promise<void> {
    await forEachLimit(due, LOOK_UPS, async (one) => {
      if (this.#asking.get(one.id)?.includes(one) !== true) return
      try {
        const entry = await this.#decisionOf(one.project, one.id)
        if (entry) this.#answer(one, answerOf(entry, one.fingerprint))
      } catch (error) {
        say('anomaly', { project: one.project, what: 'a request cannot be looked up', error })
      }
    })
  }
}
