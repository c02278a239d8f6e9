// The one lease. A process beats in a single row that names the leases it keeps, however many they
// are; who wants a lease watches the lease's row and its owner's beat, and takes over, with a higher
// token, after it saw no change for ten seconds of its own clock. Clocks are never compared.
//
// A lease saves work and never decides: two owners at once are possible (a paused process does not
// know that it was replaced), waste effort, and must break nothing.
//
// Leases spread evenly over those who want them. Who waits in vain and keeps at least two fewer than
// the owner asks for the lease, by its name in the row, one at a time. The owner answers at its next
// beat: it ends its work and leaves the lease to who asked, or says no. Each such move makes the
// counts more even, so they come to an end: processes that differ by one leave each other alone.

import { assert } from '../base/assert.ts'
import { deferred } from '../base/async.ts'
import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import { toHex } from '../base/bytes.ts'
import { defineTable } from './schema.ts'
import type { RowOf } from './schema.ts'
import { settle } from './settle.ts'
import type { Tables } from './tables.ts'

export const LEASES = defineTable({
  name: 'leases',
  kind: 'guarded',
  partition: ['name'],
  clustering: [],
  columns: {
    /** `lease/<name>`, or `process/<owner>` for a heartbeat. */
    name: 'text',
    /** Of a lease: who has it; "" when it was given up. */
    owner: 'text',
    /** Of a lease: rises with every owner. */
    token: 'int',
    /** Of a lease: who asks its owner for it; of one given up: whom it is left to; "": nobody. */
    asks: 'text',
    /** Of a heartbeat: rises with every beat. */
    beat: 'int',
    /** Of a heartbeat: JSON, the names of the leases kept. */
    keeps: 'text',
    write_id: 'text',
  },
})

const BEAT_MS = 2_500
/** A taker's patience, on its own clock. */
export const PATIENCE_MS = 10_000
/** An owner that could not beat for this long takes its leases for lost. */
const SELF_DOUBT_MS = 8_000
const LOOK_MS = 1_000
/** Who waits is patient that long before it asks. */
const ASK_AFTER_MS = 5_000
/** An ask without an answer is forgotten after that long: the next may be for another lease. */
const ASK_ENDS_MS = 30_000
/** Work that does not end when its lease was asked for is left to its fate: others may take over. */
const LEAVE_MS = 30_000

type LeaseRow = RowOf<typeof LEASES>

/** What a waiting taker saw, and since when it saw nothing else. */
interface Sight {
  readonly seen: string
  readonly sinceMs: number
}

interface Held {
  readonly token: number
  /** Aborted when it is no longer ours, or is to be left to `leavesTo`. */
  readonly lost: AbortController
  leavesTo: { readonly owner: string; readonly sinceMs: number } | undefined
}

/** Whether it evens things out when who keeps `owned` gives one to who keeps `asking`. */
function isUneven(owned: number, asking: number): boolean {
  return owned - asking >= 2
}

/** What an owner does about an ask: one lease at a time is left to another. */
export function answerTo(ask: {
  readonly owned: number
  readonly asking: number
  readonly isLeavingOne: boolean
}): 'leave' | 'refuse' | 'later' {
  if (!isUneven(ask.owned, ask.asking)) return 'refuse'
  return ask.isLeavingOne ? 'later' : 'leave'
}

export class Leases {
  readonly #tables: Tables
  readonly #guests: { clock: Clock; random: Random }
  readonly #owner: string
  readonly #held = new Map<string, Held>()
  /** The one lease we ask for. */
  #asked: { readonly name: string; readonly sinceMs: number } | undefined
  #beat = 0
  #isBeating = false
  #beatAgain = deferred<void>()

  /** `owner` names this run of the process and no other, for ever. */
  constructor(options: { tables: Tables; clock: Clock; random: Random; owner: string }) {
    assert(options.owner !== '', 'a lease needs an owner')
    this.#tables = options.tables
    this.#guests = { clock: options.clock, random: options.random }
    this.#owner = options.owner
  }

