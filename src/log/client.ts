// What other rooms use of a log: propose, look up, follow.
//
// Invariants: an answer is an entry at or below the watermark, or a notice about this very send. A
// request is looked up after its send is stamped and before it is sent, so a decision the look-up
// cannot see is younger than the stamp, and lanes still hold its id.

import { deferred, forEachLimit } from '../base/async.ts'
import { isVarveError } from '../base/errors.ts'
import { TOPICS } from '../bus/bus.ts'
import type { BusMessage, Subscription } from '../bus/bus.ts'
import { idTimeMs } from '../model/id.ts'
import type { Id } from '../model/id.ts'
import { answerOf, asking, isFor } from './asking.ts'
import type { Asking } from './asking.ts'
import { say } from './diagnostics.ts'
import { Follower } from './follow.ts'
import type { LogGuests } from './guests.ts'
import { Journal } from './journal.ts'
import type { Answer, Entry, Log, Proposal } from './machine.ts'
import { readMark } from './marks.ts'
import type { Mark } from './marks.ts'
import { FIRST_GENERATION, REQUESTS, requestSlot } from './tables.ts'
import { AHEAD_MS, HORIZON_MS } from './time.ts'
import { decodeTold, encodeSent } from './wire.ts'
import type { Told } from './wire.ts'

const QUIET_MS = 5_000
/** How long entries may wait to be projected before the writer is rung. */
const UNPROJECTED_MS = 1_000
const POLL_TICK_MS = 25
const POLL_MAX_MS = 1_600
/** Look-ups at once: the first may bring the block that answers the others. */
const LOOK_UPS = 16
/** A view is asked for again after this time. A switch missed for so short is no harm: what was
 *  decided since is still held by lanes. */
const VIEW_FRESH_MS = 1_000

export class LogClient<Op, Fact> implements Log<Op, Fact> {
  readonly #guests: LogGuests
  readonly #tail: Subscription
  readonly #stop = new AbortController()
  readonly #asking = new Map<Id, Asking<Fact>[]>()
  readonly #followers = new Map<string, Set<Follower<Fact>>>()
  readonly #views = new Map<string, { readonly view: number; readonly readMs: number }>()
  readonly #journals = new Map<string, Journal<Fact>>()
  #polling: Promise<void> | undefined
  #minding: Promise<void> | undefined

