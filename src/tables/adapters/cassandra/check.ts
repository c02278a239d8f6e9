// Examines a cluster from afar, for `varve doctor` and for a start that fails: each thing with what was
// found and what to do. It changes nothing.

import type { Client } from 'cassandra-driver'
import { must } from '../../../base/assert.ts'
import type { Check } from '../../../base/check.ts'
import type { Clock } from '../../../base/clock.ts'
import type { CassandraOptions } from './connect.ts'
import { makeClient, whyNotConnected } from './connect.ts'
import { endClient } from './control-connection.ts'
import { Cql, quote, quoteText } from './cql.ts'
import { failureOf } from './failure.ts'
import { SCHEMA, SCHEMA_VERSION, misfit } from './schema-version.ts'
import * as server from './server.ts'

const OLDEST = '5.0'
/** Leases and log time are made for clocks about right; the server's own writes more so. */
const CLOCK_OFF_MS = 60_000

export async function* checkCassandra(
  options: CassandraOptions,
  clock: Clock,
): AsyncGenerator<Check> {
  const client = await makeClient(options)
  try {
    const connected = await connect(client, options)
    yield connected
    if (connected.state === 'failed') return
    yield* examine(client, options, clock)
  } catch (error) {
    const { found } = failureOf(error)
    const remedy = 'look at the log of the node that answered'
    yield { what: 'Cassandra', state: 'failed', found, remedy }
  } finally {
    await endClient(client)
  }
}

async function connect(client: Client, options: CassandraOptions): Promise<Check> {
  const what = `Cassandra at ${options.contactPoints.join(', ')}`
  try {
    await client.connect()
    const nodes = Object.entries(server.nodesOf(client)).map(([where, n]) => `${n} in ${where}`)
    return { what, state: 'ok', found: `nodes: ${nodes.join(', ')}` }
  } catch (error) {
    const { found, remedy } = whyNotConnected(error, options)
    return { what, state: 'failed', found, remedy }
  }
}

async function* examine(
  client: Client,
  options: CassandraOptions,
  clock: Clock,
): AsyncGenerator<Check> {
  const beforeMs = clock.nowMs()
  const query = 'SELECT release_version, toTimestamp(now()) AS now FROM system.local'
  const row = must((await client.execute(query)).first(), 'the row of system.local')
  const afterMs = clock.nowMs()
  yield checkVersion(String(row['release_version']))
  yield checkClock((row['now'] as Date).getTime(), beforeMs, afterMs)

  const settings = await server.settingsOf(client)
  const replication = await server.replicationOf(client, options.keyspace)
  const copies = replication ?? server.wantedReplication(options)
  yield checkPaxos(settings?.paxos, options)
  yield checkCommitlog(settings?.commitlog, copies)

  const few = server.tooFewNodes(copies, server.nodesOf(client))
  const keyspace = `keyspace "${options.keyspace}"`
  if (few !== undefined)
    yield {
      what: keyspace,
      state: 'failed',
      found: `it ${replication ? 'has' : 'would have'} ${few}`,
      remedy: replication
        ? `add nodes, or run: ALTER KEYSPACE ${quote(options.keyspace)} with fewer copies`
        : 'set VARVE_REPLICATION lower, or add nodes',
    }
  else if (!replication) yield await checkMayCreate(client, options)
  else yield { what: keyspace, state: 'ok', found: `copies: ${JSON.stringify(replication)}` }
  if (!replication) return
  const stored = await server.columnsOf(client, options.keyspace)
  const isMade = stored.some(({ table_name }) => table_name === SCHEMA_VERSION.name)
  const version = isMade ? await checkSchema(client, options) : NOT_MADE
  yield version
  if (isMade && version.state !== 'failed') yield* checkPermissions(client, options)
}

function checkVersion(version: string): Check {
  const what = 'version of Cassandra'
  const known = version.localeCompare(OLDEST, 'en', { numeric: true }) >= 0
  if (known) return { what, state: 'ok', found: version }
  return { what, state: 'failed', found: version, remedy: `use Cassandra ${OLDEST} or newer` }
}

/** Pure. The server's answer was made between the two times of ours. */
export function checkClock(serverMs: number, beforeMs: number, afterMs: number): Check {
  const what = 'clock of Cassandra'
  const offMs = serverMs < beforeMs ? serverMs - beforeMs : Math.max(0, serverMs - afterMs)
  const seconds = Math.abs(Math.round(offMs / 1000))
  if (Math.abs(offMs) <= CLOCK_OFF_MS)
    return { what, state: 'ok', found: `within ${Math.max(1, seconds)} s of ours` }
  return {
    what,
    state: 'failed',
    found: `${seconds} s ${offMs > 0 ? 'ahead of' : 'behind'} ours`,
    remedy: 'run an NTP client on the nodes of Cassandra and here',
  }
}

