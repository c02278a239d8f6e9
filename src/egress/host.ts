// Runs the egresses of every project: one runner for each egress the log says is running. An egress
// put, paused or resumed takes effect, and a branch that moved wakes the runners that deliver it, as
// the entry arrives.

import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { Connector, ConnectorContext } from '../connector/connector.ts'
import { connectorContext } from '../connector/context.ts'
import { branchKey } from '../model/entities.ts'
import type { BranchKey, Egress } from '../model/entities.ts'
import { idSource } from '../model/id.ts'
import type { Fact } from '../model/ops.ts'
import { RowRunners } from '../versions/row-runners.ts'
import type { Own } from '../versions/row-runners.ts'
import type { Versions } from '../versions/versions.ts'
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
  /** Which of them this process runs; default: all. */
  readonly own?: Own | undefined
  /** Records between two recorded steps of progress, at most; default 10,000. */
  readonly batchRecords?: number
}

export class EgressHost implements Egresses {
  readonly #runners: RowRunners<Egress, EgressRunner>

  constructor(options: EgressHostOptions) {
    const {
      versions,
      connectors,
      clock,
      random,
      secret,
      own: mine,
      batchRecords = 10_000,
    } = options
    const context = connectorContext(clock, secret)
    const newId = idSource(clock, random)
    const own: RunnerOptions = { versions, connectors, clock, random, newId, context, batchRecords }
    this.#runners = new RowRunners({
      versions,
      clock,
      own: mine,
      kind: {
        rows: (project) => versions.egresses(project),
        changeOf: (fact) => {
          if (fact.f === 'egress.put' || fact.f === 'egress.changed')
            return { row: fact.egress, deleted: false }
          return fact.f === 'egress.deleted' ? { row: fact.egress, deleted: true } : undefined
        },
        keyOf: runnerKey,
        runnerOf: (project, row) => new EgressRunner(own, project, row),
      },
      heard: (project, fact) => {
        const moved = movedBranch(fact)
        if (!moved) return
        const branch = branchKey(moved)
        for (const runner of this.#runners.runners(project))
          if (runner.branch === branch) runner.ring()
      },
    })
  }

  /** Until the signal: resolves when every runner has stopped. */
  run(signal: AbortSignal): Promise<void> {
    return this.#runners.run(signal)
  }

  status(project: string, name: string): EgressStatus | undefined {
    return this.#runners.runner(project, name)?.status()
  }

  /** What runs here now. */
  *statuses(): Iterable<{ readonly project: string; readonly status: EgressStatus }> {
    for (const { project, runner } of this.#runners.all())
      yield { project, status: runner.status() }
  }
}

/** The branch whose head a fact may have moved. */
function movedBranch(fact: Fact): BranchKey | undefined {
  switch (fact.f) {
    case 'commit.finished':
      return fact.commit
    case 'branch.created':
    case 'branch.moved':
      return fact.branch
    default:
      return undefined
  }
}
