// Folds finished chunks of running jobs and, after the last, merges and proposes the job's end. Woken
// by the bell and by a scan; the scan also re-opens chunks whose owner is gone. Any number of recorders
// may do this at once: rows are guarded, and the first end that is recorded wins.

import type { Clock } from '../base/clock.ts'
import { Semaphore } from '../base/async.ts'
import { isVarveError } from '../base/errors.ts'
import type { Bus } from '../bus/bus.ts'
import type { ChunkKey } from '../model/datum.ts'
import { chunkKey } from '../model/datum.ts'
import type { Cause, Job } from '../model/entities.ts'
import { branchKey } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import { durationMs } from '../model/spec-fields.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { Tables } from '../tables/tables.ts'
import type { Versions } from '../versions/versions.ts'
import type { Board, ProjectBoard } from './board.ts'
import { jobKey, successorOf } from './board.ts'
import { hearRings, ring } from './bell.ts'
import { mergeJob } from './merge.ts'
import type { MergedJob } from './merge.ts'
import { readMeta } from './plan.ts'
import type { PlanMeta } from './plan.ts'
import { ALL_PROJECTS } from './share.ts'
import type { Share } from './share.ts'
import { trouble } from './trouble.ts'
import { BEATS } from './work.ts'
import type { WorkRow, WorkRows } from './work.ts'

const SCAN_MS = 5_000
/** A chunk its owner did not name for so long, by our own clock, goes to somebody else. */
const UNSEEN_MS = 30_000

interface Watched {
  readonly project: string
  job: Job
  readonly done: Map<number, TreeRef>
  /** Leases as last seen: whose, and when its owner last named it. */
  readonly leases: Map<number, { token: number; beat: number; seenMs: number }>
  ending: boolean
}

export class Recorder {
  readonly #board: Board
  readonly #versions: Versions
  readonly #rows: WorkRows
  readonly #tables: Tables
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #ids: () => Id
  readonly #isGone: (owner: string) => boolean
  readonly #share: Share
  readonly #jobs = new Map<string, Watched>()
  readonly #gate = new Semaphore(4)
  #signal: AbortSignal | undefined

  /** `isGone`: owners known to be dead, whose chunks need not wait for the lease to run out. */
  constructor(options: {
    board: Board
    versions: Versions
    rows: WorkRows
    tables: Tables
    bus: Bus
    clock: Clock
    ids: () => Id
    isGone?: (owner: string) => boolean
    /** Default: every project. */
    share?: Share | undefined
  }) {
    this.#board = options.board
    this.#versions = options.versions
    this.#rows = options.rows
    this.#tables = options.tables
    this.#bus = options.bus
    this.#clock = options.clock
    this.#ids = options.ids
    this.#isGone = options.isGone ?? (() => false)
    this.#share = options.share ?? ALL_PROJECTS
  }

