// Everything that turns commits into jobs, in three parts: the ground that all stand on, the desk where
// people and workers ask, and the planning that carries the log forward. A process has what its roles
// need; the embedded server has it all, and workers as well.

import { userInfo } from 'node:os'
import { LoopPools } from '../exec/adapters/loops/pools.ts'
import type { Pools } from '../exec/pools.ts'
import type { Runner } from '../exec/runner.ts'
import type { Scratch } from '../exec/scratch.ts'
import type { PoolStatus } from '../model/pool-status.ts'
import type { Abilities } from '../model/spec-abilities.ts'
import { Board } from '../pipelines/board.ts'
import { LogStore } from '../pipelines/logs.ts'
import { PipelineService } from '../pipelines/pipeline-service.ts'
import { Planner } from '../pipelines/planner.ts'
import { WorkQueue } from '../pipelines/queue.ts'
import type { PoolKeeping } from '../pipelines/queue.ts'
import { Recorder } from '../pipelines/recorder.ts'
import { Scheduler } from '../pipelines/scheduler.ts'
import type { Pipelines } from '../pipelines/service.ts'
import type { Share } from '../pipelines/share.ts'
import { WorkRows } from '../pipelines/work.ts'
import { WorkDesk } from '../server/work.ts'
import { Agent } from '../worker/agent.ts'
import type { Core, Ports } from './core.ts'

const POOL = 'embedded'
/** Believed to be, when none are here; it only decides how large chunks are. */
const WORKERS_ELSEWHERE = 4

const NO_WORKERS = {
  reason: 'NoWorkers',
  remedy: 'look whether any "varve work" runs, and start more',
}

/** One board that follows the log, whatever stands on it. */
export interface Ground {
  readonly board: Board
  readonly rows: WorkRows
  readonly planner: Planner
}

/** `workers`: datums worked on at once, as far as can be known; it only decides how large chunks are. */
export function layGround(
  ports: Ports,
  core: Core,
  options: { readonly runner: Runner; readonly workers: number },
): Ground {
  const { tables, clock, random, hash } = ports
  const { versions } = core
  return {
    board: new Board({ versions, clock }),
    rows: new WorkRows({ tables, clock, random }),
    planner: new Planner({
      versions,
      runner: options.runner,
      hash,
      workers: () => options.workers,
    }),
  }
}

export interface Desk {
  readonly pipelines: Pipelines
  /** What workers ask. */
  readonly api: WorkDesk
  /** Workers that somebody else keeps, as one pool. */
  elsewhere(): PoolStatus
  /** Once the board has started. */
  start(signal: AbortSignal): void
  close(): Promise<void>
}

export function openDesk(
  ports: Ports,
  core: Core,
  ground: Ground,
  { abilities, pools }: { readonly abilities: Abilities; readonly pools?: PoolKeeping | undefined },
): Desk {
  const { tables, bus, clock, random } = ports
  const { versions, objects } = core
  const { board, rows } = ground
  const queue = new WorkQueue({ board, versions, rows, tables, bus, clock, pools })
  const logs = new LogStore({ objects, tables, bus, clock, random })
  const pipelines = new PipelineService({ ...ground, versions, logs, bus, clock, abilities })
  return {
    pipelines,
    api: new WorkDesk({ queue, logs, versions }),
    elsewhere: () => workersElsewhere(queue.count()),
    start: (signal) => queue.start(signal),
    close: () => pipelines.close(),
  }
}

function workersElsewhere({ queued, running }: ReturnType<WorkQueue['count']>): PoolStatus {
  const nobody = queued > 0 && running === 0
  return {
    pool: 'default',
    project: '',
    pipelines: [],
    image: null,
    state: running > 0 ? 'running' : queued > 0 ? 'waiting' : 'idle',
    running,
    replicas: running,
    wanted: queued + running,
    cause: nobody ? { ...NO_WORKERS, cause: `${queued} chunks of work wait, none is held` } : null,
    address: null,
    change: null,
    pods: [],
    ends: [],
  }
}

/** Plans and records until the signal; once the board has started. */
export function startPlanning(
  ports: Ports,
  core: Core,
  ground: Ground,
  options: {
    /** Owners of chunks known to be dead. */
    readonly isGone?: (owner: string) => boolean
    readonly share?: Share
  },
  signal: AbortSignal,
): void {
  const { tables, bus, clock } = ports
  const { versions, ids } = core
  const guests = { ...ground, versions, tables, bus, clock, ids, ...options }
  new Scheduler(guests).start(signal)
  new Recorder(guests).start(signal)
}

export interface Workshop {
  readonly pipelines: Pipelines
  /** What workers ask, wherever they are. */
  readonly api: WorkDesk
  readonly pools: Pools
  /** Plans, works and records until `close`. */
  start(): Promise<void>
  /** Gives back what is in hand. */
  close(): Promise<void>
}

/** All of it in one process. `workers`: datums worked on at once. */
export function makeWorkshop(
  ports: Ports,
  core: Core,
  options: { readonly runner: Runner; readonly scratch: Scratch; readonly workers: number },
): Workshop {
  const { clock } = ports
  const { runner, scratch, workers } = options
  const ground = layGround(ports, core, { runner, workers: workers || WORKERS_ELSEWHERE })
  const { uid, username } = userInfo()
  const abilities: Abilities = { runs: 'process', user: { name: username, uid } }
  const desk = openDesk(ports, core, ground, { abilities })
  // Loops of an earlier run of this process are dead; workers elsewhere have an "@" in their names.
  const incarnation = core.ids()
  const isGone = (owner: string): boolean => !owner.includes('@') && !owner.startsWith(incarnation)
  const pools = new LoopPools({
    pool: POOL,
    size: workers,
    start: (number, signal) => {
      const worker = `${incarnation}-${POOL}-${number}`
      return new Agent({ api: desk.api, runner, scratch, clock, worker }).run(signal)
    },
    clock,
    random: ports.random,
  })
  let working: Promise<void> | undefined
  const stop = new AbortController()
  return {
    pipelines: desk.pipelines,
    api: desk.api,
    pools,
    async start() {
      await ground.board.start(stop.signal)
      startPlanning(ports, core, ground, { isGone }, stop.signal)
      desk.start(stop.signal)
      working = pools.run(stop.signal)
    },
    async close() {
      stop.abort()
      await working
      await desk.close()
    },
  }
}