  /**
   * Waits until the lease is ours, then runs `work`, whose signal is aborted when the lease is lost,
   * another process is to have it (once `work` has ended), or `signal` is. What was lost or left is
   * waited for again; when `work` ends by itself the lease is given up. Returns when `work` ended or
   * `signal` is aborted; what `work` throws is thrown.
   */
  async keep(
    name: string,
    signal: AbortSignal,
    work: (token: number, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    assert(!this.#held.has(name), `the lease "${name}" is already kept by this process`)
    while (!signal.aborted) {
      const token = await this.#take(name, signal)
      if (token === undefined) return
      const lost = new AbortController()
      const held: Held = { token, lost, leavesTo: undefined }
      this.#held.set(name, held)
      this.#startBeating()
      try {
        await work(token, AbortSignal.any([signal, lost.signal]))
        if (!lost.signal.aborted) return
      } catch (error) {
        if (!lost.signal.aborted) throw error
      } finally {
        this.#held.delete(name)
        if (held.leavesTo) await this.#giveUp(name, token, held.leavesTo.owner)
        else if (!lost.signal.aborted) await this.#giveUp(name, token, '')
      }
    }
  }

  /** The token, or undefined when the signal was aborted first. */
  async #take(name: string, signal: AbortSignal): Promise<number | undefined> {
    const { clock } = this.#guests
    const beganMs = clock.monotonicMs()
    let sight: Sight | undefined
    while (!signal.aborted) {
      try {
        const lease = await this.#row(`lease/${name}`)
        const owner = lease?.owner ? await this.#row(`process/${lease.owner}`) : undefined
        const keeps = keptBy(owner)
        const beat = keeps.includes(name) ? owner?.beat : null
        const seen = JSON.stringify(lease?.owner ? [lease.owner, lease.token, beat] : '')
        const nowMs = clock.monotonicMs()
        if (sight?.seen !== seen) sight = { seen, sinceMs: nowMs }
        if (this.#isFree(lease) || nowMs - sight.sinceMs >= PATIENCE_MS) {
          const token = await this.#tryTake(name, lease, signal)
          if (token !== undefined) return token
        } else if (lease?.owner && nowMs - beganMs >= ASK_AFTER_MS)
          await this.#ask(name, lease, keeps.length)
      } catch {
        // The store is away: look again later; nothing is decided by a lease.
      }
      await clock.sleep(LOOK_MS, signal)
    }
    return undefined
  }

  /** What is left to somebody is theirs as long as others have patience. */
  #isFree(lease: LeaseRow | undefined): boolean {
    return !lease?.owner && (!lease?.asks || lease.asks === this.#owner)
  }

  /** Leases kept and not about to be left. */
  get #keeping(): number {
    return [...this.#held.values()].filter(({ lost }) => !lost.signal.aborted).length
  }

  async #ask(name: string, lease: LeaseRow, owned: number): Promise<void> {
    const nowMs = this.#guests.clock.monotonicMs()
    if (this.#asked?.name === name && !lease.asks) this.#asked = undefined // it was refused
    if (this.#asked && nowMs - this.#asked.sinceMs < ASK_ENDS_MS) return
    if (lease.asks || !isUneven(owned, this.#keeping)) return
    this.#asked = { name, sinceMs: nowMs }
    await this.#rewrite(name, lease, { asks: this.#owner })
  }

  async #tryTake(
    name: string,
    lease: LeaseRow | undefined,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const key = { name: `lease/${name}` }
    const token = (lease?.token ?? 0) + 1
    const outcome = await settle(
      this.#tables,
      LEASES,
      {
        partition: key,
        expect: { key, is: lease ? { owner: lease.owner, token: lease.token } : 'absent' },
        put: [{ ...key, owner: this.#owner, token, asks: '' }],
        writeId: this.#writeId(),
      },
      this.#guests,
      signal,
    )
    if (this.#asked?.name === name) this.#asked = undefined
    return outcome.kind === 'applied' ? token : undefined
  }

  /** Once: if it does not arrive, others wait out their patience. */
  async #giveUp(name: string, token: number, asks: string): Promise<void> {
    await this.#rewrite(name, { owner: this.#owner, token }, { owner: '', asks }).catch(() => {})
  }

  /** Once, if the lease is still with the owner it was seen with. */
  async #rewrite(
    name: string,
    { owner, token }: Pick<LeaseRow, 'owner' | 'token'>,
    change: { readonly owner?: string; readonly asks: string },
  ): Promise<void> {
    const key = { name: `lease/${name}` }
    await this.#tables.writeIf(LEASES, {
      partition: key,
      expect: { key, is: { owner, token } },
      put: [{ ...key, owner, token, ...change }],
      writeId: this.#writeId(),
    })
  }

  #startBeating(): void {
    // A new lease is named at once: wake the loop, or start it.
    this.#beatAgain.resolve()
    if (this.#isBeating) return
    this.#isBeating = true
    void this.#beatWhileHolding().finally(() => {
      this.#isBeating = false
      // One may have been taken while the last beat was ending.
      if (this.#held.size > 0) this.#startBeating()
    })
  }

  async #beatWhileHolding(): Promise<void> {
    const { clock } = this.#guests
    let goodMs = clock.monotonicMs()
    while (this.#held.size > 0) {
      this.#beatAgain = deferred<void>()
      try {
        await this.#writeBeat()
        await this.#checkHeld()
        goodMs = clock.monotonicMs()
      } catch {
        if (clock.monotonicMs() - goodMs > SELF_DOUBT_MS)
          for (const { lost } of this.#held.values()) lost.abort()
      }
      const wake = new AbortController()
      await Promise.race([clock.sleep(BEAT_MS, wake.signal), this.#beatAgain.promise])
      wake.abort()
    }
  }

  async #writeBeat(): Promise<void> {
    const key = { name: `process/${this.#owner}` }
    const outcome = await this.#tables.writeIf(LEASES, {
      partition: key,
      expect: { key, is: this.#beat === 0 ? 'absent' : { beat: this.#beat } },
      put: [{ ...key, beat: this.#beat + 1, keeps: JSON.stringify(this.#named()) }],
      writeId: this.#writeId(),
    })
    if (outcome.kind === 'unknown') throw outcome.cause
    // Refused: an earlier beat whose reply was lost had arrived; go on from there.
    if (outcome.kind === 'refused') this.#beat = outcome.current?.beat ?? 0
    else this.#beat++
  }

  /** The leases a beat keeps alive. */
  #named(): string[] {
    const nowMs = this.#guests.clock.monotonicMs()
    return [...this.#held]
      .filter(([, { leavesTo }]) => !leavesTo || nowMs - leavesTo.sinceMs < LEAVE_MS)
      .map(([name]) => name)
  }

  async #checkHeld(): Promise<void> {
    for (const [name, held] of this.#held) {
      const lease = await this.#row(`lease/${name}`)
      if (lease?.owner !== this.#owner || lease.token !== held.token) held.lost.abort()
      else if (lease.asks && !held.leavesTo) await this.#answer(name, held, lease)
    }
  }

  async #answer(name: string, held: Held, lease: LeaseRow): Promise<void> {
    const owner = lease.asks ?? ''
    const answer = answerTo({
      owned: this.#keeping,
      asking: keptBy(await this.#row(`process/${owner}`)).length,
      isLeavingOne: [...this.#held.values()].some(({ leavesTo }) => leavesTo),
    })
    if (answer === 'refuse') await this.#rewrite(name, lease, { asks: '' })
    if (answer !== 'leave') return
    held.leavesTo = { owner, sinceMs: this.#guests.clock.monotonicMs() }
    held.lost.abort()
  }

  #row(name: string): Promise<RowOf<typeof LEASES> | undefined> {
    return this.#tables.get(LEASES, { name }, { serial: true })
  }

  #writeId(): string {
    return toHex(this.#guests.random.bytes(16))
  }
}

function keptBy(beat: LeaseRow | undefined): string[] {
  return JSON.parse(beat?.keeps ?? '[]') as string[]
}
