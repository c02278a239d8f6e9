// Everything a pipeline needs, on memory ports: log, objects, scheduler, recorder, workers. User code
// is functions given by the test, or real processes when a runner and scratch are given.

import { systemClock } from '../../src/base/clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import { must } from '../../src/base/assert.ts'
import { concat, fromUtf8, utf8 } from '../../src/base/bytes.ts'
import { systemRandom as random } from '../../src/base/random.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import type { BlobStore } from '../../src/blob/blob.ts'
import { MemoryBus } from '../../src/bus/adapters/memory.ts'
import { InlineRunner } from '../../src/exec/adapters/inline/runner.ts'
import type { Program } from '../../src/exec/adapters/inline/runner.ts'
import { MemoryScratch } from '../../src/exec/adapters/inline/scratch.ts'
import { LoopPools } from '../../src/exec/adapters/loops/pools.ts'
import type { Runner } from '../../src/exec/runner.ts'
import type { Scratch } from '../../src/exec/scratch.ts'
import { openHash, zstdCompute } from '../../src/main/compute.ts'
import { openCore } from '../../src/main/core.ts'
import type { Core } from '../../src/main/core.ts'
import type { Commit, Job } from '../../src/model/entities.ts'
import { hasEnded } from '../../src/model/entities.ts'
import type { Id } from '../../src/model/id.ts'
import { parsePath } from '../../src/model/path.ts'
import type { Abilities } from '../../src/model/spec-abilities.ts'
import { parseRef } from '../../src/model/ref.ts'
import { Board, jobEnded } from '../../src/pipelines/board.ts'
import { LogStore } from '../../src/pipelines/logs.ts'
import { PipelineService } from '../../src/pipelines/pipeline-service.ts'
import { Planner } from '../../src/pipelines/planner.ts'
import { Census } from '../../src/pipelines/census.ts'
import { PoolBook } from '../../src/pipelines/pool-book.ts'
import { WorkQueue } from '../../src/pipelines/queue.ts'
import type { PoolKeeping } from '../../src/pipelines/queue.ts'
import { Recorder } from '../../src/pipelines/recorder.ts'
import { Scheduler } from '../../src/pipelines/scheduler.ts'
import { WorkRows } from '../../src/pipelines/work.ts'
import type { Trouble } from '../../src/pipelines/trouble.ts'
import { WorkDesk } from '../../src/server/work.ts'
import { MemoryTables } from '../../src/tables/adapters/memory.ts'
import { Agent } from '../../src/worker/agent.ts'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'

export const PROJECT = 'default'
const ME = 'user:test'

/** What outlives a process. */
export interface Disk {
  readonly tables: MemoryTables
  readonly blob: MemoryBlobStore
}

export function newDisk(): Disk {
  return { tables: new MemoryTables(), blob: new MemoryBlobStore() }
}

export class World {
  readonly core: Core
  readonly board: Board
  readonly rows: WorkRows
  readonly pipelines: PipelineService
  readonly desk: WorkDesk
  readonly book: PoolBook
  readonly census: Census
  readonly queue: WorkQueue
  readonly pools: LoopPools
  readonly scratch: Scratch
  readonly troubles: unknown[] = []
  readonly #stop = new AbortController()
  readonly #writing: Promise<void>
  readonly #hear: (message: unknown) => void

