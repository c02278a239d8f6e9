// Runs the egresses of every project: one runner for each egress the log says is running. The log is
// followed: an egress put, paused or resumed takes effect, and a branch that moved wakes the runners
// that deliver it, as the entry arrives.

import type { Clock } from '../base/clock.ts'
import { VarveError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { Connector, ConnectorContext } from '../connector/connector.ts'
import { branchKey } from '../model/entities.ts'
import type { Egress } from '../model/entities.ts'
import { idSource } from '../model/id.ts'
import type { Fact } from '../model/ops.ts'
import type { VersionEntry, Versions } from '../versions/versions.ts'
import { EgressRunner, runnerKey } from './runner.ts'
import type { RunnerOptions } from './runner.ts'
import type { EgressStatus, Egresses } from './status.ts'

export interface EgressHostOptions {
  readonly versions: Versions
  readonly connectors: readonly Connector[]
  readonly clock: Clock
  readonly random: Random
  /** How connectors resolve secrets; default: there are none. */
  readonly secret?: ConnectorContext['secret']
  /** Records between two recorded steps of progress, at most; default 10,000. */
  readonly batchRecords?: number
}

interface Running {
  readonly key: string
  readonly branch: string
  readonly runner: EgressRunner
  readonly stop: AbortController
  readonly done: Promise<void>
}

const NEW_PROJECTS_EVERY_MS = 1_000
const AGAIN_AFTER_MS = 500

export class EgressHost implements Egresses {
  readonly #options: RunnerOptions
  readonly #running = new Map<string, Running>()
  /** What contradicted itself: it ends the host, loudly; what the world causes never gets here. */
  readonly #failures: unknown[] = []
  readonly #ended = new AbortController()

  constructor(options: EgressHostOptions) {
    const { versions, connectors, clock, random } = options
    this.#options = {
      versions,
      connectors,
      clock,
      random,
      batchRecords: options.batchRecords ?? 10_000,
      newId: idSource(clock, random),
      context: {
        nowMs: () => clock.nowMs(),
        sleep: (ms, signal) => clock.sleep(ms, signal),
        secret: options.secret ?? noSecrets,
      },
    }
  }

  /** Until the signal: resolves when every runner has stopped. */
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

  status(project: string, name: string): EgressStatus | undefined {
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
      for await (const row of versions.egresses(project)) await this.#reconcile(project, row)
      for await (const entry of versions.follow(project, seq, signal))
        for (const fact of factsOf(entry)) await this.#follow(project, fact)
    } catch (error) {
      if (!(error instanceof VarveError)) throw error
      await clock.sleep(AGAIN_AFTER_MS, signal)
    }
  }

  async #follow(project: string, fact: Fact): Promise<void> {
    switch (fact.f) {
      case 'egress.put':
      case 'egress.changed':
        return this.#reconcile(project, fact.egress)
      case 'egress.deleted':
        return this.#reconcile(project, fact.egress, true)
      case 'commit.finished':
        return this.#ring(project, branchKey(fact.commit))
      case 'branch.created':
      case 'branch.moved':
        return this.#ring(project, branchKey(fact.branch))
      default:
        return undefined
    }
  }

  #ring(project: string, branch: string): void {
    for (const [key, running] of this.#running)
      if (running.branch === branch && key.startsWith(`${project}/`)) running.runner.ring()
  }

  /** Makes what runs be what the row says. */
  async #reconcile(project: string, row: Egress, deleted = false): Promise<void> {
    const at = `${project}/${row.name}`
    const key = runnerKey(row)
    if (!deleted && this.#running.get(at)?.key === key) return
    await this.#stop(at)
    if (deleted || row.state !== 'running') return
    const stop = new AbortController()
    const runner = new EgressRunner(this.#options, project, row)
    const done = runner.run(stop.signal).catch(this.#fail)
    this.#running.set(at, { key, branch: branchKey(row), runner, stop, done })
  }

  async #stop(key: string): Promise<void> {
    const running = this.#running.get(key)
    if (!running) return
    running.stop.abort()
    await running.done
    this.#running.delete(key)
  }
}

function factsOf(entry: VersionEntry): readonly Fact[] {
  return 'yes' in entry.decision ? entry.decision.yes : []
}

function noSecrets(): Promise<string> {
  return Promise.reject(
    new VarveError('INVALID_OPTION', 'cannot resolve a secret: none are set up'),
  )
}
