// Brings a project's projections to the log, in order. Invariants: blocks are projected in the order
// of their seqs; the watermark is written after all rows of what it covers; nothing is told to anybody
// before its watermark stands. Every row's version is a seq, so two lanes that project the same
// entries do no harm, whatever their order. At an entry that makes another view the current one, that
// view is brought to the seq before, then the old one names it (projection.ts), then it goes on there.

import { assert } from '../base/assert.ts'
import { Signal } from '../base/async.ts'
import { isVarveError } from '../base/errors.ts'
import { retry } from '../base/retry.ts'
import type { LogGuests } from './guests.ts'
import type { Journal } from './journal.ts'
import type { Entry, Machine } from './machine.ts'
import { readMark } from './marks.ts'
import { TOGETHER, fillView, projection, replaced } from './projection.ts'

/** A dense run of appended entries. */
export interface Run<Fact> {
  readonly entries: readonly Entry<Fact>[]
  /** As a JSON array for the bus. */
  readonly print?: () => Uint8Array
  /** Of that array; undefined: not known. */
  readonly sizeBytes?: number
}

const BACKOFF = { firstMs: 10, maxMs: 1_000 }

export class Projector<Fact> {
  readonly #guests: LogGuests
  readonly #machine: Pick<Machine<never, Fact, never, never>, 'project'>
  readonly #journal: Journal<Fact>
  readonly #tell: (run: Run<Fact>) => void
  readonly #wake = new Signal()
  #runs: Run<Fact>[] = []
  #target = 0
  #seq = 0
  #view = 0
  readonly #moved = new Signal()

  /** `tell` hears of each run once everything of it can be read. */
  constructor(
    guests: LogGuests,
    machine: Pick<Machine<never, Fact, never, never>, 'project'>,
    journal: Journal<Fact>,
    tell: (run: Run<Fact>) => void,
  ) {
    this.#guests = guests
    this.#machine = machine
    this.#journal = journal
    this.#tell = tell
  }

  /** Everything at or below can be read. */
  get seq(): number {
    return this.#seq
  }

  /** Appended entries that wait to be projected. */
  get lag(): number {
    return Math.max(0, this.#target - this.#seq)
  }

  /** Resolves when it has got on, or the signal of `run` is aborted. */
  moved(): Promise<void> {
    return this.#moved.wait()
  }

  /** Entries stand in the log through this seq. */
  reach(seq: number): void {
    this.#target = Math.max(this.#target, seq)
    this.#wake.ring()
  }

  /** As `reach`, with the entries at hand; runs come in order. */
  push(run: Run<Fact>): void {
    const last = run.entries.at(-1)?.seq ?? 0
    if (last <= this.#target) return
    this.#runs.push(run)
    this.reach(last)
  }

  /** Until the signal. Rejects on what cannot be mended by waiting. */
  async run(signal: AbortSignal): Promise<void> {
    const { tables } = this.#guests
    signal.addEventListener('abort', () => {
      this.#wake.ring()
      this.#moved.ring()
    })
    const mark = await this.#patiently(signal, () => readMark(tables, this.#journal.project))
    this.#seq = mark.seq
    this.#view = mark.view
    while (!signal.aborted) {
      if (this.#target <= this.#seq) {
        await this.#wake.wait()
        continue
      }
      const runs = await this.#next(signal)
      const entries = runs.length === 1 ? (runs[0]?.entries ?? []) : runs.flatMap((r) => r.entries)
      assert(entries[0]?.seq === this.#seq + 1, 'projections are dense')
      for (const part of byView(entries)) await this.#project(part, signal)
      for (const run of runs) this.#tell(run)
      this.#moved.ring()
    }
  }

  /** A run in which at most the first entry changes the view. */
  async #project(entries: readonly Entry<Fact>[], signal: AbortSignal): Promise<void> {
    const { tables } = this.#guests
    const { project } = this.#journal
    const [first] = entries
    if (first?.view !== undefined && first.view !== this.#view)
      await this.#changeView(first.view, first.seq, signal)
    const writes = projection(this.#machine, project, this.#view, entries)
    await this.#patiently(signal, () => tables.apply(writes))
    this.#seq = entries.at(-1)?.seq ?? this.#seq
  }

  /** A lane that dies in it leaves nothing the next one would not do again. */
  async #changeView(next: number, at: number, signal: AbortSignal): Promise<void> {
    const { tables } = this.#guests
    const { project } = this.#journal
    await this.#patiently(signal, async () => {
      const filling = fillView(tables, this.#machine, this.#journal, next, at - 1, signal)
      for await (const _ of filling);
      await tables.apply([replaced(project, this.#view, at, next)])
    })
    this.#view = next
  }

  /** The next runs: those at hand, or read from the log when they do not follow on. */
  async #next(signal: AbortSignal): Promise<Run<Fact>[]> {
    const runs: Run<Fact>[] = []
    let at = this.#seq
    while (at - this.#seq < TOGETHER) {
      const run = this.#runs[0]
      const first = run?.entries[0]?.seq ?? Infinity
      if (!run || first > at + 1) break
      this.#runs.shift()
      const rest = first === at + 1 ? run : { entries: run.entries.filter((e) => e.seq > at) }
      if (rest.entries.length === 0) continue
      runs.push(rest)
      at = rest.entries.at(-1)?.seq ?? at
    }
    if (runs.length > 0 || this.#target <= at) return runs
    return await this.#patiently(signal, () => this.#read())
  }

  async #read(): Promise<Run<Fact>[]> {
    const first = this.#runs[0]?.entries[0]?.seq
    const through = first === undefined ? this.#target : first - 1
    for await (const entries of this.#journal.runs(this.#seq, through, TOGETHER))
      return [{ entries }]
    return []
  }

  #patiently<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const retryable = (error: unknown): boolean => isVarveError(error) && error.spec.retry
    return retry(this.#guests, BACKOFF, work, { retryable, signal })
  }
}

/** Cuts a run before each entry that changes the view. */
function byView<Fact>(entries: readonly Entry<Fact>[]): (readonly Entry<Fact>[])[] {
  const cuts = entries.flatMap(({ view }, at) => (view !== undefined && at > 0 ? [at] : []))
  return [0, ...cuts].map((from, i) => entries.slice(from, cuts[i]))
}