  private constructor(core: Core, tables: MemoryTables, bus: MemoryBus, options: WorldOptions) {
    this.core = core
    const { versions, objects, ids } = core
    const { runner, scratch } = options
    const clock = fastClock(options.speed ?? 1)
    this.scratch = scratch
    const workers = options.workers ?? 2
    const board = new Board({ versions, clock })
    const rows = new WorkRows({ tables, clock, random })
    const hash = options.hash
    const planner = new Planner({ versions, runner, hash, workers: () => workers })
    this.book = new PoolBook({ tables, rows, clock, random, ids })
    this.census = new Census({ board, versions, rows, bus, clock })
    const { poolOf } = options
    const pools = poolOf && { book: this.book, poolOf }
    const queue = new WorkQueue({ board, versions, rows, tables, bus, clock, pools })
    this.queue = queue
    const logs = new LogStore({ objects, tables, bus, clock, random })
    const incarnation = ids()
    const isGone = (owner: string): boolean =>
      options.disk !== undefined && !owner.startsWith(incarnation)
    const guests = { board, versions, rows, tables, bus, clock, ids, isGone }
    this.board = board
    this.rows = rows
    this.pipelines = new PipelineService({
      board,
      versions,
      planner,
      rows,
      logs,
      bus,
      clock,
      abilities: options.abilities ?? { runs: 'process', user: undefined },
    })
    this.desk = new WorkDesk({ queue, logs, versions })
    const api = this.desk
    const trouble = (error: unknown): void => void this.troubles.push(error)
    this.pools = new LoopPools({
      pool: 'p',
      size: workers,
      start: (number, signal) =>
        new Agent({
          api,
          runner,
          scratch,
          clock,
          worker: `${incarnation}-p-${number}`,
          trouble,
        }).run(signal),
      clock,
      random,
    })
    this.#hear = (message) => this.troubles.push((message as Trouble).error)
    subscribe('varve.pipelines.trouble', this.#hear)
    this.#writing = core.writeLog(this.#stop.signal)
    this.#start = async () => {
      await board.start(this.#stop.signal)
      // Two of each: whatever they do twice must be as if done once.
      for (let i = 0; i < (options.twins === false ? 1 : 2); i++) {
        new Scheduler({ board, versions, planner, clock, ids }).start(this.#stop.signal)
        new Recorder(guests).start(this.#stop.signal)
      }
      queue.start(this.#stop.signal)
      this.work()
    }
  }

  readonly #start: () => Promise<void>
  #resting = new AbortController()
  #working: Promise<void> = Promise.resolve()

  /** Starts the workers. */
  work(): void {
    this.#resting = new AbortController()
    this.#working = this.pools.run(this.#resting.signal)
  }

  /** Ends the workers; what is in hand is given back. */
  async rest(): Promise<void> {
    this.#resting.abort()
    await this.#working
  }

  static async open(options: Omit<WorldOptions, 'hash'>): Promise<World> {
    const clock = systemClock
    const disk = options.disk ?? newDisk()
    const { tables } = disk
    const blob = options.blob ?? disk.blob
    const bus = new MemoryBus({ clock })
    const hash = await openHash()
    const storeKey = new Uint8Array(32).fill(3)
    const ports = { tables, blob, bus, clock, random, hash, compute: zstdCompute, storeKey }
    const world = new World(await openCore(ports), tables, bus, { ...options, hash })
    await world.#start()
    return world
  }

  async repo(name: string): Promise<void> {
    const request = { id: this.core.ids(), principal: ME }
    await this.core.versions.propose(PROJECT, [{ op: 'repo.create', name }], request)
  }

  /** One commit to repo@master; null deletes. */
  commit(repo: string, files: Readonly<Record<string, string | null>>): Promise<Commit> {
    return this.core.versions.commitFiles(
      PROJECT,
      { repo, branch: 'master' },
      async (writer) => {
        for (const [path, text] of Object.entries(files))
          if (text === null) await writer.delete(parsePath(path))
          else await writer.put(parsePath(path), utf8(text))
      },
      { id: this.core.ids(), principal: ME },
    )
  }

  async put(document: Record<string, unknown>): Promise<void> {
    await this.pipelines.put(PROJECT, document, { id: this.core.ids(), principal: ME })
  }

  /** The job of a commit, or of the newest commit of the pipeline's branch, once it has ended. */
  async ended(pipeline: string, id?: Id): Promise<Job> {
    const { versions } = this.core
    for (;;) {
      const key = { repo: pipeline, branch: 'master' }
      const tip = id ?? (await versions.branch(PROJECT, key))?.tip?.id
      const job = tip && (await versions.job(PROJECT, pipeline, tip))
      if (job && jobEnded(job)) return job
      const commit = tip && (await versions.commit(PROJECT, { ...key, id: tip }))
      if (commit && hasEnded(commit.state) && !job)
        throw new Error(`no job: the commit ended ${commit.state}: ${commit.cause?.text}`)
      await systemClock.sleep(5)
    }
  }

  /** Path → content of what repo@master reads. */
  async files(repo: string): Promise<Record<string, string>> {
    const { versions, objects } = this.core
    const { root } = await versions.resolve(PROJECT, parseRef(`${repo}@master`))
    const files: Record<string, string> = {}
    for await (const entry of objects.walk(root))
      files[entry.path] = fromUtf8(concat(await Array.fromAsync(objects.readEntry(entry))))
    return files
  }

  async rootOf(repo: string): Promise<string> {
    const { root } = await this.core.versions.resolve(PROJECT, parseRef(`${repo}@master`))
    return must(root, 'root').slice(0, 64)
  }

  /** Nothing of it acts any more, and nothing it holds is given back. */
  die(): void {
    this.desk.giveBack = () => Promise.resolve()
    this.desk.done = () => Promise.resolve(false)
    this.#stop.abort()
  }

  async close(): Promise<void> {
    await this.rest()
    await this.pipelines.close()
    this.#stop.abort()
    await this.#writing
    await this.core.close()
    unsubscribe('varve.pipelines.trouble', this.#hear)
  }
}

interface WorldOptions {
  readonly runner: Runner
  readonly scratch: Scratch
  readonly workers?: number
  /** What an earlier world left; its workers are known to be gone. */
  readonly disk?: Disk
  /** Instead of one in memory. */
  readonly blob?: BlobStore
  /** How much faster time goes for leases and scans. */
  readonly speed?: number
  /** False: one scheduler and one recorder, for tests of size. */
  readonly twins?: boolean
  /** Where each pipeline has workers of its own. */
  readonly poolOf?: PoolKeeping['poolOf']
  /** Default: those of a machine of its own. */
  readonly abilities?: Abilities
  readonly hash: (bytes: Uint8Array) => Uint8Array
}

function fastClock(speed: number): Clock {
  return {
    nowMs: () => systemClock.nowMs(),
    monotonicMs: () => systemClock.monotonicMs() * speed,
    sleep: (ms, signal) => systemClock.sleep(ms / speed, signal),
  }
}

export async function inlineWorld(
  programs: Readonly<Record<string, Program>>,
  options: Omit<WorldOptions, 'runner' | 'scratch' | 'blob' | 'hash'> = {},
): Promise<{ world: World; runner: InlineRunner; scratch: MemoryScratch }> {
  const scratch = new MemoryScratch()
  const runner = new InlineRunner({ scratch, programs })
  return { world: await World.open({ runner, scratch, ...options }), runner, scratch }
}

/** A spec for tests: `program` over `/*` of `repo`. */
export function spec(
  name: string,
  repo: string,
  cmd: readonly string[],
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  const { transform, ...rest } = more
  return {
    pipeline: { name },
    input: { pfs: { repo, glob: '/*' } },
    transform: { cmd, ...(transform as object | undefined) },
    ...rest,
  }
}
