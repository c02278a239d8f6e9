// Hands chunks of work to workers that wait for one. It believes, from the log and the bell, which
// numbers are ready; only the row decides, and a wrong belief costs one refused write.

import type { Clock } from '../base/clock.ts'
import { Signal } from '../base/async.ts'
import { isVarveError, VarveError } from '../base/errors.ts'
import type { Bus } from '../bus/bus.ts'
import type { ChunkKey, PlannedDatum } from '../model/datum.ts'
import { chunkKey } from '../model/datum.ts'
import type { Job } from '../model/entities.ts'
import type { PipelineSpec } from '../model/spec-pipeline.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { poolOfOwner } from '../model/worker-name.ts'
import type { Tables } from '../tables/tables.ts'
import type { Versions } from '../versions/versions.ts'
import type { Board, ProjectBoard } from './board.ts'
import { hearRings, ring } from './bell.ts'
import { readChunk, readMeta } from './plan.ts'
import type { PlanMeta } from './plan.ts'
import type { PoolBook } from './pool-book.ts'
import { trouble } from './trouble.ts'
import { BEATS, leaseToken } from './work.ts'
import type { Lease, Ready, WorkRow, WorkRows } from './work.ts'

/** A chunk in a worker's hands. */
export interface Claimed extends ChunkKey, Lease {
  readonly meta: PlanMeta
  readonly outputBranch: string
  readonly datums: readonly PlannedDatum[]
}

/** What names a claim again. */
export type ClaimKey = ChunkKey & Lease

interface JobWork {
  readonly project: string
  job: Job
  meta: Promise<PlanMeta> | undefined
  /** Believed ready, the next last. */
  readonly ready: number[]
  /** Rows that are there, as far as is known: how they are when they are ready. */
  readonly rows: Map<number, Ready>
  /** Who holds what, as far as this server knows. */
  readonly leased: Map<number, string>
}

const RESCAN_MS = 5_000
/** A worker that is to go away asks so often whether it may stay after all. */
const RETIRED_MS = 2_000
const MAX_GREETED = 10_000
/** How often a result is looked at anew whose session was closed, and how long between. */
const ADOPTIONS = 8
const ADOPT_AGAIN_MS = 100

function readyOf({ token = 0, closed = 0 }: WorkRow): Ready {
  return { token, closed }
}

/** Where each pipeline has workers of its own. */
export interface PoolKeeping {
  readonly book: PoolBook
  /** The pool whose workers run it; undefined: none can. */
  poolOf(project: string, spec: PipelineSpec): string | undefined
}

export class WorkQueue {
  readonly #board: Board
  readonly #versions: Versions
  readonly #rows: WorkRows
  readonly #tables: Tables
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #pools: PoolKeeping | undefined
  readonly #jobs = new Map<string, JobWork>()
  readonly #news = new Signal()
  readonly #greeted = new Set<string>()
  #version = 0

  constructor(options: {
    board: Board
    versions: Versions
    rows: WorkRows
    tables: Tables
    bus: Bus
    clock: Clock
    /** Default: whoever asks gets whatever there is. */
    pools?: PoolKeeping | undefined
  }) {
    this.#pools = options.pools
    this.#board = options.board
    this.#versions = options.versions
    this.#rows = options.rows
    this.#tables = options.tables
    this.#bus = options.bus
    this.#clock = options.clock
  }

