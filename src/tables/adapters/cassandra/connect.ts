// A session with the cluster, and how each kind of statement is sent.

import { channel } from 'node:diagnostics_channel'
import type { Client, QueryOptions } from 'cassandra-driver'
import { guardControlConnection } from './control-connection.ts'
import { failureOf } from './failure.ts'

/** What rooms above listen to instead of a logger: {level, text}. */
export const logs = channel('varve:cassandra')

export interface CassandraOptions {
  /** `host:port`. The port of the first one is that of all nodes. */
  readonly contactPoints: readonly string[]
  readonly datacenter: string
  readonly keyspace: string
  readonly username?: string
  readonly password?: string
  /** TLS, its certificates checked; `ca` in PEM, default: the authorities of the system. */
  readonly tls?: { readonly ca?: string }
  /** Copies for each data centre, where the keyspace has to be made; default: one in `datacenter`. */
  readonly replication?: Readonly<Record<string, number>>
  readonly timeouts?: Partial<Timeouts>
}

/** All longer than the server's own limits, so that mostly the server says what happened. */
export interface Timeouts {
  readonly connectMs: number
  /** A conditional write; the server's limit is cas_contention_timeout. */
  readonly guardedMs: number
  readonly factsMs: number
  readonly readMs: number
  readonly pageMs: number
  /** How long facts and reads are tried again before they fail. */
  readonly patienceMs: number
}

const TIMEOUTS: Timeouts = {
  connectMs: 5_000,
  guardedMs: 8_000,
  factsMs: 5_000,
  readMs: 7_000,
  pageMs: 20_000,
  patienceMs: 10_000,
}

const RECONNECT_MS = { first: 250, max: 4_000 }

export function timeoutsOf(options: CassandraOptions): Timeouts {
  return { ...TIMEOUTS, ...options.timeouts }
}

/** Not yet connected: see `Client.connect`. */
export async function makeClient(options: CassandraOptions): Promise<Client> {
  const { default: cassandra } = await import('cassandra-driver')
  const { username, password, tls } = options
  const { connectMs, readMs } = timeoutsOf(options)
  const port = portOf(options.contactPoints[0])
  // The driver's own waits double up to ten minutes: a node would be back for as long as it was away.
  const reconnection = new cassandra.policies.reconnection.ExponentialReconnectionPolicy(
    RECONNECT_MS.first,
    RECONNECT_MS.max,
    false,
  )
  const client = new cassandra.Client({
    policies: { reconnection },
    contactPoints: [...options.contactPoints],
    localDataCenter: options.datacenter,
    protocolOptions: port === undefined ? {} : { port },
    socketOptions: { connectTimeout: connectMs, readTimeout: readMs },
    ...(username === undefined
      ? {}
      : {
          authProvider: new cassandra.auth.PlainTextAuthProvider(username, password ?? ''),
        }),
    ...(tls
      ? { sslOptions: { rejectUnauthorized: true, ...(tls.ca ? { ca: [tls.ca] } : {}) } }
      : {}),
  })
  client.on('log', (level: string, _where: string, text: string) => {
    // The driver's own words about what it tries again; what comes of it, callers say.
    if (level === 'warning' || level === 'error') logs.publish({ level: 'debug', text })
  })
  guardControlConnection(client, (text) => logs.publish({ level: 'warning', text }))
  return client
}

/** Why a client could not connect, in words of the options of a process; pure. */
export function whyNotConnected(
  error: unknown,
  options: CassandraOptions,
): { found: string; remedy: string; mayPass: boolean } {
  const { kind, found } = failureOf(error)
  // The driver's words: …, but only found hosts in data centers: [datacenter1]
  const datacenters = /data ?centers?:? \[(.*?)\]/i.exec(found)?.[1]
  if (datacenters !== undefined)
    return {
      found: `there is no data centre "${options.datacenter}"; there is: ${datacenters}`,
      remedy: `set VARVE_CASSANDRA_DATACENTER to one of: ${datacenters}`,
      mayPass: false,
    }
  const needsPassword = /requires? authentication|no authentication|credentials/i.test(found)
  if (kind === 'denied' || needsPassword)
    return {
      found: `it does not let us in: ${found}`,
      remedy:
        options.username === undefined
          ? 'set VARVE_CASSANDRA_USERNAME and VARVE_CASSANDRA_PASSWORD'
          : `look whether the role "${options.username}" may log in and has this password`,
      // Too few nodes are up to look the password up.
      mayPass: /consistency|unable to perform/i.test(found),
    }
  if (/ECONNREFUSED/.test(found))
    return {
      found: `nothing listens there: ${found}`,
      remedy: 'start Cassandra, or set VARVE_CASSANDRA to host:port of native_transport_port',
      mayPass: true,
    }
  if (/ENOTFOUND|EAI_AGAIN|resolve/i.test(found))
    return {
      found,
      remedy: 'set VARVE_CASSANDRA to names or addresses that can be resolved',
      mayPass: true,
    }
  if (/certificate|self.signed|altname|SSL|TLS/i.test(found))
    return {
      found: `its certificate is not accepted: ${found}`,
      remedy: 'set VARVE_CASSANDRA_CA to the authority that signed it; it must name the address',
      mayPass: false,
    }
  return {
    found,
    remedy:
      'look whether this is the CQL port of Cassandra (native_transport_port) and the network lets it through',
    mayPass: true,
  }
}

function portOf(contactPoint: string | undefined): number | undefined {
  const port = /:(\d+)$/.exec(contactPoint ?? '')?.[1]
  return port === undefined ? undefined : Number(port)
}

/** Options of a request, one object for each kind. */
export interface Profiles {
  /** Repeated by nobody but the caller: its outcome may be unknown. */
  readonly guarded: QueryOptions
  readonly facts: QueryOptions
  readonly read: QueryOptions
  /** Sees all conditional writes that ended before it. */
  readonly serial: QueryOptions
  readonly page: QueryOptions
}

export async function profilesOf(options: CassandraOptions): Promise<Profiles> {
  const { default: cassandra } = await import('cassandra-driver')
  const { localQuorum, localSerial } = cassandra.types.consistencies
  const { guardedMs, factsMs, readMs, pageMs } = timeoutsOf(options)
  const retry = new cassandra.policies.retry.FallthroughRetryPolicy()
  const common = { prepare: true, consistency: localQuorum, retry }
  return {
    guarded: {
      ...common,
      serialConsistency: localSerial,
      logged: false,
      isIdempotent: false,
      readTimeout: guardedMs,
    },
    facts: { ...common, logged: false, isIdempotent: true, readTimeout: factsMs },
    read: { ...common, isIdempotent: true, readTimeout: readMs },
    serial: { ...common, consistency: localSerial, isIdempotent: true, readTimeout: readMs },
    page: { ...common, isIdempotent: true, readTimeout: pageMs, autoPage: false },
  }
}
