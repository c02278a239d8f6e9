// Runs the spouts of every project: one runner for each spout the log says is running. The log is
// followed, so a spout put, paused, resumed or set back takes effect as its entry arrives. Two hosts
// that run one spout waste work and break nothing: the log takes each range once.

import type { Clock } from '../base/clock.ts'
import { VarveError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { Connector, ConnectorContext } from '../connector/connector.ts'
import type { Spout } from '../model/entities.ts'
import { idSource } from '../model/id.ts'
import type { VersionEntry, Versions } from '../versions/versions.ts'
import { SpoutRunner, runnerKey } from './runner.ts'
import type { RunnerOptions } from './runner.ts'
import type { SpoutStatus, Spouts } from './status.ts'

export interface SpoutHostOptions {
  readonly versions: Versions
  readonly connectors: readonly Connector[]
  readonly clock: Clock
  readonly random: Random
  /** How connectors resolve secrets; default: there are none. */
  readonly secret?: ConnectorContext['secret']
}

interface Running {
  readonly key: string
  readonly runner: SpoutRunner
  readonly stop: AbortController
  readonly done: Promise<void>
}

const NEW_PROJECTS_EVERY_MS = 1_000
const AGAIN_AFTER_MS = 500

export class SpoutHost implements Spouts {
  readonly #options: RunnerOptions
  readonly #running = new Map<string, Running>()
  /** What contradicted itself: it ends the host, loudly; what the world causes never gets here. */
  readonly #failures: unknown[] = []
  readonly #ended = new AbortController()

  constructor(options: SpoutHostOptions) {
    const { versions, connectors, clock, random } = options
    this.#options = {
      versions,
      connectors,
      clock,
      random,
      newId: idSource(clock, random),
      context: {
        nowMs: () => clock.nowMs(),
        sleep: (ms, signal) => clock.sleep(ms, signal),
        secret: options.secret ?? noSecrets,
      },
    }
  }

  /** Until the signal: resolves when every runner has stopped; what was in hand is read again later. */
  async run(signal: AbortSignal): Promise<void> {
    const { versions, clock } = this.#options
    const projects = new Map<string, Promise<void>>()
    const until = AbortSignal.any([signal, this.#ended.signal])
    while (!until.aborted) {
      try {
        for await (const { name } of versions.projects())
          if (!projects.has(name)) projects.set(name, this.#project(name, until).catch(this.#fail))
      } catch (error) {
        if (!(error instanceof VarveError)) throw error
      }
      await clock.sleep(NEW_PROJECTS_EVERY_MS, until)
    }
    await Promise.all(projects.values())
    if (this.#failures.length > 0) throw this.#failures[0]
  }

  status(project: string, name: string): SpoutStatus | undefined {
    return this.#running.get(`${project}/${name}`)?.runner.status()
  }

  readonly #fail = (error: unknown): void => {
    this.#failures.push(error)
    this.#ended.abort()
  }

  async #project(project: string, signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) await this.#reconcileAll(project, signal)
    } finally {
      const mine = [...this.#running.keys()].filter((key) => key.startsWith(`${project}/`))
      await Promise.all(mine.map((key) => this.#stop(key)))
    }
  }

  /** All rows as they are, then every change of them; ends when the log cannot be read for a while. */
  async #reconcileAll(project: string, signal: AbortSignal): Promise<void> {
    const { versions, clock } = this.#options
    try {
      const seq = await versions.watermark(project)
      for await (const row of versions.spouts(project)) await this.#reconcile(project, row)
      for await (const entry of versions.follow(project, seq, signal))
        for (const change of changesOf(entry)) await this.#reconcile(project, ...change)
    } catch (error) {
      if (!(error instanceof VarveError)) throw error
      await clock.sleep(AGAIN_AFTER_MS, signal)
    }
  }

  /** Makes what runs be what the row says. */
  async #reconcile(project: string, row: Spout, deleted = false): Promise<void> {
    const at = `${project}/${row.name}`
    const key = runnerKey(row)
    if (!deleted && this.#running.get(at)?.key === key) return
    await this.#stop(at)
    if (deleted || row.state !== 'running') return
    const stop = new AbortController()
    const runner = new SpoutRunner(this.#options, project, row)
    this.#running.set(at, {
      key,
      runner,
      stop,
      done: runner.run(stop.signal).catch(this.#fail),
    })
  }

  async #stop(key: string): Promise<void> {
    const running = this.#running.get(key)
    if (!running) return
    running.stop.abort()
    await running.done
    this.#running.delete(key)
  }
}

function changesOf(entry: VersionEntry): [row: Spout, deleted: boolean][] {
  if (!('yes' in entry.decision)) return []
  return entry.decision.yes.flatMap((fact): [Spout, boolean][] => {
    if (fact.f === 'spout.put' || fact.f === 'spout.changed') return [[fact.spout, false]]
    return fact.f === 'spout.deleted' ? [[fact.spout, true]] : []
  })
}

function noSecrets(): Promise<string> {
  return Promise.reject(
    new VarveError('INVALID_OPTION', 'cannot resolve a secret: none are set up'),
  )
}