  start(signal: AbortSignal): void {
    const unlisten = this.#board.listen((board) => this.#see(board))
    const bell = hearRings(this.#bus, (what) => {
      if (what.kind === 'ready') this.#offer(what.chunk)
      if (what.kind === 'done') this.#jobOf(what.chunk)?.leased.delete(what.chunk.n)
      if (what.kind === 'taken') this.#taken(what.chunk, what.owner)
    })
    const rescan = async (): Promise<void> => {
      while (!signal.aborted) {
        await this.#clock.sleep(RESCAN_MS, signal)
        if (!signal.aborted) await this.#rescan().catch((error) => trouble('look at work', error))
      }
      unlisten()
      await bell.close()
    }
    void rescan()
  }

  #see(board: ProjectBoard): void {
    for (const job of board.jobs.values()) {
      const key = `${board.project}/${job.pipeline}=${job.commit.id}`
      const known = this.#jobs.get(key)
      if (known) {
        known.job = job
        continue
      }
      const ready = Array.from({ length: job.chunks }, (_, i) => job.chunks - 1 - i)
      const { project } = board
      const maps = { rows: new Map<number, Ready>(), leased: new Map<number, string>() }
      this.#jobs.set(key, { project, job, meta: undefined, ready, ...maps })
      if (job.chunks > 0) this.#ring()
    }
    for (const [key, { project, job }] of this.#jobs)
      if (project === board.project && !board.jobs.has(`${job.pipeline}=${job.commit.id}`))
        this.#jobs.delete(key)
  }

  /** Chunks that wait for a worker and chunks one holds, as far as is known here. */
  count(): { readonly queued: number; readonly running: number } {
    let queued = 0
    let running = 0
    for (const { job, ready, leased } of this.#jobs.values()) {
      if (job.state === 'running') queued += ready.length
      running += leased.size
    }
    return { queued, running }
  }

  #jobOf(chunk: ChunkKey): JobWork | undefined {
    return this.#jobs.get(`${chunk.project}/${chunk.pipeline}=${chunk.job}`)
  }

  #offer(chunk: ChunkKey): void {
    const work = this.#jobOf(chunk)
    if (!work || work.ready.includes(chunk.n)) return
    work.leased.delete(chunk.n)
    work.ready.push(chunk.n)
    this.#ring()
  }

  /** By another server, perhaps: nobody need try it here. */
  #taken(chunk: ChunkKey, owner: string): void {
    const work = this.#jobOf(chunk)
    const at = work?.ready.indexOf(chunk.n) ?? -1
    if (!work || at < 0) return
    work.ready.splice(at, 1)
    work.leased.set(chunk.n, owner)
  }

  #ring(): void {
    this.#version++
    this.#news.ring()
  }

  /** Waits up to `waitMs` for a chunk. */
  async claim(worker: string, waitMs: number, signal: AbortSignal): Promise<Claimed | undefined> {
    const deadline = this.#clock.monotonicMs() + waitMs
    await this.#greet(worker)
    for (;;) {
      const version = this.#version
      const retired = this.#pools && !(await this.#pools.book.mayTry(worker))
      const claimed = retired ? undefined : await this.#take(worker)
      if (claimed) return claimed
      const leftMs = deadline - this.#clock.monotonicMs()
      if (leftMs <= 0 || signal.aborted) return undefined
      if (retired) {
        await this.#clock.sleep(Math.min(leftMs, RETIRED_MS), signal)
        continue
      }
      if (version !== this.#version) continue
      const awake = new AbortController()
      const slept = this.#clock.sleep(leftMs, AbortSignal.any([signal, awake.signal]))
      await Promise.race([this.#news.wait(), slept])
      awake.abort()
    }
  }

  /** A worker that was never seen here may stand where another ended. */
  async #greet(worker: string): Promise<void> {
    if (!this.#pools || this.#greeted.has(worker)) return
    for (const chunk of await this.#pools.book.inherit(worker)) {
      this.#offer(chunk)
      await ring(this.#bus, { kind: 'ready', chunk })
    }
    this.#greeted.add(worker)
    const [oldest] = this.#greeted
    if (this.#greeted.size > MAX_GREETED && oldest !== undefined) this.#greeted.delete(oldest)
  }

  async #take(worker: string): Promise<Claimed | undefined> {
    for (const [key, work] of this.#jobs) {
      for (;;) {
        if (work.job.state !== 'running' || work.ready.length === 0) break
        const meta = await this.#meta(work).catch((error: unknown) => {
          this.#lookElsewhereFirst(key, work)
          throw error
        })
        if (this.#pools && this.#pools.poolOf(work.project, meta.spec) !== poolOfOwner(worker))
          break
        // Taken out at once, so that two who ask at the same time go for different chunks.
        const n = work.ready.pop()
        if (n === undefined) break
        work.leased.set(n, worker)
        const chunk = this.#chunk(work, n)
        const cap = this.#capOf(work, meta)
        if (cap !== undefined && work.leased.size > cap) {
          work.leased.delete(n)
          work.ready.push(n)
          break
        }
        const taken = await this.#lease(work, chunk, worker)
        if (!taken) continue
        const { lease, noted } = taken
        try {
          const [mayKeep, datums] = await Promise.all([
            noted.then(() => this.#pools?.book.mayKeep(worker) ?? true),
            readChunk(this.#versions.objects, work.job.plan, n),
          ])
          if (mayKeep) {
            void ring(this.#bus, { kind: 'taken', chunk, owner: worker })
            this.#lookElsewhereFirst(key, work)
            return { ...chunk, ...lease, meta, outputBranch: work.job.commit.branch, datums }
          }
        } catch (error) {
          await this.giveBack({ ...chunk, ...lease })
          throw error
        }
        await this.giveBack({ ...chunk, ...lease })
        return undefined
      }
    }
    return undefined
  }

  /** The next claim, of whomever, begins with another job. */
  #lookElsewhereFirst(key: string, work: JobWork): void {
    if (this.#jobs.delete(key)) this.#jobs.set(key, work)
  }

  /** Whether its row says that the claim stands; what is believed of it here is mended. */
  async holds(claim: ClaimKey): Promise<boolean> {
    const row = await this.#rows.get(claim)
    if (row?.state !== 'leased' || row.owner !== claim.owner || row.token !== claim.token)
      return false
    const work = this.#jobOf(claim)
    if (!work && !(await this.#runs(claim))) return false
    if (work && work.leased.get(claim.n) !== claim.owner) {
      work.leased.set(claim.n, claim.owner)
      const at = work.ready.indexOf(claim.n)
      if (at >= 0) work.ready.splice(at, 1)
    }
    return true
  }

  /** Its row may stand for a while after its pipeline was deleted. */
  async #runs({ project, pipeline, job }: ChunkKey): Promise<boolean> {
    const known = await this.#versions.job(project, pipeline, job)
    return known?.state === 'running' || known?.state === 'stopping'
  }

  /**
   * A claim that stands as it was given, by whichever server; undefined: it does not.
   * @throws VarveError UNAVAILABLE when its job is not known here yet
   */
  async recall(claim: ClaimKey): Promise<Claimed | undefined> {
    if (!(await this.holds(claim))) return undefined
    const work = this.#jobOf(claim)
    if (!work)
      throw new VarveError(
        'UNAVAILABLE',
        `cannot go on with "${chunkKey(claim)}": its job is not known here yet`,
      )
    const meta = await this.#meta(work)
    const datums = await readChunk(this.#versions.objects, work.job.plan, claim.n)
    return { ...claim, meta, outputBranch: work.job.commit.branch, datums }
  }

  #chunk(work: JobWork, n: number): ChunkKey {
    return { project: work.project, pipeline: work.job.pipeline, job: work.job.commit.id, n }
  }

  #meta(work: JobWork): Promise<PlanMeta> {
    work.meta ??= readMeta(this.#versions.objects, work.job.plan).catch((error: unknown) => {
      work.meta = undefined
      throw error
    })
    return work.meta
  }

  /** As the pipeline says now, not when the job was planned. */
  #capOf(work: JobWork, meta: PlanMeta): number | undefined {
    const known = this.#board.project(work.project)?.pipelines.get(work.job.pipeline)
    const spec = known ? (known.spec as unknown as PipelineSpec) : meta.spec
    return spec.parallelismSpec?.constant
  }

  /**
   * The lease, and its note, which is on its way: whether it may be kept is asked when that stands.
   * Undefined: it is not to be had; the belief about it is mended.
   */
  async #lease(
    work: JobWork,
    chunk: ChunkKey,
    worker: string,
  ): Promise<{ readonly lease: Lease; readonly noted: Promise<void> } | undefined> {
    for (;;) {
      const ready = work.rows.get(chunk.n)
      const token = leaseToken(ready?.token)
      const noted = this.#pools?.book.note(worker, chunk, token) ?? Promise.resolve()
      // A note of a lease that was not to be had may be lost.
      noted.catch(() => {})
      const answer = await this.#rows.claim(chunk, worker, ready, work.job.closed)
      if (answer === undefined) work.rows.delete(chunk.n)
      else if (!('state' in answer)) return { lease: answer as Lease, noted }
      else if (answer.state === 'ready') work.rows.set(chunk.n, readyOf(answer))
      else {
        if (answer.state === 'leased') work.leased.set(chunk.n, answer.owner ?? '')
        else work.leased.delete(chunk.n)
        return undefined
      }
    }
  }

  /** Rows that others re-opened, in case the bell was not heard. */
  async #rescan(): Promise<void> {
    for (const work of this.#jobs.values())
      for (const n of work.leased.keys()) {
        const chunk = this.#chunk(work, n)
        const row = await this.#rows.get(chunk)
        if (row?.state === 'ready' && work.leased.has(n)) this.#offer(chunk)
        else if (row?.state === 'done' || row?.state === 'closed') work.leased.delete(n)
      }
    // A cap may have kept somebody waiting.
    this.#ring()
  }

  /** Records that the worker lives; answers the claims that are no longer its own. */
  async beat(worker: string, beat: number, keeps: readonly ClaimKey[]): Promise<ClaimKey[]> {
    const names = JSON.stringify(keeps.map((keep) => `${chunkKey(keep)}:${keep.token}`))
    await this.#tables.put(BEATS, [{ worker, beat, keeps: names }], beat)
    return keeps.filter((keep) => {
      const work = this.#jobOf(keep)
      return work?.job.state !== 'running' || work.leased.get(keep.n) !== worker
    })
  }

  /** Live only. */
  progress(claim: ClaimKey, done: number, failed: number): void {
    const { project, pipeline, job, n } = claim
    void ring(this.#bus, { kind: 'progress', chunk: { project, pipeline, job, n }, done, failed })
  }

  /** Whether the result counts. What was collected of it meanwhile is done again, by somebody. */
  async done(claim: ClaimKey, result: TreeRef): Promise<boolean> {
    const { project, pipeline, job, n } = claim
    const chunk = { project, pipeline, job, n }
    const counts = await this.#record(claim, result)
    if (counts === undefined) {
      await this.giveBack(claim)
      return false
    }
    this.#jobOf(claim)?.leased.delete(n)
    this.#strike(claim)
    if (counts) await ring(this.#bus, { kind: 'done', chunk })
    // Under a cap the next chunk may go out now.
    this.#ring()
    return counts
  }

  /** Undefined: it stands on what was collected. */
  async #record(claim: ClaimKey, result: TreeRef): Promise<boolean | undefined> {
    const { project, pipeline, job, n, owner, token } = claim
    const chunk = { project, pipeline, job, n }
    const { sessions } = this.#versions
    // It was written after the chunk was claimed, on inputs that a running job keeps.
    let session = sessions.of(project, [result])
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#rows.done(chunk, { owner, token }, result, session)
      } catch (error) {
        if (!isVarveError(error, 'SESSION_CLOSED') || attempt === ADOPTIONS) throw error
      }
      if (attempt > 0) await this.#clock.sleep(ADOPT_AGAIN_MS)
      session = await sessions.adopt(project, [{ ref: result }])
      if (session === undefined) return undefined
    }
  }

  async giveBack(claim: ClaimKey): Promise<void> {
    const { project, pipeline, job, n, owner, token } = claim
    const chunk = { project, pipeline, job, n }
    const work = this.#jobOf(claim)
    work?.rows.delete(n)
    if (await this.#rows.reopen(chunk, { owner, token })) {
      this.#strike(claim)
      this.#offer(chunk)
      await ring(this.#bus, { kind: 'ready', chunk })
    }
  }

  /** Nobody waits for it: a note left over is looked at by whoever retires the host. */
  #strike(claim: ClaimKey): void {
    const noted = this.#pools?.book.strike(claim, claim)
    noted?.catch((error: unknown) => trouble('strike a note', error))
  }
}
