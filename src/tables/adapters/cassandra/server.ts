// What the adapter asks a cluster about itself, and what it must say.

import type { Client } from 'cassandra-driver'
import { quote, quoteText } from './cql.ts'
import type { CassandraOptions } from './connect.ts'
import type { StoredColumn } from './schema-diff.ts'

export const PAXOS_REMEDY =
  'set paxos_variant: v2 in cassandra.yaml of every node and restart them one after the other'
export const COMMITLOG_REMEDY =
  'set commitlog_sync: batch in cassandra.yaml (or group), or keep three copies on nodes that do not fail together'

/** Settings of the node that answers; undefined: this role may not read them. */
export async function settingsOf(
  client: Client,
): Promise<{ paxos: string; commitlog: string } | undefined> {
  const read = async (name: string): Promise<string> => {
    const query = 'SELECT value FROM system_views.settings WHERE name = ?'
    const row = (await client.execute(query, [name], { prepare: true })).first()
    return String(row?.['value'] ?? '')
  }
  try {
    return { paxos: await read('paxos_variant'), commitlog: await read('commitlog_sync') }
  } catch (error) {
    if ((error as { code?: unknown }).code === 0x2100) return undefined
    throw error
  }
}

/** Copies for each data centre, or undefined where there is no such keyspace. */
export async function replicationOf(
  client: Client,
  keyspace: string,
): Promise<Record<string, number> | undefined> {
  const query = 'SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?'
  const row = (await client.execute(query, [keyspace], { prepare: true })).first()
  if (!row) return undefined
  const { class: _, ...copies } = row['replication'] as Record<string, string>
  return Object.fromEntries(Object.entries(copies).map(([where, n]) => [where, Number(n)]))
}

/** Nodes for each data centre. */
export function nodesOf(client: Client): Record<string, number> {
  const nodes: Record<string, number> = {}
  client.hosts.forEach((host) => {
    nodes[host.datacenter] = (nodes[host.datacenter] ?? 0) + 1
  })
  return nodes
}

/** A data centre that cannot keep as many copies, in words. */
export function tooFewNodes(
  copies: Readonly<Record<string, number>>,
  nodes: Readonly<Record<string, number>>,
): string | undefined {
  for (const [datacenter, wanted] of Object.entries(copies)) {
    const found = nodes[datacenter] ?? 0
    if (found < wanted)
      return `${wanted} copies in data centre "${datacenter}", which has ${found} node${found === 1 ? '' : 's'}`
  }
  return undefined
}

export function wantedReplication(options: CassandraOptions): Readonly<Record<string, number>> {
  return options.replication ?? { [options.datacenter]: 1 }
}

export function createKeyspace(options: CassandraOptions): string {
  const copies = Object.entries(wantedReplication(options)).map(
    ([name, n]) => `${quoteText(name)}: ${n}`,
  )
  const parts = ["'class': 'NetworkTopologyStrategy'", ...copies]
  return `CREATE KEYSPACE IF NOT EXISTS ${quote(options.keyspace)} WITH replication = {${parts.join(', ')}}`
}

export async function columnsOf(client: Client, keyspace: string): Promise<StoredColumn[]> {
  const query =
    'SELECT table_name, column_name, type, kind, position, clustering_order FROM system_schema.columns WHERE keyspace_name = ?'
  const result = await client.execute(query, [keyspace], { prepare: true, fetchSize: 10_000 })
  return result.rows as unknown as StoredColumn[]
}
