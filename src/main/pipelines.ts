// Everything that turns commits into jobs, wired for one process: planning, work, recording, workers.

import { LoopPools } from '../exec/adapters/loops/pools.ts'
import type { Runner } from '../exec/runner.ts'
import type { Scratch } from '../exec/scratch.ts'
import { Board } from '../pipelines/board.ts'
import { LogStore } from '../pipelines/logs.ts'
import { PipelineService } from '../pipelines/pipeline-service.ts'
import { Planner } from '../pipelines/planner.ts'
import { WorkQueue } from '../pipelines/queue.ts'
import { Recorder } from '../pipelines/recorder.ts'
import { Scheduler } from '../pipelines/scheduler.ts'
import type { Pipelines } from '../pipelines/service.ts'
import { WorkRows } from '../pipelines/work.ts'
import { WorkDesk } from '../server/work.ts'
import { Agent } from '../worker/agent.ts'
import type { Core, Ports } from './core.ts'

const POOL = 'embedded'

export interface Workshop {
  readonly pipelines: Pipelines
  /** Plans, works and records until `close`. */
  start(): Promise<void>
  /** Gives back what is in hand. */
  close(): Promise<void>
}

/** `workers`: datums worked on at once. */
export function makeWorkshop(
  ports: Ports,
  core: Core,
  options: { readonly runner: Runner; readonly scratch: Scratch; readonly workers: number },
): Workshop {
  const { tables, bus, clock, random, hash } = ports
  const { versions, objects, ids } = core
  const { runner, scratch, workers } = options
  const board = new Board({ versions, clock })
  const rows = new WorkRows({ tables, clock, random })
  const planner = new Planner({ versions, runner, hash, workers: () => workers })
  const queue = new WorkQueue({ board, versions, rows, tables, bus, clock })
  const logs = new LogStore({ objects, tables, bus, clock, random })
  const scheduler = new Scheduler({ board, versions, planner, rows, clock, ids })
  // Workers of an earlier run of this process are dead: nobody else works on this data.
  const incarnation = ids()
  const isGone = (owner: string): boolean => !owner.startsWith(incarnation)
  const recorder = new Recorder({ board, versions, rows, tables, bus, clock, ids, isGone })
  const pipelines = new PipelineService({ board, versions, planner, rows, logs, bus, clock })
  const api = new WorkDesk({ queue, logs, versions })
  const pools = new LoopPools({
    start: (pool, index, signal) => {
      const worker = `${incarnation}-${pool}-${index}`
      return new Agent({ api, runner, scratch, clock, worker }).run(signal)
    },
  })
  const stop = new AbortController()
  return {
    pipelines,
    async start() {
      await board.start(stop.signal)
      scheduler.start(stop.signal)
      recorder.start(stop.signal)
      queue.start(stop.signal)
      await pools.apply({ id: POOL, size: workers })
    },
    async close() {
      stop.abort()
      await pools.close()
      await pipelines.close()
    },
  }
}
