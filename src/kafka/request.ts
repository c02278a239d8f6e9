import type { WireReader, WireWriter } from './wire.ts'

/** The requests we make, each in one version that brokers from 3.1 to 4.x know. */
export const APIS = {
  Produce: { key: 0, version: 9 },
  Fetch: { key: 1, version: 13 },
  ListOffsets: { key: 2, version: 7 },
  Metadata: { key: 3, version: 10 },
  OffsetCommit: { key: 8, version: 8 },
  OffsetFetch: { key: 9, version: 8 },
  FindCoordinator: { key: 10, version: 4 },
  JoinGroup: { key: 11, version: 7 },
  Heartbeat: { key: 12, version: 4 },
  LeaveGroup: { key: 13, version: 4 },
  SyncGroup: { key: 14, version: 5 },
  SaslHandshake: { key: 17, version: 1 },
  ApiVersions: { key: 18, version: 3 },
  CreateTopics: { key: 19, version: 7 },
  DescribeConfigs: { key: 32, version: 4 },
  SaslAuthenticate: { key: 36, version: 2 },
} as const

export type ApiName = keyof typeof APIS

export interface Request<T> {
  readonly api: ApiName
  readonly body: Buffer
  /** What follows the header of the answer. @param throttled tells for how long we may not ask */
  readonly read: (reader: WireReader, throttled: (ms: number) => void) => T
}

/** Most answers begin with the time the broker throttles us; `read` takes what follows. */
export function request<T>(
  api: ApiName,
  body: WireWriter,
  read: (reader: WireReader) => T,
): Request<T> {
  return {
    api,
    body: body.bytes(),
    read: (reader, throttled) => {
      throttled(reader.int32())
      return read(reader)
    },
  }
}
