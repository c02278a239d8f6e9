// How much work there is, for whoever keeps workers: chunks that wait and chunks that are held, by
// pipeline, and by whom. A belief, from the bell and from rows: it decides how many workers there are,
// never what is done. What a lost bell left wrong is mended by looking at the rows again.

import type { Clock } from '../base/clock.ts'
import type { Bus } from '../bus/bus.ts'
import type { Demand, PipelineDemand } from '../exec/pools.ts'
import type { ChunkKey } from '../model/datum.ts'
import type { Job } from '../model/entities.ts'
import type { PipelineSpec } from '../model/spec-pipeline.ts'
import { hostOf } from '../model/worker-name.ts'
import type { Versions } from '../versions/versions.ts'
import type { Board } from './board.ts'
import { jobKey } from './board.ts'
import { hearRings } from './bell.ts'
import { readMeta } from './plan.ts'
import { trouble } from './trouble.ts'
import type { WorkRows } from './work.ts'

interface Counted {
  readonly project: string
  job: Job
  /** Undefined while its plan cannot be read: then it counts as no work, and is said once. */
  spec: PipelineSpec | undefined
  isTold: boolean
  /** By chunk: its owner, or that it is over; absent: it waits. */
  readonly chunks: Map<number, string | typeof OVER>
  /** When the last read of all its rows began. */
  readMs: number
}

const OVER = Symbol('over')
/** Rows believed to be held are looked at so often, all of them so rarely. */
const HELD_AGAIN_MS = 5_000
const ALL_AGAIN_MS = 60_000
const READS_AT_ONCE = 16

export class Census {
  readonly #board: Board
  readonly #versions: Versions
  readonly #rows: WorkRows
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #jobs = new Map<string, Counted>()

  constructor(options: {
    board: Board
    versions: Versions
    rows: WorkRows
    bus: Bus
    clock: Clock
  }) {
    this.#board = options.board
    this.#versions = options.versions
    this.#rows = options.rows
    this.#bus = options.bus
    this.#clock = options.clock
  }

  /** Counts until the signal is aborted. `changed`: there may be more work, or less. */
  async run(changed: () => void, signal: AbortSignal): Promise<void> {
    const bell = hearRings(this.#bus, (what) => {
      if (what.kind === 'progress') return
      const { project, pipeline, job, n } = what.chunk
      const counted = this.#jobs.get(`${project}/${pipeline}=${job}`)
      if (!counted) return
      if (what.kind === 'ready') counted.chunks.delete(n)
      else if (counted.chunks.get(n) !== OVER)
        counted.chunks.set(n, what.kind === 'done' ? OVER : what.owner)
      changed()
    })
    const unlisten = this.#board.listen(changed)
    while (!signal.aborted) {
      await this.#clock.sleep(HELD_AGAIN_MS, signal)
      if (signal.aborted) break
      for (const counted of this.#jobs.values())
        await this.#look(counted).catch((error: unknown) => trouble('count work', error))
      changed()
    }
    unlisten()
    await bell.close()
  }

  /** @throws what reading rows throws: then nobody knows how much work there is */
  async demand(): Promise<Demand> {
    const pipelines: PipelineDemand[] = []
    const busy = new Set<string>()
    const there = new Set<string>()
    for (const { project, jobs, pipelines: known } of this.#board.projects()) {
      for (const { name, spec } of known.values()) {
        const now = { ...(spec as unknown as PipelineSpec), pipeline: { name } }
        pipelines.push({ project, spec: now, queued: 0, running: 0 })
      }
      for (const job of jobs.values()) {
        const key = `${project}/${jobKey(job)}`
        there.add(key)
        const counted = await this.#counted(key, project, job)
        const held = [...counted.chunks.values()].filter((one) => one !== OVER)
        const over = counted.chunks.size - held.length
        for (const owner of held) {
          const host = hostOf(owner)
          if (host !== undefined) busy.add(host)
        }
        const running = held.length
        const queued = job.state === 'running' ? job.chunks - over - running : 0
        if (queued + running === 0 || !counted.spec) continue
        const latest = known.get(job.pipeline)?.spec as unknown as PipelineSpec | undefined
        pipelines.push({ project, spec: bounded(counted.spec, latest), queued, running })
      }
    }
    for (const key of this.#jobs.keys()) if (!there.has(key)) this.#jobs.delete(key)
    return { pipelines, busy }
  }

  async #counted(key: string, project: string, job: Job): Promise<Counted> {
    const known = this.#jobs.get(key)
    if (known) known.job = job
    const none = { spec: undefined, isTold: false, chunks: new Map(), readMs: -Infinity }
    const counted = known ?? { project, job, ...none }
    this.#jobs.set(key, counted)
    counted.spec ??= await this.#plannedSpec(counted)
    if (counted.readMs === -Infinity) await this.#look(counted)
    return counted
  }

  async #plannedSpec(counted: Counted): Promise<PipelineSpec | undefined> {
    const { job, isTold } = counted
    try {
      return (await readMeta(this.#versions.objects, job.plan)).spec
    } catch (error) {
      // One lost plan must not keep all other work from having workers.
      if (!isTold) trouble(`read the plan of job "${jobKey(job)}"`, error)
      counted.isTold = true
      return undefined
    }
  }

  async #look(counted: Counted): Promise<void> {
    const nowMs = this.#clock.monotonicMs()
    const all = nowMs - counted.readMs >= ALL_AGAIN_MS
    const { chunks, job } = counted
    const chosen = Array.from({ length: job.chunks }, (_, n) => n)
      .filter((n) => chunks.get(n) !== OVER && (all || chunks.has(n)))
      .values()
    // Each takes the next: a job of thousands of chunks is counted before its work waits for it.
    const readSome = async (): Promise<void> => {
      for (const n of chosen) await this.#lookAt(counted, n)
    }
    await Promise.all(Array.from({ length: READS_AT_ONCE }, readSome))
    if (all) counted.readMs = nowMs
  }

  async #lookAt({ project, job, chunks }: Counted, n: number): Promise<void> {
    const chunk: ChunkKey = { project, pipeline: job.pipeline, job: job.commit.id, n }
    const before = chunks.get(n)
    const row = await this.#rows.get(chunk)
    // The bell told of it meanwhile, and what was read is perhaps older.
    if (chunks.get(n) !== before) return
    if (row?.state === 'done' || row?.state === 'closed') chunks.set(n, OVER)
    else if (row?.state === 'leased') chunks.set(n, row.owner ?? '')
    else chunks.delete(n)
  }
}

/** What a job runs is as it was planned; how much of it at once is what its pipeline says now. */
function bounded(planned: PipelineSpec, latest: PipelineSpec | undefined): PipelineSpec {
  if (!latest) return planned
  const { parallelismSpec: _, budget: __, ...rest } = planned
  const { parallelismSpec, budget } = latest
  return { ...rest, ...(parallelismSpec && { parallelismSpec }), ...(budget && { budget }) }
}
