// One running spout: reads its source, gathers a range, commits it, tells the source. Invariants:
// - a commit carries [from, to) of each part and the log takes it only if every `from` is what it
//   holds; that comparison, not this program, makes each record be in exactly one commit;
// - one commit is in flight; the next range continues where it ends and is proposed only after it
//   is a fact;
// - `ack` follows the fact, never precedes it;
// - memory: two ranges, the one in flight and the one being gathered, both bounded by the policy.

import { assert, must } from '../base/assert.ts'
import { Bell } from '../base/bell.ts'
import type { Clock } from '../base/clock.ts'
import { isVarveError, toVarveError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { Rate } from '../base/rate.ts'
import { backoffMs } from '../base/retry.ts'
import type { Connector, ConnectorContext } from '../connector/connector.ts'
import type { Positions, Source, Trouble } from '../connector/contract.ts'
import { parsePosition } from '../connector/position.ts'
import { branchKey } from '../model/entities.ts'
import type { Spout } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { Versions } from '../versions/versions.ts'
import { say } from './diagnostics.ts'
import { OpenRange } from './open-range.ts'
import { whenDue } from './policy.ts'
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

/** How a stretch of reading ended, and what comes next. */
type End =
  | { readonly next: 'again'; readonly waitMs?: number; readonly cause?: string }
  | { readonly next: 'back-off'; readonly cause: string }
  | { readonly next: 'pause'; readonly cause: string }
  | { readonly next: 'done'; readonly cause: string | null }

const BACKOFF = { firstMs: 200, maxMs: 30_000 }
const LAG_EVERY_MS = 2_000
const IDLE_MS = 60_000

export class SpoutRunner {
  readonly #o: RunnerOptions
  readonly #project: string
  readonly #name: string
  readonly #rate: Rate
  readonly #bell = new Bell()
  readonly #room = new Bell()
  #row: Spout
  /** Read from the row when a stretch begins: a wrong one is a cause to show, not the host's end. */
  #spec: SpoutSpec | undefined
  #range: OpenRange
  #committing: OpenRange | undefined
  #committedMs: number | null = null
  #lastCommit: Id | null = null
  #ends: Positions = {}
  #countsRecords = true
  /** The reader has ended: what is in hand is due at once. */
  #ending = false
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
    this.#range = new OpenRange(row.positions, 'raw')
  }

  get #who(): { project: string; spout: string } {
    return { project: this.#project, spout: this.#name }
  }

  get #set(): SpoutSpec {
    return must(this.#spec, 'the spec of a stretch')
  }

  /** Until the signal, or the spout is paused or at its end. */
  async run(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted;) {
      const before = this.#lastCommit
      const end = await this.#stretch(signal).catch((error: unknown) => this.#failed(error))
      if (signal.aborted) return
      if (this.#lastCommit !== before) attempt = 0
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
    this.#spec = readSpoutSpec(row.spec, connectors)
    this.#range = new OpenRange(row.positions, this.#spec.format)
    this.#committing = undefined
    this.#ending = false
    const chosen = this.#spec.source
    this.#countsRecords = chosen.spec.ordinal === 'records'
    const source = await chosen.spec.make(chosen.options, context)
    const stop = new AbortController()
    const abort = (): void => stop.abort()
    signal.addEventListener('abort', abort)
    this.#state = 'running'
    const lag = this.#watchLag(source, stop.signal)
    try {
      const reading = this.#read(source, stop.signal)
      const committing = this.#commitAll(source, stop.signal)
      // Whoever ends first ends the stretch; the reader's end is given after its last commit.
      return await Promise.race([committing, reading.then((end) => end ?? committing)])
    } finally {
      stop.abort()
      signal.removeEventListener('abort', abort)
      this.#bell.ring()
      this.#room.ring()
      await source.close().catch(() => undefined)
      await lag
    }
  }

  /** Reads into the open range; a trouble is answered after what came before it is committed. */
  async #read(source: Source, signal: AbortSignal): Promise<End | null> {
    const from = { ...this.#row.positions, ...this.#skips }
    try {
      for await (const item of source.open(from, signal)) {
        if (signal.aborted) return null
        const end = item.kind === 'batch' ? this.#take(item) : this.#trouble(item)
        if (end) return await this.#drained(end, signal)
        await this.#waitForRoom(signal)
      }
    } catch (error) {
      return this.#drained(this.#failed(error), signal)
    }
    return signal.aborted ? null : this.#drained({ next: 'again' }, signal)
  }

  #take(batch: Parameters<OpenRange['add']>[0]): End | null {
    const held = this.#range.positions()[batch.part]
    const skip = this.#skips[batch.part]
    assert(
      held === undefined || held === batch.from || skip === batch.from,
      () => `${batch.part}: the source read on at ${batch.from}, and ${held} is held`,
    )
    this.#rate.add(batch.records.length)
    const poison = this.#range.add(batch, this.#o.clock.monotonicMs(), this.#set.poison)
    this.#bell.ring()
    if (!poison) return null
    return {
      next: 'pause',
      cause: `cannot take the record at ${poison.part}:${poison.ordinal}: ${poison.why}`,
    }
  }

  #trouble(trouble: Trouble): End | null {
    const now = this.#o.clock.monotonicMs()
    switch (trouble.kind) {
      case 'lost':
        return { next: 'back-off', cause: trouble.text }
      case 'back-off':
        return { next: 'again', waitMs: trouble.waitMs, cause: trouble.text }
      case 'end':
        return { next: 'done', cause: null }
      case 'poison':
        if (this.#set.poison === 'halt') return { next: 'pause', cause: trouble.text }
        this.#range.moveTo(trouble.part, trouble.to, now)
        this.#range.quarantine(trouble.part, parsePosition(trouble.from).ordinal, trouble.bytes)
        return null
      case 'gap':
        if (this.#set.gap === 'halt')
          return { next: 'pause', cause: `${trouble.text}; to go on behind it set gap: accept` }
        this.#skips = { ...this.#skips, [trouble.part]: trouble.to }
        return { next: 'again', cause: trouble.text }
      case 'recreated':
      case 'fatal':
        return { next: 'pause', cause: trouble.text }
    }
  }

  /** Back-pressure: the source is not read while both ranges are full. */
  async #waitForRoom(signal: AbortSignal): Promise<void> {
    const { records, bytes } = this.#set.commit
    const full = (): boolean => this.#range.records >= records || this.#range.bytes >= bytes
    while (full() && !signal.aborted) await this.#room.wait(this.#o.clock, IDLE_MS, signal)
  }

  /** Waits until what is in hand is committed, then hands the end on. */
  async #drained(end: End, signal: AbortSignal): Promise<End> {
    this.#ending = true
    this.#bell.ring()
    while (!signal.aborted && (this.#committing || this.#range.records > 0))
      await this.#room.wait(this.#o.clock, IDLE_MS, signal)
    return end
  }

  /** Commits range after range as the policy says; ends only when one is refused. */
  async #commitAll(source: Source, signal: AbortSignal): Promise<End> {
    const { clock } = this.#o
    for (;;) {
      const due = whenDue(this.#inHand(), this.#set.commit)
      const waitMs = due === null ? IDLE_MS : due.atMs - clock.monotonicMs()
      if (due === null || (waitMs > 0 && !this.#ending)) {
        await this.#bell.wait(clock, waitMs, signal)
        if (signal.aborted) return { next: 'again' }
        continue
      }
      const range = this.#range
      this.#committing = range
      this.#range = new OpenRange(range.positions(), this.#set.format)
      this.#room.ring()
      const refused = await this.#commit(range, signal)
      if (refused) return refused
      this.#committing = undefined
      this.#committedMs = clock.monotonicMs()
      this.#row = { ...this.#row, positions: range.positions() }
      this.#room.ring()
      await source.ack(range.positions())
    }
  }

  /**
   * Proposes one range until the answer is definite. The same id is sent again after an answer that
   * did not come: it can be decided once only.
   */
  async #commit(range: OpenRange, signal: AbortSignal): Promise<End | null> {
    const { versions, newId, clock, random } = this.#o
    const request = { id: newId(), principal: `spout:${this.#name}` }
    const feed = { spout: this.#name, epoch: this.#row.epoch, ranges: range.ranges() }
    const branch = { repo: this.#row.repo, branch: this.#row.branch }
    for (let attempt = 0; ; attempt++) {
      try {
        const commit = await versions.commitFiles(
          this.#project,
          branch,
          async (writer) => {
            for (const file of range.files()) await writer.put(file.path, file.bytes)
          },
          request,
          { feed },
        )
        this.#lastCommit = commit.id
        const { records, bytes } = range
        say('committed', { ...this.#who, commit: commit.id, records, bytes })
        this.#cause = null
        this.#state = 'running'
        return null
      } catch (error) {
        const known = toVarveError(error)
        // Somebody else committed this part of the feed: go on where the log stands.
        if (known.code === 'STALE_SOURCE' || known.code === 'STALE_STATE')
          return { next: 'again', waitMs: 50 }
        if (!known.spec.retry) return this.#failed(error)
        this.#state = `waiting: ${known.message}`
        this.#cause = `cannot commit to ${branchKey(branch)}: ${known.message}`
        await clock.sleep(50 + backoffMs(BACKOFF, attempt, random), signal)
        if (signal.aborted) return { next: 'again' }
      }
    }
  }

  #failed(error: unknown): End {
    const known = toVarveError(error)
    const wrong = isVarveError(error) && !known.spec.retry && known.code.startsWith('INVALID_')
    return { next: wrong ? 'pause' : 'back-off', cause: known.message }
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

  #inHand(): Parameters<typeof whenDue>[0] {
    const { records, bytes, pinned, firstMs, newestMs } = this.#range
    return { records, bytes, pinned, firstMs, newestMs, committedMs: this.#committedMs }
  }

  status(): SpoutStatus {
    const positions = this.#row.positions
    const names = new Set([...Object.keys(positions), ...Object.keys(this.#ends)])
    const parts = Object.fromEntries(
      [...names].toSorted().map((name) => {
        const position = positions[name] ?? null
        const end = this.#ends[name] ?? null
        return [name, { position, end, lagRecords: this.#lagOf(position, end) }]
      }),
    )
    const lags = Object.values(parts).map((part) => part.lagRecords)
    const open = [this.#range, this.#committing].filter((range) => range !== undefined)
    const due = this.#spec ? whenDue(this.#inHand(), this.#spec.commit) : null
    const inMs = due === null ? 0 : Math.max(0, due.atMs - this.#o.clock.monotonicMs())
    return {
      name: this.#name,
      state: this.#state,
      cause: this.#cause,
      parts,
      lagRecords: lags.includes(null)
        ? null
        : lags.reduce<number>((sum, lag) => sum + (lag ?? 0), 0),
      openRecords: open.reduce((sum, range) => sum + range.records, 0),
      openBytes: open.reduce((sum, range) => sum + range.bytes, 0),
      nextFlush: due === null ? null : `${due.why} in ${(inMs / 1000).toFixed(1)} s`,
      recordsPerSecond: this.#rate.perSecond,
      lastCommitId: this.#lastCommit,
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