  /** Listens on the bus from now on; `close` ends it. */
  constructor(guests: LogGuests) {
    this.#guests = guests
    this.#tail = guests.bus.subscribe(TOPICS.log, { tail: true }, (messages) => {
      for (const message of messages) this.#hear(message)
      return Promise.resolve()
    })
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#tail.close()
    await Promise.all([this.#polling, this.#minding])
  }

  /**
   * `issuedAtMs` is stamped here. The answer is a notice with CLOCK_AHEAD or KEY_REUSED when the id
   * cannot be used. @throws VarveError UNAVAILABLE: ask again with the same id
   */
  async propose(proposal: Proposal<Op>, deadlineMs: number): Promise<Answer<Fact>> {
    return await this.#ask('propose', proposal, deadlineMs)
  }

  /**
   * The definite answer for an id whose request is not at hand: its decision; or, when the id is
   * older than a horizon and has none, the recorded EXPIRED (its sender gave up). 'pending' while it may still be on its
   * way. @throws VarveError UNAVAILABLE
   */
  async definiteAnswer(
    request: Pick<Proposal<Op>, 'project' | 'id' | 'principal'> & { readonly fingerprint?: string },
    deadlineMs: number,
  ): Promise<Answer<Fact>> {
    const { project, id, principal, fingerprint = '' } = request
    const entry = await this.decisionOf(project, id)
    if (entry) return answerOf(entry, request.fingerprint)
    if (idTimeMs(id) + HORIZON_MS > this.#guests.clock.nowMs()) return { kind: 'pending' }
    const give = { project, id, principal, fingerprint, ops: [], cause: null, machine: false }
    return await this.#ask('give-up', { ...give, issuedAtMs: 0 }, deadlineMs)
  }

  async watermark(project: string): Promise<Mark> {
    const view = this.#views.get(project)?.view
    const mark = await readMark(this.#guests.tables, project, view)
    this.#views.set(project, { view: mark.view, readMs: this.#guests.clock.monotonicMs() })
    return mark
  }

  async decisionOf(project: string, id: Id): Promise<Entry<Fact> | undefined> {
    const { tables, clock } = this.#guests
    const known = this.#views.get(project)
    const fresh = known && clock.monotonicMs() - known.readMs < VIEW_FRESH_MS
    const view = fresh ? known.view : (await this.watermark(project)).view
    const slot = requestSlot(idTimeMs(id))
    const row = await tables.get(REQUESTS, { project, view, slot, id })
    if (row?.seq === undefined) return undefined
    if (row.seq > (await this.watermark(project)).seq) return undefined
    return await this.#journal(project).entry(row.seq)
  }

  async *follow(project: string, after: number, signal: AbortSignal): AsyncGenerator<Entry<Fact>> {
    const { clock } = this.#guests
    const follower = new Follower<Fact>(after, clock.monotonicMs())
    const wake = (): void => follower.wake()
    signal.addEventListener('abort', wake)
    this.#stop.signal.addEventListener('abort', wake)
    const all = this.#followers.get(project) ?? new Set()
    this.#followers.set(project, all.add(follower))
    this.#minding ??= this.#mind()
    // A writer may have died between an append and its projection.
    void this.#ringIfBehind(project)
    const ended = (): boolean => signal.aborted || this.#stop.signal.aborted
    try {
      while (!ended()) {
        const entries = follower.take()
        if (entries === 'read')
          try {
            yield* this.#read(project, follower, ended)
          } catch (error) {
            if (!isVarveError(error) || !error.spec.retry) throw error
            await clock.sleep(UNPROJECTED_MS, signal)
            follower.doubt(clock.monotonicMs())
          }
        else if (!entries) await follower.wait()
        else
          for (const entry of entries) {
            if (ended()) return
            yield entry
          }
      }
    } finally {
      signal.removeEventListener('abort', wake)
      this.#stop.signal.removeEventListener('abort', wake)
      all.delete(follower)
      if (all.size === 0 && this.#followers.get(project) === all) this.#followers.delete(project)
    }
  }

  // ── follow ──

  async *#read(
    project: string,
    follower: Follower<Fact>,
    ended: () => boolean,
  ): AsyncGenerator<Entry<Fact>> {
    const { clock } = this.#guests
    const { seq: through } = await this.watermark(project)
    const journal = this.#journal(project)
    for await (const block of journal.blocks(follower.after, through)) {
      const entries = (await journal.entries(block)).filter(
        ({ seq }) => seq > follower.after && seq <= through,
      )
      follower.read(entries, clock.monotonicMs())
      for (const entry of entries) {
        if (ended()) return
        yield entry
      }
    }
  }

  /** Looks after followers that have heard nothing for a while. */
  async #mind(): Promise<void> {
    const { clock } = this.#guests
    const signal = this.#stop.signal
    while (this.#followers.size > 0 && !signal.aborted) {
      await clock.sleep(UNPROJECTED_MS, signal)
      const nowMs = clock.monotonicMs()
      for (const [project, followers] of this.#followers) {
        const quiet = [...followers].filter((one) => nowMs - one.heardMs >= QUIET_MS)
        if (quiet.length === 0 || signal.aborted) continue
        for (const one of quiet) one.doubt(nowMs)
        void this.#ringIfBehind(project)
      }
    }
    this.#minding = undefined
  }

  /** Rings the project's writer when entries stay above the watermark. */
  async #ringIfBehind(project: string): Promise<void> {
    const { clock, bus, tables } = this.#guests
    try {
      const mark = await this.watermark(project)
      const from = { seq: mark.seq, write: '', chain: new Uint8Array(0) }
      const head = await this.#journal(project).head(from)
      if (head.seq <= mark.seq) return
      await clock.sleep(UNPROJECTED_MS, this.#stop.signal)
      if (this.#stop.signal.aborted) return
      if ((await readMark(tables, project, mark.view)).seq > mark.seq) return
      await bus.publish(TOPICS.proposals, [encodeSent({ kind: 'ring', project })])
    } catch (error) {
      say('anomaly', { project, what: 'cannot look whether entries wait', error })
    }
  }

  // ── propose ──

  async #ask(
    kind: 'propose' | 'give-up',
    proposal: Proposal<Op>,
    deadlineMs: number,
  ): Promise<Answer<Fact>> {
    const { clock } = this.#guests
    const { project, id } = proposal
    const fingerprint =
      kind === 'propose' ? proposal.fingerprint : proposal.fingerprint || undefined
    const beganMs = clock.monotonicMs()
    // The stamp comes before the look-up: whatever is decided after it, lanes still know.
    const issuedAtMs = Math.floor(clock.nowMs())
    if (idTimeMs(id) > issuedAtMs + AHEAD_MS)
      return {
        kind: 'notice',
        code: 'CLOCK_AHEAD',
        message: `cannot use the id "${id}": its time lies over 60 s in the future`,
      }
    const known = await this.decisionOf(project, id)
    if (known) return answerOf(known, fingerprint)
    const sent = { kind, proposal: { ...proposal, issuedAtMs } } as const
    const nowMs = clock.monotonicMs()
    const one = asking<Fact>(
      {
        project,
        id,
        fingerprint,
        issuedAtMs,
        message: encodeSent(sent),
        answer: deferred<Answer<Fact>>(),
        deadlineMs: beganMs + deadlineMs,
      },
      nowMs,
    )
    const same = this.#asking.get(id)
    if (same) same.push(one)
    else this.#asking.set(id, [one])
    this.#polling ??= this.#poll()
    await this.#publish(one)
    return await one.answer.promise
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
    const signal = this.#stop.signal
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
        const entry = await this.decisionOf(one.project, one.id)
        if (entry) this.#answer(one, answerOf(entry, one.fingerprint))
      } catch (error) {
        say('anomaly', { project: one.project, what: 'a request cannot be looked up', error })
      }
    })
  }

  // ── the bus ──

  #hear(message: BusMessage): void {
    const told: Told<Fact> | undefined = decodeTold(message)
    if (!told) return say('anomaly', { what: 'a message on the log topic makes no sense' })
    const { project } = told
    const nowMs = this.#guests.clock.monotonicMs()
    switch (told.kind) {
      case 'entries':
        if (this.#asking.size > 0)
          for (const entry of told.entries)
            for (const one of this.#asking.get(entry.id) ?? [])
              if (one.project === project) this.#answer(one, answerOf(entry, one.fingerprint))
        for (const follower of this.#followers.get(project) ?? [])
          follower.push(told.entries, nowMs)
        break
      case 'notices':
        for (const notice of told.notices)
          for (const one of this.#asking.get(notice.id) ?? [])
            if (one.project === project && isFor(notice, one))
              this.#answer(one, { kind: 'notice', code: notice.code, message: notice.message })
        break
      case 'look':
        for (const follower of this.#followers.get(project) ?? []) follower.doubt(nowMs)
        void this.#lookUp(
          [...this.#asking.values()].flat().filter((one) => one.project === project),
        )
        break
    }
  }

  #journal(project: string): Journal<Fact> {
    let journal = this.#journals.get(project)
    if (!journal) {
      journal = new Journal(this.#guests, project, FIRST_GENERATION)
      this.#journals.set(project, journal)
    }
    return journal
  }
}
