// The claims of workers elsewhere, as this server knows them.
//
//   ticket   which chunk, which worker, which token of the row, and for whom; sealed, so that it can
//            only have come from a server of this cluster
//   claim    inputs and datums as the recorded plan has them, never as a worker says
//
// A ticket holds for every server and after a restart: who does not know the claim yet reads it from
// the row and the plan. That the row still stands is asked again every two seconds at most; until then
// a worker that lost its chunk may read what it was allowed to read anyway, and write what nobody
// will look at, for only the row makes a result count.

import type { Route } from '../api/route.ts'
import type { Claim, WorkerApi } from '../api/worker.ts'
import { CLAIM_HEADER } from '../api/worker-routes.ts'
import type { Clock } from '../base/clock.ts'
import { VarveError } from '../base/errors.ts'
import type { ChunkKey } from '../model/datum.ts'
import { chunkKey } from '../model/datum.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { Call } from './call.ts'
import { deriveKey, isMac, mac, seal, unseal } from './sealed.ts'
import { OutputSession } from './worker-output.ts'
import type { LocatedRun } from './worker-runs.ts'

export type AnyCall = Pick<Call<Route>, 'request' | 'headers'>

/** What a call shows to say which chunk it is about. */
export function ticketOf(call: AnyCall): string {
  return call.headers[CLAIM_HEADER] ?? ''
}

/** What names a claim. */
export interface ClaimName extends ChunkKey {
  readonly worker: string
  readonly token: number
}

/** What the routes of workers stand on: a desk that can also say whether a claim stands. */
export interface ClaimDesk extends WorkerApi {
  holds(claim: ClaimName): Promise<boolean>
  /** The claim as it was given; undefined: it does not stand. @throws VarveError UNAVAILABLE */
  recall(claim: ClaimName): Promise<Claim | undefined>
  read(claim: Claim, input: string, path: string, offset?: number): AsyncIterable<Uint8Array>
  /** Runs of a file of an input, from its chunk `first` on; none where the store gives no addresses. */
  runs(claim: Claim, input: string, path: string, first?: number): AsyncIterable<LocatedRun>
  /** The id of the chunk whose bytes have this BLAKE3. */
  chunkId(hash: Uint8Array): string
  done(claim: ClaimName, result: TreeRef): Promise<boolean>
  giveBack(claim: ClaimName): Promise<void>
}

/** A claim in the hands of a worker elsewhere. */
export interface Held {
  readonly claim: Claim
  readonly output: OutputSession
  /** Batches of lines taken, or being taken. */
  readonly batches: Map<number, Promise<void>>
  checkedMs: number
  touchedMs: number
}

const CHECK_MS = 2_000
/** Twice as long as a lease lives without a beat. */
const QUIET_MS = 60_000
const MAX_BATCHES = 64

export class Claims {
  readonly #desk: ClaimDesk
  readonly #clock: Clock
  readonly #ticketKey: Uint8Array
  readonly #receiptKey: Uint8Array
  readonly #runKey: Uint8Array
  readonly #held = new Map<string, Promise<Held | undefined>>()

  constructor(options: { desk: ClaimDesk; clock: Clock; secret: string }) {
    this.#desk = options.desk
    this.#clock = options.clock
    this.#ticketKey = deriveKey(options.secret, 'varve worker claim v1')
    this.#receiptKey = deriveKey(options.secret, 'varve worker result v1')
    this.#runKey = deriveKey(options.secret, 'varve worker run v1')
  }

