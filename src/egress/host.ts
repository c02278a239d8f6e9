// Runs the egresses of every project: keeps one runner for each egress that the log says is running.

import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { Connector, ConnectorContext } from '../connector/connector.ts'
import type { Versions } from '../versions/versions.ts'
import type { EgressStatus, Egresses } from './status.ts'

export interface EgressHostOptions {
  readonly versions: Versions
  readonly connectors: readonly Connector[]
  readonly clock: Clock
  readonly random: Random
  /** How connectors resolve secrets; default: there are none. */
  readonly secret?: ConnectorContext['secret']
}

export class EgressHost implements Egresses {
  constructor(_options: EgressHostOptions) {}
  /** Until the signal: resolves when every runner has stopped. */
  async run(_signal: AbortSignal): Promise<void> {}
  status(_project: string, _name: string): EgressStatus | undefined {
    return undefined
  }
}
