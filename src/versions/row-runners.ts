// Runs one runner for each row of one kind that the log says is running, in every project. Invariants:
// - what runs follows the log: rows as they are first, then each entry's changes of them, in order;
// - a row has one runner at a time; the old one has stopped before the next begins;
// - trouble of the world (a VarveError) is waited out; what contradicts itself ends it all, loudly.
// Two of these over one log are two runners for a row: the log takes each step of theirs once. Where
// several processes host rows, `own` keeps all but one of them waiting for each.

import type { Clock } from '../base/clock.ts'
import { VarveError } from '../base/errors.ts'
import type { Fact } from '../model/ops.ts'
import type { Versions } from './versions.ts'

export interface RowRunner {
  /** Until the signal, or there is no more to do. A rejection is a contradiction, never the world's. */
  run(signal: AbortSignal): Promise<void>
}

export interface RunnableRow {
  readonly name: string
  readonly state: 'running' | 'paused'
}

/** A kind of row, and what runs for one. */
export interface RowKind<Row extends RunnableRow, Runner extends RowRunner> {
  rows(project: string): AsyncIterable<Row>
  /** What a fact says of a row of this kind, if it does. */
  changeOf(fact: Fact): { readonly row: Row; readonly deleted: boolean } | undefined
  /** What of a row, when it changes, needs its runner to begin anew. */
  keyOf(row: Row): string
  runnerOf(project: string, row: Row): Runner
}

/**
 * Runs `work` while the row of this name is ours, again after it was lost and won again; resolves when
 * `work` ended by itself or the signal is aborted. What `work` throws is thrown.
 */
export type Own = (
  name: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
) => Promise<void>

const alone: Own = (_name, signal, work) => work(signal)

interface Running<Runner> {
  readonly key: string
  /** Undefined while the row is somebody else's. */
  runner: Runner | undefined
  readonly stop: AbortController
  done: Promise<void>
}

const NEW_PROJECTS_EVERY_MS = 1_000
const AGAIN_AFTER_MS = 500

export class RowRunners<Row extends RunnableRow, Runner extends RowRunner> {
  readonly #versions: Versions
  readonly #clock: Clock
  readonly #kind: RowKind<Row, Runner>
  readonly #heard: (project: string, fact: Fact) => void
  readonly #own: Own
  /** By project, then by the row's name. */
  readonly #running = new Map<string, Map<string, Running<Runner>>>()
  readonly #failures: unknown[] = []
  readonly #ended = new AbortController()

  /**
   * @param options.heard told of every fact that is no change of such a row, in order
   * @param options.own given `<project>/<row's name>`; default: everything is ours
   */
  constructor(options: {
    readonly versions: Versions
    readonly clock: Clock
    readonly kind: RowKind<Row, Runner>
    readonly heard?: (project: string, fact: Fact) => void
    readonly own?: Own | undefined
  }) {
    this.#versions = options.versions
    this.#clock = options.clock
    this.#kind = options.kind
    this.#heard = options.heard ?? (() => undefined)
    this.#own = options.own ?? alone
  }

  /** Until the signal: resolves when every runner has stopped. @throws what contradicted itself */
  async run(signal: AbortSignal): Promise<void> {
    const projects = new Map<string, Promise<void>>()
    const until = AbortSignal.any([signal, this.#ended.signal])
    while (!until.aborted) {
      try {
        for await (const { name } of this.#versions.projects())
          if (!projects.has(name)) projects.set(name, this.#project(name, until).catch(this.#fail))
      } catch (error) {
        if (!(error instanceof VarveError)) throw error
      }
      await this.#clock.sleep(NEW_PROJECTS_EVERY_MS, until)
    }
    await Promise.all(projects.values())
    if (this.#failures.length > 0) throw this.#failures[0]
  }

  runner(project: string, name: string): Runner | undefined {
    return this.#running.get(project)?.get(name)?.runner
  }

  *runners(project: string): Iterable<Runner> {
    for (const { runner } of this.#running.get(project)?.values() ?? []) if (runner) yield runner
  }

  /** Everything that runs here. */
  *all(): Iterable<{ readonly project: string; readonly runner: Runner }> {
    for (const project of this.#running.keys())
      for (const runner of this.runners(project)) yield { project, runner }
  }

  readonly #fail = (error: unknown): void => {
    this.#failures.push(error)
    this.#ended.abort()
  }

  async #project(project: string, signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) await this.#follow(project, signal)
    } finally {
      const names = [...(this.#running.get(project)?.keys() ?? [])]
      await Promise.all(names.map((name) => this.#stop(project, name)))
    }
  }

  /** All rows as they are, then every change of them; ends when the log cannot be read for a while. */
  async #follow(project: string, signal: AbortSignal): Promise<void> {
    try {
      const seq = await this.#versions.watermark(project)
      for await (const row of this.#kind.rows(project)) await this.#reconcile(project, row, false)
      for await (const { decision } of this.#versions.follow(project, seq, signal)) {
        for (const fact of 'yes' in decision ? decision.yes : []) {
          const change = this.#kind.changeOf(fact)
          if (change) await this.#reconcile(project, change.row, change.deleted)
          else this.#heard(project, fact)
        }
      }
    } catch (error) {
      if (!(error instanceof VarveError)) throw error
      await this.#clock.sleep(AGAIN_AFTER_MS, signal)
    }
  }

  /** Makes what runs be what the row says. */
  async #reconcile(project: string, row: Row, deleted: boolean): Promise<void> {
    const key = this.#kind.keyOf(row)
    const mine = this.#running.get(project) ?? new Map<string, Running<Runner>>()
    this.#running.set(project, mine)
    if (!deleted && mine.get(row.name)?.key === key) return
    await this.#stop(project, row.name)
    if (deleted || row.state !== 'running') return
    const stop = new AbortController()
    // A runner keeps what it has in hand; who wins the row back begins with a new one.
    const work = async (ours: AbortSignal): Promise<void> => {
      running.runner = this.#kind.runnerOf(project, row)
      await running.runner.run(ours)
      if (ours.aborted) running.runner = undefined
    }
    const running: Running<Runner> = { key, runner: undefined, stop, done: Promise.resolve() }
    mine.set(row.name, running)
    running.done = this.#own(`${project}/${row.name}`, stop.signal, work).catch(this.#fail)
  }

  async #stop(project: string, name: string): Promise<void> {
    const running = this.#running.get(project)?.get(name)
    if (!running) return
    running.stop.abort()
    await running.done
    this.#running.get(project)?.delete(name)
  }
}
