// A worker: claims a chunk, runs its datums one after another, uploads, says done, and asks again. Code
// of a standing pipeline it keeps running instead, for as long as the chunk is its own.
// While it holds a chunk it says so every few seconds; told that the chunk is no longer its own, it
// stops at once. Whatever goes wrong with it, the chunk is claimed again by somebody.

import type { Claim, WorkerApi, WorkerLine } from '../api/worker.ts'
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import type { Runner } from '../exec/runner.ts'
import type { Scratch, ScratchFolder } from '../exec/scratch.ts'
import type { DatumResult } from '../model/datum.ts'
import { isStanding } from '../model/spec-standing.ts'
import { runDatum } from './attempt.ts'
import type { Bench } from './attempt.ts'
import { Layout } from './layout.ts'
import { keepRunning } from './standing.ts'

const CLAIM_WAIT_MS = 20_000
const BEAT_MS = 5_000
const AGAIN_MS = 1_000
const PROGRESS_MS = 200
const LINES_MS = 100
const LINES_HELD = 500

export interface AgentOptions {
  readonly api: WorkerApi
  readonly runner: Runner
  readonly scratch: Scratch
  readonly clock: Clock
  /** Its name in leases: never used by another incarnation. */
  readonly worker: string
  /** The address of the API, for code that writes over it. */
  readonly server?: string
  /** What went wrong beside any datum; the agent goes on. */
  readonly trouble?: (error: unknown) => void
}

export class Agent {
  readonly #options: AgentOptions

  constructor(options: AgentOptions) {
    this.#options = options
  }

  /** Works until the signal is aborted; a chunk in hand is then given back. */
  async run(signal: AbortSignal): Promise<void> {
    const { api, clock, runner, scratch, trouble, worker } = this.#options
    const beats = new Beats(this.#options)
    const folder = await scratch.folder()
    try {
      const layout = new Layout({ api, folder, readOnly: runner.mountsPfs })
      while (!signal.aborted)
        try {
          const claim = await api.claim(worker, CLAIM_WAIT_MS, signal)
          if (claim) await runChunk(this.#options, { folder, layout, beats }, claim, signal)
        } catch (error) {
          trouble?.(error)
          await layout.clear().catch(() => {})
          await clock.sleep(AGAIN_MS, signal)
        }
    } finally {
      await folder.close()
    }
  }
}

async function runChunk(
  options: AgentOptions,
  place: { readonly folder: ScratchFolder; readonly layout: Layout; readonly beats: Beats },
  claim: Claim,
  signal: AbortSignal,
): Promise<void> {
  const { api } = options
  const lost = new AbortController()
  const lines = new LineSender(options, claim)
  const stop = AbortSignal.any([signal, lost.signal, lines.failed])
  const beating = place.beats.keep(claim, lost)
  const output = api.output(claim)
  const bench = { ...options, ...place, output, line: (line: WorkerLine) => lines.add(line) }
  let done = false
  try {
    const results = isStanding(claim.spec)
      ? await stand(options, bench, claim, stop)
      : await runDatums(options, bench, claim, lines, stop)
    if (stop.aborted) {
      // Says why, when it is that lines cannot be kept.
      if (!signal.aborted && !lost.signal.aborted) await lines.flush()
      return
    }
    const tree = await output.finish(results)
    await lines.flush()
    // Not done: somebody else has it by now, and there is nothing to give back either.
    await api.done(claim, tree)
    done = true
  } finally {
    beating.abort()
    if (!done) {
      output.abandon()
      await lines.flush().catch(() => {})
      if (!lost.signal.aborted) await api.giveBack(claim).catch(() => {})
    }
  }
}

/** What became of each datum; of some of them when the signal is aborted. */
async function runDatums(
  { api, clock }: AgentOptions,
  bench: Bench,
  claim: Claim,
  lines: LineSender,
  stop: AbortSignal,
): Promise<readonly DatumResult[]> {
  const results: DatumResult[] = []
  let failed = 0
  let toldMs = 0
  for (const datum of claim.datums) {
    const result = await runDatum(bench, claim, datum, stop)
    if (stop.aborted) break
    results.push(result)
    if (result.state === 'failed') failed++
    const nowMs = clock.monotonicMs()
    const last = results.length === claim.datums.length
    if (last || nowMs - toldMs >= PROGRESS_MS) {
      toldMs = nowMs
      api.progress(claim, results.length, failed)
    }
    await lines.room()
  }
  return results
}

/** Only the signal ends it, so there is no result. */
async function stand(
  { api }: AgentOptions,
  bench: Bench,
  claim: Claim,
  stop: AbortSignal,
): Promise<readonly never[]> {
  const tell = (ends: number): void => api.progress(claim, 0, ends)
  const [datum] = claim.datums
  assert(datum && claim.datums.length === 1, 'code that stands is one datum')
  await keepRunning({ ...bench, tell }, claim, datum, stop)
  return []
}

/** Says every few seconds that the worker lives and what it keeps. */
class Beats {
  readonly #options: AgentOptions
  #beat = 0

  constructor(options: AgentOptions) {
    this.#options = options
  }

  /** Until the returned controller is aborted; aborts `lost` when the claim is no longer ours. */
  keep(claim: Claim, lost: AbortController): AbortController {
    const ended = new AbortController()
    void this.#run(claim, lost, ended.signal)
    return ended
  }

  async #run(claim: Claim, lost: AbortController, ended: AbortSignal): Promise<void> {
    const { api, clock, worker } = this.#options
    while (!ended.aborted) {
      await clock.sleep(BEAT_MS, ended)
      if (ended.aborted) return
      try {
        const gone = await api.beat(worker, ++this.#beat, [claim])
        if (gone.length > 0) return lost.abort()
      } catch (error) {
        // The lease outlives a few lost beats.
        this.#options.trouble?.(error)
      }
    }
  }
}

/** Sends lines in batches, one after the other; whoever writes faster than they are taken has to wait. */
class LineSender {
  readonly #options: AgentOptions
  readonly #claim: Claim
  #held: WorkerLine[] = []
  #sending: Promise<void> | undefined
  #hurry = new AbortController()
  #failure: { readonly error: unknown } | undefined
  readonly #failed = new AbortController()

  constructor(options: AgentOptions, claim: Claim) {
    this.#options = options
    this.#claim = claim
  }

  /** Aborted when no more lines are taken: then nothing comes of the chunk. */
  get failed(): AbortSignal {
    return this.#failed.signal
  }

  /** A promise when too much is held: whoever writes had better wait for it. */
  add(line: WorkerLine): Promise<void> | void {
    this.#held.push(line)
    this.#start()
    return this.room()
  }

  /** Waits while too much is held. */
  room(): Promise<void> | void {
    if (this.#held.length < LINES_HELD) return
    const room = this.flush()
    // Who does not wait hears of a failure at the end of the chunk.
    room.catch(() => {})
    return room
  }

  /** @throws what went wrong with any line */
  async flush(): Promise<void> {
    this.#hurry.abort()
    await this.#sending
    if (this.#failure) throw this.#failure.error
  }

  #start(): void {
    if (this.#sending || this.#failure) return
    this.#hurry = new AbortController()
    this.#sending = this.#send()
      .catch((error: unknown) => {
        this.#failure = { error }
        this.#failed.abort()
      })
      .finally(() => (this.#sending = undefined))
  }

  async #send(): Promise<void> {
    await this.#options.clock.sleep(LINES_MS, this.#hurry.signal)
    while (this.#held.length > 0) {
      const lines = this.#held
      this.#held = []
      await this.#options.api.lines(this.#claim, lines)
    }
  }
}
