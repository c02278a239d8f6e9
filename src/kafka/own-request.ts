import { asEncoder } from './kafkajs.ts'
import type { WireProtocol } from './kafkajs.ts'
import { WireReader } from './wire.ts'
import type { WireWriter } from './wire.ts'

/**
 * A request that kafkajs does not have, sent over its connections: a flexible version (tagged fields)
 * whose answer begins with the time the broker throttled it. `read` takes what follows.
 */
export function ownRequest<T>(
  apiName: string,
  apiKey: number,
  apiVersion: number,
  body: WireWriter,
  read: (reader: WireReader) => T,
): WireProtocol<T> {
  return {
    request: { apiKey, apiVersion, apiName, encode: async () => asEncoder(body.bytes()) },
    response: {
      decode: async (payload) => {
        const reader = new WireReader(payload)
        reader.tags()
        const clientSideThrottleTime = reader.int32()
        return { clientSideThrottleTime, value: read(reader) }
      },
      parse: async ({ value }) => value,
    },
    logResponseError: false,
  }
}
