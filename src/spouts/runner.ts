// One running spout: opens its source where the log stands and reads it, stretch after stretch. How
// what was read becomes commits is the committer's. Invariants:
// - a stretch begins at the log's positions, read anew: what another runner did meanwhile counts;
// - whatever ends a stretch is answered after what came before it is committed;
// - it ends for good only when the log says it does not run.

import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { toVarveError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { Rate } from '../base/rate.ts'
import { backoffMs } from '../base/retry.ts'
import type { Connector, ConnectorContext } from '../connector/connector.ts'
import type { Positions, Source, SourceBatch, Trouble } from '../connector/contract.ts'
import { parsePosition } from '../connector/position.ts'
import { branchKey } from '../model/entities.ts'
import type { Spout } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { Versions } from '../versions/versions.ts'
import { BACKOFF, Committer } from './committer.ts'
import type { Latest } from './committer.ts'
import { say } from './diagnostics.ts'
import { endOf } from './end.ts'
import type { End } from './end.ts'
import { readSpoutSpec } from './spec.ts'
import type { SpoutSpec } from './spec.ts'
import type { SpoutStatus } from './status.ts'

export interface RunnerOptions {
  readonly versions: Versions
  readonly connectors: readonly Connector[]
  readonly clock: Clock
  readonly random: Random
  readonly newId: () => Id
  readonly context: ConnectorContext
}

const LAG_EVERY_MS = 2_000

export class SpoutRunner {
  readonly #o: RunnerOptions
  readonly #project: string
  readonly #name: string
  readonly #rate: Rate
  readonly #latest: Latest = { commit: null, atMs: null }
  #row: Spout
  /** Of the stretch, or of the last one. */
  #committer: Committer | undefined
  #ends: Positions = {}
  #countsRecords = true
  #state = 'running'
  #cause: string | null = null
  /** Where reading may go on though the log's position is before it: accepted gaps. */
  #skips: Record<string, string> = {}

  constructor(options: RunnerOptions, project: string, row: Spout) {
    this.#o = options
    this.#project = project
    this.#name = row.name
    this.#row = row
    this.#rate = new Rate(options.clock)
  }

  get #who(): { project: string; spout: string } {
    return { project: this.#project, spout: this.#name }
  }

  /** Until the signal, or the spout is paused or at its end. */
  async run(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted;) {
      const before = this.#latest.commit
      const end = await this.#stretch(signal).catch(endOf)
      if (signal.aborted) return
      if (this.#latest.commit !== before) attempt = 0
      this.#cause = end.cause ?? null
      switch (end.next) {
        case 'again':
          await this.#o.clock.sleep(end.waitMs ?? 0, signal)
          break
        case 'back-off':
          this.#state = `waiting: ${end.cause}`
          say('waiting', { ...this.#who, cause: end.cause })
          await this.#o.clock.sleep(50 + backoffMs(BACKOFF, attempt++, this.#o.random), signal)
          break
        case 'pause':
          return this.#pause(end.cause, signal)
        case 'done':
          this.#state = 'at the end of its source'
          return
      }
    }
  }

  /** From the log's positions until something ends it; what is in hand then was committed or is dropped. */
  async #stretch(signal: AbortSignal): Promise<End> {
    const { versions, connectors, context } = this.#o
    const row = await versions.spout(this.#project, this.#name)
    if (!row || row.state !== 'running') return { next: 'done', cause: row?.cause ?? null }
    this.#row = row
    // Read here and not before: a wrong one is a cause to show, not the host's end.
    const spec = readSpoutSpec(row.spec, connectors)
    const committer = this.#committerOf(row, spec)
    this.#committer = committer
    this.#countsRecords = spec.source.spec.ordinal === 'records'
    const source = await spec.source.spec.make(spec.source.options, context)
    const stop = new AbortController()
    const abort = (): void => stop.abort()
    signal.addEventListener('abort', abort)
    this.#state = 'running'
    const lag = this.#watchLag(source, stop.signal)
    try {
      const reading = this.#read(source, committer, spec, stop.signal)
      const committing = committer.run((positions) => source.ack(positions), stop.signal)
      // Whoever ends first ends the stretch; the reader's end is given after its last commit.
      return await Promise.race([committing, reading.then((end) => end ?? committing)])
    } finally {
      stop.abort()
      signal.removeEventListener('abort', abort)
      await source.close().catch(() => undefined)
      await lag
    }
  }

  #committerOf(row: Spout, spec: SpoutSpec): Committer {
    const { versions, clock, random, newId } = this.#o
    const told = (cause: string | null): void => {
      this.#state = cause === null ? 'running' : `waiting: ${cause}`
      this.#cause = cause === null ? null : `cannot commit to ${branchKey(row)}: ${cause}`
    }
    const [project, latest] = [this.#project, this.#latest]
    return new Committer({ versions, clock, random, newId, project, row, spec, latest, told })
  }

  /** Hands batches over; a trouble is answered after what came before it is committed. */
  async #read(
    source: Source,
    committer: Committer,
    spec: SpoutSpec,
    signal: AbortSignal,
  ): Promise<End | null> {
    const from = { ...this.#row.positions, ...this.#skips }
    let end: End | null = null
    try {
      for await (const item of source.open(from, signal)) {
        if (signal.aborted) return null
        end =
          item.kind === 'batch' ? this.#take(item, committer) : this.#trouble(item, committer, spec)
        if (end) break
        await committer.room(signal)
      }
    } catch (error) {
      end = endOf(error)
    }
    if (signal.aborted) return null
    await committer.drained(signal)
    return end ?? { next: 'again' }
  }

  #take(batch: SourceBatch, committer: Committer): End | null {
    const held = committer.held(batch.part)
    const skip = this.#skips[batch.part]
    assert(
      held === undefined || held === batch.from || skip === batch.from,
      () => `${batch.part}: the source read on at ${batch.from}, and ${held} is held`,
    )
    this.#rate.add(batch.records.length)
    const poison = committer.add(batch)
    if (!poison) return null
    return {
      next: 'pause',
      cause: `cannot take the record at ${poison.part}:${poison.ordinal}: ${poison.why}`,
    }
  }

  #trouble(trouble: Trouble, committer: Committer, spec: SpoutSpec): End | null {
    switch (trouble.kind) {
      case 'lost':
        return { next: 'back-off', cause: trouble.text }
      case 'back-off':
        return { next: 'again', waitMs: trouble.waitMs, cause: trouble.text }
      case 'end':
        return { next: 'done', cause: null }
      case 'poison':
        if (spec.poison === 'halt') return { next: 'pause', cause: trouble.text }
        committer.quarantine(trouble)
        return null
      case 'gap':
        if (spec.gap === 'halt')
          return { next: 'pause', cause: `${trouble.text}; to go on behind it set gap: accept` }
        this.#skips = { ...this.#skips, [trouble.part]: trouble.to }
        return { next: 'again', cause: trouble.text }
      case 'recreated':
      case 'fatal':
        return { next: 'pause', cause: trouble.text }
    }
  }

  async #pause(cause: string, signal: AbortSignal): Promise<void> {
    this.#state = 'paused'
    this.#cause = cause
    say('paused', { ...this.#who, cause })
    const { versions, newId, clock, random } = this.#o
    const op = { op: 'spout.set', name: this.#name, state: 'paused', cause } as const
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        await versions.propose(this.#project, [op], {
          id: newId(),
          principal: `spout:${this.#name}`,
        })
        return
      } catch (error) {
        if (!toVarveError(error).spec.retry) return
        await clock.sleep(backoffMs(BACKOFF, attempt, random), signal)
      }
    }
  }

  async #watchLag(source: Source, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#o.clock.sleep(LAG_EVERY_MS, signal)
      if (signal.aborted) return
      // A source that cannot tell now is asked again later; reading goes on.
      const lags = await source.lag().catch(() => [])
      const known = lags.flatMap(({ part, end }) => (end === null ? [] : [[part, end] as const]))
      if (known.length > 0) this.#ends = Object.fromEntries(known)
    }
  }

  status(): SpoutStatus {
    const positions = this.#committer?.committed ?? this.#row.positions
    const names = new Set([...Object.keys(positions), ...Object.keys(this.#ends)])
    const parts = Object.fromEntries(
      [...names].toSorted().map((name) => {
        const position = positions[name] ?? null
        const end = this.#ends[name] ?? null
        return [name, { position, end, lagRecords: this.#lagOf(position, end) }]
      }),
    )
    const lags = Object.values(parts).map((part) => part.lagRecords)
    const due = this.#committer?.due() ?? null
    const inMs = due === null ? 0 : Math.max(0, due.atMs - this.#o.clock.monotonicMs())
    return {
      name: this.#name,
      state: this.#state,
      cause: this.#cause,
      parts,
      lagRecords: lags.includes(null)
        ? null
        : lags.reduce<number>((sum, lag) => sum + (lag ?? 0), 0),
      openRecords: this.#committer?.inHand.records ?? 0,
      openBytes: this.#committer?.inHand.bytes ?? 0,
      nextFlush: due === null ? null : `${due.why} in ${(inMs / 1000).toFixed(1)} s`,
      recordsPerSecond: this.#rate.perSecond,
      lastCommitId: this.#latest.commit,
    }
  }

  #lagOf(position: string | null, end: string | null): number | null {
    if (end === null || !this.#countsRecords) return null
    const at = position === null ? 0 : parsePosition(position).ordinal
    return Math.max(0, parsePosition(end).ordinal - at)
  }
}

/** What of a row, when it changes, needs a runner to begin anew; its positions move by its own commits. */
export function runnerKey(row: Spout): string {
  const { repo, branch, spec, state, epoch } = row
  return JSON.stringify([repo, branch, spec, state, epoch])
}
