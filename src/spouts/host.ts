// Runs the spouts of every project: one runner for each spout the log says is running. A spout put,
// paused, resumed or set back takes effect as its entry arrives. Two hosts that run one spout waste
// work and break nothing: the log takes each range once.

import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { Connector, ConnectorContext } from '../connector/connector.ts'
import { connectorContext } from '../connector/context.ts'
import type { Spout } from '../model/entities.ts'
import { idSource } from '../model/id.ts'
import { RowRunners } from '../versions/row-runners.ts'
import type { Own } from '../versions/row-runners.ts'
import type { Versions } from '../versions/versions.ts'
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
  /** Which of them this process runs; default: all. */
  readonly own?: Own | undefined
}

export class SpoutHost implements Spouts {
  readonly #runners: RowRunners<Spout, SpoutRunner>

  constructor(options: SpoutHostOptions) {
    const { versions, connectors, clock, random, secret, own: mine } = options
    const context = connectorContext(clock, secret)
    const newId = idSource(clock, random)
    const own: RunnerOptions = { versions, connectors, clock, random, newId, context }
    this.#runners = new RowRunners({
      versions,
      clock,
      own: mine,
      kind: {
        rows: (project) => versions.spouts(project),
        changeOf: (fact) => {
          if (fact.f === 'spout.put' || fact.f === 'spout.changed')
            return { row: fact.spout, deleted: false }
          return fact.f === 'spout.deleted' ? { row: fact.spout, deleted: true } : undefined
        },
        keyOf: runnerKey,
        runnerOf: (project, row) => new SpoutRunner(own, project, row),
      },
    })
  }

  /** Until the signal: resolves when every runner has stopped; what was in hand is read again later. */
  run(signal: AbortSignal): Promise<void> {
    return this.#runners.run(signal)
  }

  status(project: string, name: string): SpoutStatus | undefined {
    return this.#runners.runner(project, name)?.status()
  }

  /** What runs here now. */
  *statuses(): Iterable<{ readonly project: string; readonly status: SpoutStatus }> {
    for (const { project, runner } of this.#runners.all())
      yield { project, status: runner.status() }
  }
}