function unreadable(what: string, options: CassandraOptions): Check {
  return {
    what,
    state: 'warning',
    found: 'this role may not read system_views.settings',
    remedy: `GRANT SELECT ON KEYSPACE system_views TO ${quote(options.username ?? 'varve')}`,
  }
}

function checkPaxos(paxos: string | undefined, options: CassandraOptions): Check {
  const what = 'paxos_variant'
  if (paxos === undefined) return unreadable(what, options)
  if (paxos === 'v2') return { what, state: 'ok', found: paxos }
  return { what, state: 'failed', found: paxos, remedy: server.PAXOS_REMEDY }
}

function checkCommitlog(
  commitlog: string | undefined,
  copies: Readonly<Record<string, number>>,
): Check {
  const what = 'commitlog_sync'
  const single = Object.values(copies).every((n) => n <= 1)
  const found = `${commitlog ?? 'unknown'}, ${single ? 'one copy' : 'several copies'}`
  if (commitlog !== 'periodic' || !single) return { what, state: 'ok', found }
  return {
    what,
    state: 'warning',
    found: `${found}: a node that is killed loses acknowledged writes`,
    remedy: server.COMMITLOG_REMEDY,
  }
}

/**
 * Whether this role may create keyspaces: asked of one that is there, and of which nothing can be
 * changed, so that the permission is all that is exercised.
 */
async function checkMayCreate(client: Client, options: CassandraOptions): Promise<Check> {
  const what = `keyspace "${options.keyspace}"`
  const statement = `${server.createKeyspace(options)};`
  try {
    await client.execute(server.createKeyspace({ ...options, keyspace: 'system_schema' }))
  } catch (error) {
    if (failureOf(error).kind === 'denied')
      return {
        what,
        state: 'failed',
        found: 'it is not there, and this role may not create it',
        remedy: `have it created: ${statement}`,
      }
  }
  return {
    what,
    state: 'warning',
    found: 'it is not there yet; the first start creates it',
    remedy: `nothing, or create it with settings of yours: ${statement}`,
  }
}

const NOT_MADE: Check = {
  what: 'version of the schema',
  state: 'warning',
  found: 'there are no tables yet; the first start creates them',
  remedy: 'nothing; or run schemas/cassandra/*.cql in their order',
}

async function checkSchema(client: Client, options: CassandraOptions): Promise<Check> {
  const { what } = NOT_MADE
  const table = new Cql(options.keyspace).name(SCHEMA_VERSION.name)
  const query = `SELECT version, min_compatible FROM ${table} WHERE name = 'schema'`
  let row
  try {
    row = (await client.execute(query)).first()
  } catch (error) {
    return denied(what, error, options, 'SELECT')
  }
  const version = Number(row?.['version'] ?? 0)
  const why = misfit({
    name: 'schema',
    version,
    min_compatible: Number(row?.['min_compatible'] ?? 0),
  })
  if (why !== undefined) return { what, state: 'failed', found: why, remedy: 'run a newer program' }
  const known = `this program knows ${SCHEMA.version}`
  if (version >= SCHEMA.version) return { what, state: 'ok', found: `${version}; ${known}` }
  return {
    what,
    state: 'warning',
    found: `${version}; ${known} and changes it at its start`,
    remedy: 'nothing; or run the newer ones of schemas/cassandra/*.cql before',
  }
}

/** Each permission by a statement that needs it and changes nothing. */
async function* checkPermissions(client: Client, options: CassandraOptions): AsyncGenerator<Check> {
  const table = new Cql(options.keyspace).name(SCHEMA_VERSION.name)
  const key = `name = ${quoteText('nobody')}`
  const existing = `CREATE TABLE IF NOT EXISTS ${table} (name text PRIMARY KEY)`
  const needed = [
    ['SELECT', `SELECT * FROM ${table} WHERE ${key}`],
    ['MODIFY', `UPDATE ${table} SET version = -1 WHERE ${key} IF version = -1`],
    ['CREATE', existing],
    ['ALTER', `ALTER TABLE ${table} ADD IF NOT EXISTS "version" bigint`],
  ] as const
  for (const [permission, statement] of needed) {
    const what = `permission ${permission} on keyspace "${options.keyspace}"`
    try {
      await client.execute(statement)
      yield { what, state: 'ok', found: 'granted' }
    } catch (error) {
      const check = denied(what, error, options, permission)
      // Only changes of the schema need these two; a keeper of the cluster may make them.
      const later = permission === 'CREATE' || permission === 'ALTER'
      yield later ? { ...check, state: 'warning' } : check
    }
  }
}

function denied(
  what: string,
  error: unknown,
  options: CassandraOptions,
  permission: string,
): Check {
  const role = quote(options.username ?? 'varve')
  return {
    what,
    state: 'failed',
    found: failureOf(error).found,
    remedy: `GRANT ${permission} ON KEYSPACE ${quote(options.keyspace)} TO ${role}`,
  }
}
