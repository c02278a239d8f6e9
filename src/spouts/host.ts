// Runs the spouts of every project: keeps one runner for each spout that the log says is running.

import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { Connector, ConnectorContext } from '../connector/connector.ts'
import type { Versions } from '../versions/versions.ts'
import type { SpoutStatus, Spouts } from './status.ts'

export interface SpoutHostOptions {
  readonly versions: Versions
  readonly connectors: readonly Connector[]
  readonly clock: Clock
  readonly random: Random
  /** How connectors resolve secrets; default: there are none. */
  readonly secret?: ConnectorContext['secret']
}

export class SpoutHost implements Spouts {
  constructor(_options: SpoutHostOptions) {}
  /** Until the signal: resolves when every runner has stopped; nothing in hand is lost, it is read again. */
  async run(_signal: AbortSignal): Promise<void> {}
  status(_project: string, _name: string): SpoutStatus | undefined {
    return undefined
  }
}