  /** `by`: the principal of the worker, the only one that may use the ticket. */
  give(claim: Claim, by: string): string {
    const { project, pipeline, job, n, worker, token } = claim
    const ticket = seal(this.#ticketKey, { by, project, pipeline, job, n, worker, token })
    this.#held.set(ticket, Promise.resolve(this.#hold(claim)))
    return ticket
  }

  /** @throws VarveError FORBIDDEN when the ticket is none of this worker's */
  name(ticket: string | undefined, by: string): ClaimName {
    const value = unseal(this.#ticketKey, ticket ?? '') as (ClaimName & { by: string }) | undefined
    if (value?.by !== by)
      throw new VarveError('FORBIDDEN', 'cannot do this: the claim was not given to this worker')
    const { project, pipeline, job, n, worker, token } = value
    return { project, pipeline, job, n, worker, token }
  }

  /** @throws VarveError FORBIDDEN; STALE_STATE when the chunk is no longer this worker's */
  async prove(ticket: string | undefined, by: string): Promise<Held> {
    const name = this.name(ticket, by)
    const key = ticket as string
    let held = await this.#held.get(key)
    if (!held) {
      const recalled = this.#recall(name).catch((error: unknown) => {
        this.#held.delete(key)
        throw error
      })
      this.#held.set(key, recalled)
      held = await recalled
    } else if (this.#clock.monotonicMs() - held.checkedMs > CHECK_MS) {
      if (await this.#desk.holds(name)) held.checkedMs = this.#clock.monotonicMs()
      else held = undefined
    }
    if (!held) {
      this.end(key)
      throw new VarveError(
        'STALE_STATE',
        `cannot go on with "${chunkKey(name)}": it is no longer the chunk of this worker`,
      )
    }
    held.touchedMs = this.#clock.monotonicMs()
    return held
  }

  async #recall(name: ClaimName): Promise<Held | undefined> {
    const claim = await this.#desk.recall(name)
    return claim && this.#hold(claim)
  }

  #hold(claim: Claim): Held {
    const nowMs = this.#clock.monotonicMs()
    const output = new OutputSession(claim, () => this.#desk.output(claim))
    return { claim, output, batches: new Map(), checkedMs: nowMs, touchedMs: nowMs }
  }

  /** What was not finished of its output is forgotten. */
  end(ticket: string): void {
    const held = this.#held.get(ticket)
    this.#held.delete(ticket)
    void held?.then((each) => each?.output.end()).catch(() => {})
  }

  /** Forgets claims nobody spoke of for long. */
  async sweep(): Promise<void> {
    for (const [ticket, promise] of this.#held) {
      const held = await promise.catch(() => undefined)
      if (!held || this.#clock.monotonicMs() - held.touchedMs > QUIET_MS) this.end(ticket)
    }
  }

  close(): void {
    for (const ticket of this.#held.keys()) this.end(ticket)
  }

  /** Proves that this tree is what the worker's output was finished as. */
  receipt(ticket: string, tree: TreeRef): string {
    return mac(this.#receiptKey, `${ticket} ${tree}`)
  }

  isReceipt(ticket: string, tree: TreeRef, receipt: string): boolean {
    return isMac(this.#receiptKey, `${ticket} ${tree}`, receipt)
  }

  /**
   * Says, to who can make ids, which chunks a run has. A worker learns from it neither the ids nor
   * whether a content it has thought of is stored anywhere: only whether it is this run's.
   */
  proof(ticket: string, ids: readonly string[]): string {
    return mac(this.#runKey, `${ticket} ${ids.join(' ')}`)
  }

  isProof(ticket: string, ids: readonly string[], proof: string): boolean {
    return isMac(this.#runKey, `${ticket} ${ids.join(' ')}`, proof)
  }
}

/** Does it once for each number, also when it is asked again; a failed one may be tried again. */
export function onceABatch(held: Held, batch: number, work: () => Promise<void>): Promise<void> {
  const known = held.batches.get(batch)
  if (known) return known
  const doing = work().catch((error: unknown) => {
    held.batches.delete(batch)
    throw error
  })
  held.batches.set(batch, doing)
  for (const old of held.batches.keys())
    if (held.batches.size > MAX_BATCHES) held.batches.delete(old)
  return doing
}

/**
 * A claim opens what its datums name: their files, and what lies below their folders.
 * @throws VarveError FORBIDDEN
 */
export function refuseUnnamed(claim: Claim, input: string, path: string): void {
  for (const datum of claim.datums)
    for (const piece of datum.inputs) {
      if (piece.name !== input) continue
      if (piece.path === '' || piece.path === path || path.startsWith(`${piece.path}/`)) return
    }
  throw new VarveError(
    'FORBIDDEN',
    `cannot read "${path}" of the input "${input}": no datum of the chunk names it`,
  )
}
