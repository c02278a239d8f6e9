// One running egress: for each commit of its branch, oldest first, sends the records of its diff and
// records how far it came. Invariants:
// - progress in the log never runs ahead of the sink: it is proposed after the sink's `commit`;
// - a proposal carries the progress it continues, so two runners cannot both move it;
// - records of a commit come in one fixed order, so `records` says exactly where to go on.

import { Bell } from '../base/bell.ts'
import type { Clock } from '../base/clock.ts'
import { isVarveError, toVarveError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { Rate } from '../base/rate.ts'
import { backoffMs } from '../base/retry.ts'
import type { Connector, ConnectorContext } from '../connector/connector.ts'
import type { Coordinates, Sink, SinkRecord, Trouble } from '../connector/contract.ts'
import { branchKey } from '../model/entities.ts'
import type { Commit, Egress, EgressProgress } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { Versions } from '../versions/versions.ts'
import { say } from './diagnostics.ts'
import { undelivered } from './line.ts'
import { recordsOf } from './records.ts'
import { readEgressSpec } from './spec.ts'
import type { EgressStatus } from './status.ts'

export interface RunnerOptions {
  readonly versions: Versions
  readonly connectors: readonly Connector[]
  readonly clock: Clock
  readonly random: Random
  readonly newId: () => Id
  readonly context: ConnectorContext
  /** Progress is recorded at least after so many records: what a kill may send twice. */
  readonly batchRecords: number
}

const BACKOFF = { firstMs: 200, maxMs: 30_000 }
/** And at least after so many bytes. */
const BATCH_BYTES = 8 * 1024 * 1024
const LOOK_EVERY_MS = 5_000

/** Thrown inside a stretch: the sink said what is wrong. */
class SinkTrouble extends Error {
  readonly trouble: Trouble

  constructor(trouble: Trouble) {
    super(trouble.kind === 'end' ? 'the sink takes no more' : trouble.text)
    this.trouble = trouble
  }
}

export class EgressRunner {
  readonly #o: RunnerOptions
  readonly #project: string
  readonly #name: string
  readonly #bell = new Bell()
  readonly #rate: Rate
  #row: Egress
  #state = 'running'
  #cause: string | null = null
  #lagCommits = 0
  #lastDelivered: Id | null = null

  constructor(options: RunnerOptions, project: string, row: Egress) {
    this.#o = options
    this.#project = project
    this.#name = row.name
    this.#row = row
    this.#rate = new Rate(options.clock)
  }

  get #who(): { project: string; egress: string } {
    return { project: this.#project, egress: this.#name }
  }

  /** What it delivers, `repo@branch`; a row put anew on another branch has another runner. */
  get branch(): string {
    return branchKey(this.#row)
  }

  /** Its branch moved, or may have. */
  ring(): void {
    this.#bell.ring()
  }

  /** Until the signal, or the egress is paused. */
  async run(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted;) {
      const before = this.#row.progress
      try {
        const goesOn = await this.#stretch(signal)
        if (!goesOn) return
      } catch (error) {
        if (signal.aborted) return
        if (this.#row.progress !== before) attempt = 0
        if (await this.#handled(error, signal)) return
        const waitMs = waitOf(error) ?? 50 + backoffMs(BACKOFF, attempt++, this.#o.random)
        await this.#o.clock.sleep(waitMs, signal)
      }
    }
  }

  /** Opens the sink where the log stands and delivers as commits come. False: not to run any more. */
  async #stretch(signal: AbortSignal): Promise<boolean> {
    const { versions, connectors, clock, context } = this.#o
    const row = await versions.egress(this.#project, this.#name)
    if (!row || row.state !== 'running') return false
    this.#row = row
    const { spec, options } = readEgressSpec(row.spec, connectors)
    const sink = await spec.make(options, context)
    try {
      const { at } = fine(await sink.open(row.progress?.coordinates ?? null))
      this.#state = 'running'
      while (!signal.aborted) {
        const line = await undelivered(versions, this.#project, this.#row)
        this.#lagCommits = line.length
        this.#cause = null
        for (const commit of line) {
          if (signal.aborted) return true
          // Where the sink stood before its first record, so that it can take back what comes after.
          if (this.#row.progress === null)
            await this.#delivered(
              { commit: commit.id, records: 0, done: false, coordinates: at },
              0,
            )
          await this.#deliver(sink, commit, signal)
          this.#lagCommits--
        }
        if (line.length === 0) await this.#bell.wait(clock, LOOK_EVERY_MS, signal)
      }
      return true
    } finally {
      await sink.close().catch(() => undefined)
    }
  }

  async #deliver(sink: Sink, commit: Commit, signal: AbortSignal): Promise<void> {
    const { versions, batchRecords } = this.#o
    const { objects } = versions
    const { base, progress } = this.#row
    const sent = progress !== null && !progress.done ? progress.records : 0
    const baseRoot = await this.#rootOf(base)
    let index = 0
    let batch: SinkRecord[] = []
    let bytes = 0
    const send = async (done: boolean): Promise<void> => {
      if (batch.length > 0) fine(await sink.write({ commit: commit.id, records: batch }))
      const { at } = fine(await sink.commit())
      await this.#delivered(
        { commit: commit.id, records: index, done, coordinates: at },
        batch.length,
      )
      this.#rate.add(batch.length)
      batch = []
      bytes = 0
    }
    for await (const record of recordsOf(objects, baseRoot, commit.root, commit.id)) {
      if (signal.aborted) return
      index++
      if (index <= sent) continue
      batch.push(record)
      bytes += record.value.length
      if (batch.length >= batchRecords || bytes >= BATCH_BYTES) await send(false)
    }
    await send(true)
    this.#lastDelivered = commit.id
  }

  async #rootOf(id: Id | null): Promise<TreeRef | null> {
    if (id === null) return null
    const { repo, branch } = this.#row
    return (await this.#o.versions.commit(this.#project, { repo, branch, id }))?.root ?? null
  }

  /**
   * Records progress. An answer that did not come is asked for again under the same id; only a
   * definite one lets the next batch go.
   */
  async #delivered(
    to: EgressProgress & { coordinates: Coordinates },
    records: number,
  ): Promise<void> {
    const { versions, newId, clock, random } = this.#o
    const op = {
      op: 'egress.delivered' as const,
      name: this.#name,
      epoch: this.#row.epoch,
      from: this.#row.progress,
      to,
      records,
      coordinates: to.coordinates,
    }
    const request = { id: newId(), principal: `egress:${this.#name}` }
    for (let attempt = 0; ; attempt++) {
      try {
        const { decision } = await versions.propose(this.#project, [op], request)
        const facts = 'yes' in decision ? decision.yes : []
        say('delivered', { ...this.#who, commit: to.commit, records, done: to.done })
        for (const fact of facts)
          if (fact.f === 'egress.delivered' && fact.egress.name === this.#name)
            this.#row = fact.egress
        return
      } catch (error) {
        if (!isVarveError(error, 'UNAVAILABLE') || attempt > 20) throw error
        this.#cause = `cannot record what was delivered: ${error.message}`
        await clock.sleep(50 + backoffMs(BACKOFF, attempt, random))
      }
    }
  }

  /** Says why it does not run; true when it was paused and must not run any more. */
  async #handled(error: unknown, signal: AbortSignal): Promise<boolean> {
    const known = toVarveError(error)
    const text = error instanceof SinkTrouble ? error.message : known.message
    this.#cause = text
    this.#state = `waiting: ${text}`
    // Another runner moved it: go on from where it stands now.
    if (known.code === 'STALE_STATE') return false
    const moved = isVarveError(error, 'HEAD_MOVED')
    const fatal = error instanceof SinkTrouble && error.trouble.kind === 'fatal'
    const wrong = isVarveError(error) && known.code.startsWith('INVALID_')
    if (!moved && !fatal && !wrong) {
      say('waiting', { ...this.#who, cause: text })
      return false
    }
    this.#state = 'paused'
    const cause = moved ? `BRANCH_MOVED: ${text}` : text
    say('paused', { ...this.#who, cause })
    const op = { op: 'egress.set', name: this.#name, state: 'paused', cause } as const
    const { versions, newId, clock, random } = this.#o
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        await versions.propose(this.#project, [op], {
          id: newId(),
          principal: `egress:${this.#name}`,
        })
        return true
      } catch (failed) {
        if (!toVarveError(failed).spec.retry) return true
        await clock.sleep(backoffMs(BACKOFF, attempt, random), signal)
      }
    }
    return true
  }

  status(): EgressStatus {
    return {
      name: this.#name,
      state: this.#state,
      cause: this.#cause,
      lagCommits: this.#lagCommits,
      recordsPerSecond: this.#rate.perSecond,
      lastDeliveredId: this.#lastDelivered ?? this.#row.base,
    }
  }
}

/** The good of two outcomes. @throws SinkTrouble */
function fine<T extends object | null>(result: T | Trouble): Exclude<T, Trouble> {
  if (result !== null && 'kind' in result) throw new SinkTrouble(result as Trouble)
  return result as Exclude<T, Trouble>
}

function waitOf(error: unknown): number | undefined {
  if (error instanceof SinkTrouble && error.trouble.kind === 'back-off') return error.trouble.waitMs
  return isVarveError(error, 'STALE_STATE') ? 50 : undefined
}

/** What of a row, when it changes, needs a runner to begin anew; progress moves by its own entries. */
export function runnerKey(row: Egress): string {
  const { repo, branch, spec, state, epoch } = row
  return JSON.stringify([repo, branch, spec, state, epoch])
}
