// Brings a keyspace to the declared tables. Forward only: CREATE and ADD, each harmless when repeated,
// so that a change may be broken off anywhere and done again. One process at a time: the row of
// schema_version names who is at it, and who saw no step of it for a while takes over.

import type { Client } from 'cassandra-driver'
import type { Clock } from '../../../base/clock.ts'
import { toHex } from '../../../base/bytes.ts'
import { VarveError } from '../../../base/errors.ts'
import type { Random } from '../../../base/random.ts'
import type { TableSpec } from '../../schema.ts'
import { settle } from '../../settle.ts'
import type { Tables } from '../../tables.ts'
import { logs } from './connect.ts'
import type { CassandraOptions } from './connect.ts'
import { Cql } from './cql.ts'
import { failureOf } from './failure.ts'
import { missingStatements } from './schema-diff.ts'
import { SCHEMA, SCHEMA_KEY, SCHEMA_VERSION, misfit } from './schema-version.ts'
import type { KnownSchema, SchemaRow } from './schema-version.ts'
import * as server from './server.ts'

/** An owner that takes no step for this long is taken for dead. */
const PATIENCE_MS = 30_000
const LOOK_MS = 200
const STATEMENT_MS = 60_000
const AGREEMENT_MS = 60_000

export interface MigrateOptions {
  readonly client: Client
  readonly tables: Tables
  readonly options: CassandraOptions
  readonly specs: readonly TableSpec[]
  readonly clock: Clock
  readonly random: Random
  /** What this program knows; for tests. */
  readonly known?: KnownSchema
}

/** @throws VarveError UNAVAILABLE, MISCONFIGURED with what is wrong and what to do */
export async function migrate(given: MigrateOptions): Promise<void> {
  await checkSettings(given)
  await makeKeyspace(given)
  await makeVersionTable(given)
  const owner = toHex(given.random.bytes(8))
  let seen: { step: string; sinceMs: number } | undefined
  for (;;) {
    const { clock, tables } = given
    const row = await tables.get(SCHEMA_VERSION, SCHEMA_KEY, { serial: true })
    const why = misfit(row, given.known)
    if (why !== undefined)
      throw misconfigured(`use keyspace "${given.options.keyspace}"`, `${why}; run a newer program`)
    if ((row?.version ?? 0) >= (given.known ?? SCHEMA).version && !(await lacks(given))) return
    const step = `${row?.owner} ${row?.step}`
    if (seen?.step !== step) seen = { step, sinceMs: clock.monotonicMs() }
    const isFree = !row?.owner || clock.monotonicMs() - seen.sinceMs >= PATIENCE_MS
    if (isFree && (await change(given, owner, row))) return
    await clock.sleep(LOOK_MS)
  }
}

/** True when it was changed; false when somebody else is at it. */
async function change(
  given: MigrateOptions,
  owner: string,
  row: SchemaRow | undefined,
): Promise<boolean> {
  const { version, minCompatible } = given.known ?? SCHEMA
  let stands = row
  const step = async (next: Partial<SchemaRow>): Promise<boolean> => {
    const is = stands ? { owner: stands.owner, step: stands.step } : ('absent' as const)
    const put = {
      ...SCHEMA_KEY,
      version: stands?.version ?? 0,
      min_compatible: stands?.min_compatible ?? 0,
      step: (stands?.step ?? 0) + 1,
      ...next,
    }
    const expect = { key: SCHEMA_KEY, is }
    const writeId = toHex(given.random.bytes(16))
    const write = { partition: SCHEMA_KEY, expect, put: [put], writeId }
    const outcome = await settle(given.tables, SCHEMA_VERSION, write, given)
    stands = put
    return outcome.kind === 'applied'
  }
  if (!(await step({ owner }))) return false
  for (const statement of await missing(given)) {
    await define(given, statement)
    if (!(await step({ owner }))) return false
  }
  return step({
    owner: '',
    version: Math.max(version, row?.version ?? 0),
    min_compatible: Math.max(minCompatible, row?.min_compatible ?? 0),
  })
}

async function missing({ client, options, specs }: MigrateOptions): Promise<string[]> {
  const stored = await server.columnsOf(client, options.keyspace)
  return missingStatements(new Cql(options.keyspace), specs, stored)
}

async function lacks(given: MigrateOptions): Promise<boolean> {
  return (await missing(given)).length > 0
}

async function checkSettings({ client, options }: MigrateOptions): Promise<void> {
  const settings = await server.settingsOf(client)
  if (!settings) return
  if (settings.paxos !== 'v2')
    throw misconfigured(
      'use Cassandra',
      `paxos_variant is ${settings.paxos}; ${server.PAXOS_REMEDY}`,
    )
  const copies =
    (await server.replicationOf(client, options.keyspace)) ?? server.wantedReplication(options)
  if (settings.commitlog === 'periodic' && Object.values(copies).every((n) => n <= 1))
    logs.publish({
      level: 'warning',
      text: `a node that is killed loses acknowledged writes: commitlog_sync is periodic and there is one copy; ${server.COMMITLOG_REMEDY}`,
    })
}

async function makeKeyspace(given: MigrateOptions): Promise<void> {
  const { client, options } = given
  if (await server.replicationOf(client, options.keyspace)) return
  const few = server.tooFewNodes(server.wantedReplication(options), server.nodesOf(client))
  if (few !== undefined)
    throw misconfigured(
      `create keyspace "${options.keyspace}"`,
      `it would have ${few}; ask for fewer copies, or add nodes`,
    )
  await define(given, server.createKeyspace(options))
}

async function makeVersionTable(given: MigrateOptions): Promise<void> {
  const { client, options } = given
  const stored = await server.columnsOf(client, options.keyspace)
  const cql = new Cql(options.keyspace)
  // Several may do so at once; the server lets one of them.
  for (const statement of missingStatements(cql, [SCHEMA_VERSION], stored))
    await define(given, statement)
}

/** Carries out a statement of definition and waits until all nodes know it. */
async function define({ client, clock }: MigrateOptions, statement: string): Promise<void> {
  try {
    await client.execute(statement, [], { readTimeout: STATEMENT_MS, isIdempotent: true })
  } catch (error) {
    const { kind, found } = failureOf(error)
    const remedy =
      kind === 'denied'
        ? '; grant CREATE and ALTER to this role, or have it run by somebody who may'
        : ''
    const why = `${found}${remedy}`
    throw kind === 'transient' || kind === 'full'
      ? failed(`run\n${statement};\n`, why, error)
      : misconfigured(`run\n${statement};\n`, why, error)
  }
  const giveUpMs = clock.monotonicMs() + AGREEMENT_MS
  while (!(await agreed(client))) {
    if (clock.monotonicMs() >= giveUpMs)
      throw failed(
        'change the schema',
        'the nodes do not agree on it; look at nodetool describecluster',
      )
    await clock.sleep(LOOK_MS)
  }
}

/** The driver's types leave it out. */
function agreed(client: Client): Promise<boolean> {
  const metadata = client.metadata as unknown as { checkSchemaAgreement(): Promise<boolean> }
  return metadata.checkSchemaAgreement()
}

function failed(doing: string, why: string, cause?: unknown): VarveError {
  return new VarveError('UNAVAILABLE', `cannot ${doing}: ${why}`, { cause })
}

/** Only an operator can mend it. */
function misconfigured(doing: string, why: string, cause?: unknown): VarveError {
  return new VarveError('MISCONFIGURED', `cannot ${doing}: ${why}`, { cause })
}
