// What other rooms use of a log: propose, look up, follow.
//
// Invariants: an answer is an entry at or below the watermark, or a notice about this very send. A
// request is looked up after its send is stamped and before it is sent, so a decision the look-up
// cannot see is younger than the stamp, and lanes still hold its id. A request whose id is young is
// not looked up: whatever was decided on it is young too (docs/design/0006).

import { deferred } from '../base/async.ts'
import { toHex, utf8 } from '../base/bytes.ts'
import { isVarveError } from '../base/errors.ts'
import { TOPICS } from '../bus/bus.ts'
import type { BusMessage, Subscription } from '../bus/bus.ts'
import { idTimeMs } from '../model/id.ts'
import type { Id } from '../model/id.ts'
import { answerOf, asking } from './asking.ts'
import { say } from './diagnostics.ts'
import { Follower } from './follow.ts'
import type { LogGuests } from './guests.ts'
import { Journal } from './journal.ts'
import type {
  Answer,
  Entry,
  Log,
  Machine,
  Proposal,
  RebuildRequest,
  RebuildStep,
} from './machine.ts'
import { readMark } from './marks.ts'
import type { Mark } from './marks.ts'
import { rebuild, rebuilt } from './rebuild.ts'
import { FIRST_GENERATION, REQUESTS, requestSlot } from './tables.ts'
import { AHEAD_MS, HORIZON_MS, isYoung } from './time.ts'
import { Waiting } from './waiting.ts'
import { decodeTold, encodeSent } from './wire.ts'

const QUIET_MS = 5_000
/** How long one look at the answer to `view current` takes at most. */
const SWITCH_MS = 10_000
/** How long entries may wait to be projected before the writer is rung. */
const UNPROJECTED_MS = 1_000
/**
 * A view is asked for again after this time. A switch missed for so short is no harm: the replaced view
 * keeps all that could be read of decisions while it was the current one, and what was decided since
 * is still held by lanes.
 */
const VIEW_FRESH_MS = 1_000
/** Projects of which something is remembered; of others it is read again. */
const REMEMBERED = 1_000
/** Of a project's journal it may be a block: half a megabyte. */
const JOURNALS = 64

export class LogClient<Op, Fact> implements Log<Op, Fact> {
  readonly #guests: LogGuests
  readonly #tail: Subscription
  readonly #stop = new AbortController()
  readonly #waiting: Waiting<Fact>
  readonly #followers = new Map<string, Set<Follower<Fact>>>()
  /** What was read last of each project's mark; it only rises. */
  readonly #marks = new Map<string, Mark & { readonly readMs: number }>()
  readonly #journals = new Map<string, Journal<Fact>>()
  #minding: Promise<void> | undefined

  /** Listens on the bus from now on; `close` ends it. */
  constructor(guests: LogGuests) {
    this.#guests = guests
    this.#waiting = new Waiting(guests, (project, id) => this.decisionOf(project, id))
    this.#tail = guests.bus.subscribe(TOPICS.log, { tail: true }, (messages) => {
      for (const message of messages) this.#hear(message)
      return Promise.resolve()
    })
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#tail.close()
    await Promise.all([this.#waiting.close(), this.#minding])
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
    const { tables, clock } = this.#guests
    const readMs = clock.monotonicMs()
    const mark = await readMark(tables, project, this.#marks.get(project)?.view)
    remember(this.#marks, project, { ...mark, readMs }, REMEMBERED)
    return mark
  }

  async decisionOf(project: string, id: Id): Promise<Entry<Fact> | undefined> {
    const { tables, clock } = this.#guests
    const known = this.#marks.get(project)
    const fresh = known && clock.monotonicMs() - known.readMs < VIEW_FRESH_MS
    const { view, seq } = fresh ? known : await this.watermark(project)
    const slot = requestSlot(idTimeMs(id))
    const row = await tables.get(REQUESTS, { project, view, slot, id })
    if (row?.seq === undefined) return undefined
    if (row.seq > seq && row.seq > (await this.watermark(project)).seq) return undefined
    return await this.#journal(project).entry(row.seq)
  }

  async *rebuild(
    project: string,
    machine: Pick<Machine<never, Fact, never, never>, 'project'>,
    request: RebuildRequest,
    signal: AbortSignal,
  ): AsyncGenerator<RebuildStep> {
    const { id, principal, check } = request
    const guests = this.#guests
    // What is asked is a rebuild, whichever view that comes to.
    const fingerprint = toHex(guests.hash(utf8('rebuild')))
    // Not in a view that this very request may have replaced.
    await this.watermark(project)
    const known = await this.decisionOf(project, id)
    if (known && 'yes' in known.decision && known.view !== undefined) return yield rebuilt(known)
    const asked = { project, id, principal, fingerprint, ops: [], cause: null, machine: false }
    const propose = (view: number): Promise<Answer<Fact>> =>
      this.propose({ ...asked, view, issuedAtMs: 0 }, SWITCH_MS)
    yield* rebuild<Fact>({ guests, machine, project, check, propose }, signal)
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
    const { clock, bus, tables, mac } = this.#guests
    try {
      const mark = await this.watermark(project)
      const from = { seq: mark.seq, write: '', chain: new Uint8Array(0) }
      const head = await this.#journal(project).head(from)
      if (head.seq <= mark.seq) return
      await clock.sleep(UNPROJECTED_MS, this.#stop.signal)
      if (this.#stop.signal.aborted) return
      if ((await readMark(tables, project, mark.view)).seq > mark.seq) return
      await bus.publish(TOPICS.proposals, [encodeSent({ kind: 'ring', project }, mac)])
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
    if (kind === 'give-up' || !isYoung(id, issuedAtMs)) {
      const known = await this.decisionOf(project, id)
      if (known) return answerOf(known, fingerprint)
    }
    const sent = { kind, proposal: { ...proposal, issuedAtMs } } as const
    const nowMs = clock.monotonicMs()
    const one = asking<Fact>(
      {
        project,
        id,
        fingerprint,
        issuedAtMs,
        message: encodeSent(sent, this.#guests.mac),
        answer: deferred<Answer<Fact>>(),
        deadlineMs: beganMs + deadlineMs,
      },
      nowMs,
      this.#waiting.firstPollMs,
    )
    this.#waiting.add(one)
    return await one.answer.promise
  }

  // ── the bus ──

  #hear(message: BusMessage): void {
    const told = decodeTold<Fact>(message, this.#guests.mac)
    if (told === 'forged')
      return say('anomaly', { what: 'a message on the log topic is not of this cluster', count: 1 })
    if (!told) return say('anomaly', { what: 'a message on the log topic makes no sense' })
    const { project } = told
    const nowMs = this.#guests.clock.monotonicMs()
    switch (told.kind) {
      case 'entries':
        this.#waiting.entries(project, told.entries)
        for (const follower of this.#followers.get(project) ?? [])
          follower.push(told.entries, nowMs)
        break
      case 'notices':
        this.#waiting.notices(project, told.notices)
        break
      case 'look':
        for (const follower of this.#followers.get(project) ?? []) follower.doubt(nowMs)
        this.#waiting.look(project)
        break
    }
  }

  #journal(project: string): Journal<Fact> {
    const known = this.#journals.get(project)
    const journal = known ?? new Journal<Fact>(this.#guests, project, FIRST_GENERATION)
    remember(this.#journals, project, journal, JOURNALS)
    return journal
  }
}

/** Keeps at most so many, those that were used last. */
function remember<V>(map: Map<string, V>, key: string, value: V, most: number): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= most) return
  for (const oldest of map.keys()) {
    map.delete(oldest)
    return
  }
}
