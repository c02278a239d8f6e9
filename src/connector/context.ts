import type { Clock } from '../base/clock.ts'
import { VarveError } from '../base/errors.ts'
import type { ConnectorContext } from './connector.ts'

/** What a host gives its connectors. @param secret default: every secret is refused */
export function connectorContext(
  clock: Clock,
  secret: ConnectorContext['secret'] = noSecrets,
): ConnectorContext {
  return {
    nowMs: () => clock.nowMs(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
    secret,
  }
}

function noSecrets(): Promise<string> {
  return Promise.reject(
    new VarveError('INVALID_OPTION', 'cannot resolve a secret: none are set up'),
  )
}