  start(signal: AbortSignal): void {
    this.#signal = signal
    const unlisten = this.#board.listen((board) => this.#see(board))
    const unlistenShare = this.#share.listen(() => {
      for (const board of this.#board.projects()) this.#see(board)
    })
    const bell = hearRings(this.#bus, (what) => {
      if (what.kind !== 'done') return
      const watched = this.#jobs.get(
        `${what.chunk.project}/${what.chunk.pipeline}=${what.chunk.job}`,
      )
      if (watched) this.#work(watched, 'read chunk', () => this.#fold(watched, what.chunk.n))
    })
    const scan = async (): Promise<void> => {
      while (!signal.aborted) {
        await this.#clock.sleep(SCAN_MS, signal)
        if (signal.aborted) break
        for (const watched of this.#jobs.values())
          this.#work(watched, 'scan', () => this.#scan(watched))
      }
      unlisten()
      unlistenShare()
      await bell.close()
    }
    void scan()
  }

  #see(board: ProjectBoard): void {
    const ours = this.#share.has(board.project)
    for (const job of ours ? board.jobs.values() : []) {
      const key = `${board.project}/${jobKey(job)}`
      const known = this.#jobs.get(key)
      const { project } = board
      const watched = known ?? { project, job, done: new Map(), leases: new Map(), ending: false }
      const news = !known || known.job.state !== job.state
      watched.job = job
      this.#jobs.set(key, watched)
      if (news) this.#work(watched, 'scan', () => this.#scan(watched))
    }
    for (const [key, watched] of this.#jobs) {
      const { project, job } = watched
      if (project !== board.project || (ours && board.jobs.has(jobKey(job)))) continue
      this.#jobs.delete(key)
      // Ended with the pipeline that filled its branch: nobody may go on holding a chunk of it.
      const output = board.pipelines.get(job.pipeline)?.output
      if (ours && (!output || branchKey(output) !== branchKey(job.commit)))
        this.#work(watched, 'close chunks', () => this.#closeRows(watched))
    }
  }

  #work(watched: Watched, doing: string, work: () => Promise<void>): void {
    void this.#gate
      .with(work)
      .catch((error) => trouble(`${doing} of job "${jobKey(watched.job)}"`, error))
  }

  #chunk(watched: Watched, n: number): ChunkKey {
    const { project, job } = watched
    return { project, pipeline: job.pipeline, job: job.commit.id, n }
  }

  async #fold(watched: Watched, n: number): Promise<void> {
    if (watched.done.has(n)) return
    const row = await this.#rows.get(this.#chunk(watched, n))
    if (row?.state === 'done') watched.done.set(n, row.result as TreeRef)
    await this.#endIfDone(watched)
  }

  async #scan(watched: Watched): Promise<void> {
    const { job } = watched
    if (job.state === 'stopping') return this.#stop(watched)
    for (let n = 0; n < job.chunks; n++) {
      if (watched.done.has(n)) continue
      const row = await this.#rows.get(this.#chunk(watched, n))
      if (row?.state === 'done') watched.done.set(n, row.result as TreeRef)
      else if (row?.state === 'leased') await this.#watchLease(watched, n, row)
    }
    if (watched.done.size < job.chunks && (await this.#overTime(watched))) return
    await this.#endIfDone(watched)
  }

  /** Re-opens it when its owner's beats stop naming it. */
  async #watchLease(watched: Watched, n: number, row: WorkRow): Promise<void> {
    const { owner = '', token = 0 } = row
    const chunk = this.#chunk(watched, n)
    const nowMs = this.#clock.monotonicMs()
    const beat = await this.#tables.get(BEATS, { worker: owner })
    const named = beat?.keeps?.includes(JSON.stringify(`${chunkKey(chunk)}:${token}`)) ?? false
    const last = watched.leases.get(n)
    if (last?.token !== token || (named && beat?.beat !== last.beat))
      watched.leases.set(n, { token, beat: beat?.beat ?? -1, seenMs: nowMs })
    const seenMs = watched.leases.get(n)?.seenMs ?? nowMs
    if (nowMs - seenMs < UNSEEN_MS && !this.#isGone(owner)) return
    if (await this.#rows.reopen(chunk, { owner, token }))
      await ring(this.#bus, { kind: 'ready', chunk })
  }

  async #overTime(watched: Watched): Promise<boolean> {
    const meta = await this.#meta(watched)
    const limit = meta.spec.jobTimeout
    const limitMs = limit === undefined ? undefined : durationMs(limit)
    if (limitMs === undefined) return false
    if (this.#clock.nowMs() - watched.job.startedAtMs < limitMs) return false
    await this.#closeRows(watched)
    const text = `the job ran over its jobTimeout of ${limit}`
    await this.#end(watched, { code: 'CODE_FAILED', text, commit: null })
    return true
  }

  /** Whatever is not done will not be; nothing done is lost. */
  async #stop(watched: Watched): Promise<void> {
    await this.#closeRows(watched)
    const text = watched.job.standing
      ? this.#whyOver(watched)
      : `it was stopped with ${watched.done.size} of ${watched.job.chunks} chunks done`
    await this.#end(watched, { code: 'STOPPED', text, commit: null })
  }

  /** Why a run without end is over. */
  #whyOver({ project, job }: Watched): string {
    const board = this.#board.project(project)
    const next = board && successorOf(board, job.commit)
    const isRunning = board?.pipelines.get(job.pipeline)?.state === 'running'
    return next && isRunning ? `a newer version took its place: ${next.id}` : 'it was stopped'
  }

  async #closeRows(watched: Watched): Promise<void> {
    for (let n = 0; n < watched.job.chunks; n++) {
      if (watched.done.has(n)) continue
      const result = await this.#rows.close(this.#chunk(watched, n))
      if (result) watched.done.set(n, result)
    }
  }

  async #endIfDone(watched: Watched): Promise<void> {
    if (watched.done.size === watched.job.chunks && watched.job.state === 'running')
      await this.#end(watched, null)
  }

  #meta(watched: Watched): Promise<PlanMeta> {
    return readMeta(this.#versions.objects, watched.job.plan)
  }

  /** Merges what is done and proposes the end. `cause`: why it ends before everything is done. */
  async #end(watched: Watched, cause: Cause | null): Promise<void> {
    if (watched.ending || this.#signal?.aborted) return
    watched.ending = true
    const { job, project } = watched
    try {
      const { objects } = this.#versions
      const session = await this.#versions.sessions.open(project)
      const meta = await this.#meta(watched)
      const results = [...watched.done].sort(([a], [b]) => a - b).map(([, tree]) => tree)
      const merged = await mergeJob(objects, { id: job.commit.id, plan: job.plan, meta }, results)
      const why = cause ?? causeOf(meta, merged)
      const state = why === null ? 'finished' : why.code === 'STOPPED' ? 'stopped' : 'failed'
      await this.#versions.propose(
        project,
        [
          {
            op: 'job.finished',
            commit: job.commit,
            plan: job.plan,
            state,
            root: state === 'finished' ? (merged.output?.root ?? null) : null,
            stats: state === 'finished' ? (merged.output?.stats ?? null) : null,
            // A plan without code has nothing to tell the next one.
            datumTree: meta.error === null ? merged.datumTree : null,
            ownerTree: meta.error === null ? merged.ownerTree : null,
            counts: merged.counts,
            cause: why,
            session,
          },
        ],
        { id: this.#ids(), principal: 'varve:recorder' },
      )
    } catch (error) {
      // The next scan tries again, if the job is then still here.
      watched.ending = false
      // Another recorder was first: the entry of its end is on its way. Not surely: the log says
      // this of what it has decided and may still fail to append.
      if (isVarveError(error, 'STALE_STATE')) return
      throw error
    }
  }
}

/** Why a job whose chunks are all done did not succeed. */
function causeOf(meta: PlanMeta, merged: MergedJob): Cause | null {
  if (meta.error !== null) return { code: 'CODE_FAILED', text: meta.error, commit: null }
  const { counts, firstFailed, conflict } = merged
  if (firstFailed && counts.failed > meta.spec.maxFailedDatums)
    return {
      code: 'DATUM_FAILED',
      text: `${counts.failed} of ${counts.ran} datums failed; datum ${firstFailed.id.slice(0, 8)}: ${exitWords(firstFailed.exit)} after ${firstFailed.attempts} attempts`,
      commit: null,
    }
  return conflict === null ? null : { code: 'OUTPUT_CONFLICT', text: conflict, commit: null }
}

function exitWords(
  exit: { code: number | null; signal: string | null; timedOut: boolean } | null,
): string {
  if (!exit) return 'its output was refused'
  if (exit.timedOut) return 'ran over its time'
  return exit.signal === null ? `exit code ${exit.code}` : `killed by ${exit.signal}`
}
