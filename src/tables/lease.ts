// The one lease. A process beats in a single row that names the leases it keeps, however many they
// are; who wants a lease watches the lease's row and its owner's beat, and takes over, with a higher
// token, after it saw no change for ten seconds of its own clock. Clocks are never compared.
//
// A lease saves work and never decides: two owners at once are possible (a paused process does not
// know that it was replaced), waste effort, and must break nothing.

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

/** What a waiting taker saw, and since when it saw nothing else. */
interface Sight {
  readonly seen: string
  readonly sinceMs: number
}

export class Leases {
  readonly #tables: Tables
  readonly #guests: { clock: Clock; random: Random }
  readonly #owner: string
  readonly #held = new Map<string, { token: number; lost: AbortController }>()
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
   * Waits until the lease is ours, then runs `work`, whose signal is aborted when the lease is lost
   * or `signal` is. A lost lease is waited for again; when `work` ends by itself the lease is given
   * up. Returns when `work` ended or `signal` is aborted; what `work` throws is thrown.
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
      this.#held.set(name, { token, lost })
      this.#startBeating()
      try {
        await work(token, AbortSignal.any([signal, lost.signal]))
        if (!lost.signal.aborted) return
      } catch (error) {
        if (!lost.signal.aborted) throw error
      } finally {
        this.#held.delete(name)
        if (!lost.signal.aborted) await this.#giveUp(name, token)
      }
    }
  }

  /** The token, or undefined when the signal was aborted first. */
  async #take(name: string, signal: AbortSignal): Promise<number | undefined> {
    const { clock } = this.#guests
    let sight: Sight | undefined
    while (!signal.aborted) {
      try {
        const lease = await this.#row(`lease/${name}`)
        const seen = await this.#look(name, lease)
        if (sight?.seen !== seen) sight = { seen, sinceMs: clock.monotonicMs() }
        const free = lease === undefined || lease.owner === ''
        if (free || clock.monotonicMs() - sight.sinceMs >= PATIENCE_MS) {
          const token = await this.#tryTake(name, lease, signal)
          if (token !== undefined) return token
        }
      } catch {
        // The store is away: look again later; nothing is decided by a lease.
      }
      await clock.sleep(LOOK_MS, signal)
    }
    return undefined
  }

  async #look(name: string, lease: RowOf<typeof LEASES> | undefined): Promise<string> {
    if (!lease?.owner) return ''
    const beat = await this.#row(`process/${lease.owner}`)
    const keeps = JSON.parse(beat?.keeps ?? '[]') as string[]
    return JSON.stringify([lease.owner, lease.token, keeps.includes(name) ? beat?.beat : null])
  }

  async #tryTake(
    name: string,
    lease: RowOf<typeof LEASES> | undefined,
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
        put: [{ ...key, owner: this.#owner, token }],
        writeId: this.#writeId(),
      },
      this.#guests,
      signal,
    )
    return outcome.kind === 'applied' ? token : undefined
  }

  async #giveUp(name: string, token: number): Promise<void> {
    const key = { name: `lease/${name}` }
    // Once: if it does not arrive, others wait out their patience.
    await this.#tables
      .writeIf(LEASES, {
        partition: key,
        expect: { key, is: { owner: this.#owner, token } },
        put: [{ ...key, owner: '', token }],
        writeId: this.#writeId(),
      })
      .catch(() => undefined)
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
      put: [{ ...key, beat: this.#beat + 1, keeps: JSON.stringify([...this.#held.keys()]) }],
      writeId: this.#writeId(),
    })
    if (outcome.kind === 'unknown') throw outcome.cause
    // Refused: an earlier beat whose reply was lost had arrived; go on from there.
    if (outcome.kind === 'refused') this.#beat = outcome.current?.beat ?? 0
    else this.#beat++
  }

  async #checkHeld(): Promise<void> {
    for (const [name, { token, lost }] of this.#held) {
      const lease = await this.#row(`lease/${name}`)
      if (lease?.owner !== this.#owner || lease.token !== token) lost.abort()
    }
  }

  #row(name: string): Promise<RowOf<typeof LEASES> | undefined> {
    return this.#tables.get(LEASES, { name }, { serial: true })
  }

  #writeId(): string {
    return toHex(this.#guests.random.bytes(16))
  }
}
