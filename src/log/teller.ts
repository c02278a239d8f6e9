// What a lane says on the bus: entries that can be read, notices, and the answers to copies. The bus
// is a bell: what it does not take is found in the tables.

import { Signal } from '../base/async.ts'
import { utf8 } from '../base/bytes.ts'
import type { BusMessage } from '../bus/bus.ts'
import { TOPICS } from '../bus/bus.ts'
import { BLOCK_MAX_BYTES } from './block.ts'
import { say } from './diagnostics.ts'
import type { LogGuests } from './guests.ts'
import type { Entry, Proposal } from './machine.ts'
import type { Run } from './projector.ts'
import { KEY_REUSED, isReused } from './verdict.ts'
import { encodeEntries, encodeLook, encodeNotices } from './wire.ts'
import type { Notice } from './wire.ts'

/** A request that was sent, and the stamps of its sends. */
export interface Copy<Op> {
  readonly proposal: Proposal<Op>
  readonly issuedAtMs: readonly number[]
}

/** A bus that is this far behind is not waited for: followers read the log. */
const OUTBOX_MESSAGES = 10_000

export class Teller<Op, Fact> {
  readonly #guests: Pick<LogGuests, 'bus' | 'mac'>
  readonly #project: string
  readonly #outbox: BusMessage[] = []
  readonly #outboxWake = new Signal()
  #isPublishing = false
  /** Copies of decided requests, by the seq that decided them. */
  readonly #copies = new Map<number, Copy<Op>[]>()
  readonly #copiesWake = new Signal()

  constructor(guests: Pick<LogGuests, 'bus' | 'mac'>, project: string) {
    this.#guests = guests
    this.#project = project
  }

  /** Everything it was given is said. */
  get isIdle(): boolean {
    return this.#outbox.length === 0 && this.#copies.size === 0 && !this.#isPublishing
  }

  /** Entries at or below the watermark. */
  entries(run: Run<Fact>): void {
    const sizeBytes = run.sizeBytes ?? utf8(JSON.stringify(run.entries)).length
    const fits = sizeBytes <= BLOCK_MAX_BYTES
    const { mac } = this.#guests
    this.#send(
      fits
        ? encodeEntries(this.#project, run.entries, run.print, mac)
        : encodeLook(this.#project, mac),
    )
    if (this.#copies.size > 0) this.#copiesWake.ring()
  }

  notice({ proposal, issuedAtMs }: Copy<Op>, said: Pick<Notice, 'code' | 'message'>): void {
    const { id, fingerprint } = proposal
    const told = { ...said, id, fingerprint, issuedAtMs }
    this.#send(encodeNotices(this.#project, [told], this.#guests.mac))
  }

  /** Answers a copy of a request that entry `seq` decided, once that can be read. */
  copy(copy: Copy<Op>, seq: number): void {
    const waiting = this.#copies.get(seq)
    if (waiting) waiting.push(copy)
    else this.#copies.set(seq, [copy])
    this.#copiesWake.ring()
  }

  /** Until the signal. `watermark`: where it stands now; `read`: the entry of a seq. */
  async run(
    signal: AbortSignal,
    watermark: () => number,
    read: (seq: number) => Promise<Entry<Fact>>,
  ): Promise<void> {
    signal.addEventListener('abort', () => {
      this.#outboxWake.ring()
      this.#copiesWake.ring()
    })
    await Promise.all([this.#publishing(signal), this.#answering(signal, watermark, read)])
  }

  #send(message: BusMessage): void {
    if (this.#outbox.length >= OUTBOX_MESSAGES) this.#outbox.splice(0)
    this.#outbox.push(message)
    this.#outboxWake.ring()
  }

  async #publishing(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const messages = this.#outbox.splice(0)
      this.#isPublishing = messages.length > 0
      if (messages.length === 0) await this.#outboxWake.wait()
      else
        await this.#guests.bus.publish(TOPICS.log, messages).catch((error: unknown) => {
          say('anomaly', { project: this.#project, what: 'entries were not published', error })
        })
    }
  }

  async #answering(
    signal: AbortSignal,
    watermark: () => number,
    read: (seq: number) => Promise<Entry<Fact>>,
  ): Promise<void> {
    while (!signal.aborted) {
      const ready = [...this.#copies].filter(([seq]) => seq <= watermark())
      if (ready.length === 0) await this.#copiesWake.wait()
      for (const [seq, copies] of ready) {
        this.#copies.delete(seq)
        const entry = await read(seq)
        const others = copies.filter(({ proposal }) => isReused(entry, proposal.fingerprint))
        for (const copy of others) this.notice(copy, KEY_REUSED)
        if (others.length < copies.length) this.entries({ entries: [entry] })
      }
    }
  }
}
