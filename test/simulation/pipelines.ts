// The pipelines room itself in a simulated process: it schedules, records, and works inline.

import { utf8 } from '../../src/base/bytes.ts'
import type { PlannedDatum } from '../../src/model/datum.ts'
import { isVarveError } from '../../src/base/errors.ts'
import type { Runner } from '../../src/exec/runner.ts'
import { idSource } from '../../src/model/id.ts'
import { parsePipelineDocument } from '../../src/model/spec-pipeline.ts'
import { Board } from '../../src/pipelines/board.ts'
import { Planner } from '../../src/pipelines/planner.ts'
import { WorkQueue } from '../../src/pipelines/queue.ts'
import type { Claimed } from '../../src/pipelines/queue.ts'
import { Recorder } from '../../src/pipelines/recorder.ts'
import { ResultWriter } from '../../src/pipelines/results.ts'
import { Scheduler } from '../../src/pipelines/scheduler.ts'
import { WorkRows } from '../../src/pipelines/work.ts'
import type { Node } from './node.ts'
import { hash } from './store.ts'
import { readFile } from './actors.ts'
import type { Commit } from '../../src/model/entities.ts'

const BEAT_MS = 3_000

const runner: Runner = {
  mountsPfs: true,
  identify: () => Promise.resolve('c'.repeat(64)),
  run: () => Promise.resolve({ code: 0, signal: null, timedOut: false }),
  close: () => Promise.resolve(),
}

/** Each file of the first input by itself, passed through `transformed`. */
export function pipelineSpec(name: string, repo: string): Record<string, unknown> {
  const document = {
    pipeline: { name },
    input: { pfs: { repo, branch: 'master', glob: '/**' } },
    transform: { cmd: ['pass'] },
  }
  return parsePipelineDocument(document) as unknown as Record<string, unknown>
}

export function transformed(pipeline: string, content: string): string {
  return `${pipeline}(${content})`
}

/** @param pauseMs at most so long a worker stops between storing a result and saying so */
export async function realPipelines(node: Node, pauseMs = 0): Promise<void> {
  const { versions, tables, bus, life } = node
  const { clock, random } = life
  const ids = idSource(clock, random)
  const signal = new AbortController().signal
  const board = new Board({ versions, clock })
  const rows = new WorkRows({ tables, clock, random })
  const planner = new Planner({ versions, runner, hash, workers: () => 2 })
  const queue = new WorkQueue({ board, versions, rows, tables, bus, clock })
  const scheduler = new Scheduler({ board, versions, planner, clock, ids })
  const recorder = new Recorder({ board, versions, rows, tables, bus, clock, ids })
  try {
    await board.start(signal)
  } catch (error) {
    // As the product's process: it ends, and is started again.
    if (!isVarveError(error, 'UNAVAILABLE')) throw error
    return life.crash()
  }
  scheduler.start(signal)
  recorder.start(signal)
  queue.start(signal)
  await work(node, queue, { worker: `${life.name}-${ids()}`, pauseMs })
}

interface Habits {
  readonly worker: string
  readonly pauseMs: number
}

async function work(node: Node, queue: WorkQueue, { worker, pauseMs }: Habits): Promise<void> {
  const { clock } = node.life
  const signal = new AbortController().signal
  let held: Claimed[] = []
  const beating = async (): Promise<void> => {
    for (let beat = 1; ; beat++) {
      await queue.beat(worker, beat, held).catch(() => undefined)
      await clock.sleep(BEAT_MS)
    }
  }
  void beating()
  for (;;)
    try {
      const claimed = await queue.claim(worker, 5_000, signal)
      if (!claimed) continue
      held = [claimed]
      await carryOut(node, queue, claimed, pauseMs)
      held = []
    } catch (error) {
      held = []
      if (!isVarveError(error) || !error.spec.retry)
        node.life.world.violate('assertions', `worker: ${(error as Error).stack}`)
      await clock.sleep(200)
    }
}

async function carryOut(
  node: Node,
  queue: WorkQueue,
  claimed: Claimed,
  pauseMs: number,
): Promise<void> {
  const { objects } = node.versions
  const { inputs } = claimed.meta
  const writer = new ResultWriter(
    objects,
    inputs,
    claimed.datums.map(({ id }) => id),
  )
  const results = []
  for (const datum of claimed.datums) {
    results.push(done(datum))
    for (const piece of datum.inputs) {
      const root = inputs.find(({ name }) => name === piece.name)?.root ?? null
      if (piece.kind === 'dir') continue
      const content = await readFile(node, { root } as Commit, piece.path)
      await writer.put(datum.id, piece.path, only(transformed(claimed.pipeline, content)))
    }
  }
  const tree = await writer.finish(results)
  if (pauseMs > 0) await node.life.clock.sleep(node.life.random.next() * pauseMs)
  await queue.done(claimed, tree)
}

async function* only(text: string): AsyncGenerator<Uint8Array> {
  yield utf8(text)
}

function done(datum: PlannedDatum) {
  return {
    ...datum,
    state: 'success' as const,
    attempts: 1,
    exit: { code: 0, signal: null, timedOut: false },
    lastLines: [],
    times: { layoutMs: 0, runMs: 0, uploadMs: 0 },
    files: datum.inputs.filter(({ kind }) => kind === 'file').length,
  }
}
