// What a start and `varve doctor` say about a Cassandra that cannot be used, each on a real one.

import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { Client } from 'cassandra-driver'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Check } from '../../src/base/check.ts'
import type { Clock } from '../../src/base/clock.ts'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { checkCassandra } from '../../src/tables/adapters/cassandra/check.ts'
import type { CassandraOptions } from '../../src/tables/adapters/cassandra/connect.ts'
import { makeClient } from '../../src/tables/adapters/cassandra/connect.ts'
import { migrate } from '../../src/tables/adapters/cassandra/migrate.ts'
import type { KnownSchema } from '../../src/tables/adapters/cassandra/schema-version.ts'
import { SCHEMA } from '../../src/tables/adapters/cassandra/schema-version.ts'
import type { ErrorCode } from '../../src/base/errors.ts'
import { CassandraTables } from '../../src/tables/adapters/cassandra/tables.ts'
import { defineTable } from '../../src/tables/schema.ts'
import { FACTS, GUARDED } from '../contract/tables.ts'
import { cli } from '../e2e/product.ts'
import { CassandraServer, cassandraAvailable } from '../services/cassandra.ts'
import { freePort } from '../services/process.ts'
import { shared } from '../services/shared.ts'

const fresh = (): string => `check_${randomBytes(4).toString('hex')}`

async function failures(options: CassandraOptions, clock: Clock = systemClock): Promise<Check[]> {
  const found: Check[] = []
  for await (const check of checkCassandra(options, clock)) {
    expect(check.state === 'ok' || check.remedy !== undefined, check.what).toBe(true)
    if (check.state !== 'ok') found.push(check)
  }
  return found
}

describe.runIf(cassandraAvailable)('the shared server', () => {
  let base: CassandraOptions
  beforeAll(async () => {
    base = {
      contactPoints: [await shared('cassandra')],
      datacenter: 'datacenter1',
      keyspace: fresh(),
      timeouts: { readMs: 3_000 },
    }
  })

  test('all is well after an open, and again', async () => {
    await (await CassandraTables.open(base, [FACTS])).close()
    expect(await failures(base)).toEqual([])
    // A table and a column more: added to what is there.
    const more = defineTable({ ...FACTS, columns: { ...FACTS.columns, more: 'int' } })
    const tables = await CassandraTables.open(base, [more, GUARDED])
    await tables.put(more, [{ p: 'p', a: 1, b: '', more: 2 }], 1)
    expect(await tables.get(more, { p: 'p', a: 1, b: '' })).toMatchObject({ more: 2 })
    await tables.close()
    // One column less: it stays for those who know it.
    await (await CassandraTables.open(base, [FACTS])).close()
    const other = defineTable({ ...FACTS, columns: { ...FACTS.columns, value: 'int' } })
    await expect(CassandraTables.open(base, [other])).rejects.toThrow(
      'its column "value" is text, not bigint',
    )
  })

  test('several processes begin at once', async () => {
    const options = { ...base, keyspace: fresh() }
    const all = await Promise.all(
      Array.from({ length: 3 }, () => CassandraTables.open(options, [FACTS, GUARDED])),
    )
    for (const [a, tables] of all.entries()) await tables.put(FACTS, [{ p: 'p', a, b: '' }], 1)
    const found: number[] = []
    for await (const row of all[0]?.scan(FACTS, { p: 'p' }) ?? []) found.push(row.a)
    expect(found).toEqual([0, 1, 2])
    await Promise.all(all.map((tables) => tables.close()))
  })

  test.each<[string, () => Promise<Partial<CassandraOptions>>, RegExp, RegExp, ErrorCode]>([
    [
      'a port nobody listens on',
      async () => ({ contactPoints: [`127.0.0.1:${await freePort()}`] }),
      /nothing listens there/,
      /VARVE_CASSANDRA/,
      'UNAVAILABLE',
    ],
    [
      'a name nobody knows',
      () => Promise.resolve({ contactPoints: ['nobody.invalid:9042'] }),
      /resolve/,
      /VARVE_CASSANDRA/,
      'UNAVAILABLE',
    ],
    [
      'another data centre',
      () => Promise.resolve({ datacenter: 'elsewhere' }),
      /there is: datacenter1/,
      /VARVE_CASSANDRA_DATACENTER/,
      'MISCONFIGURED',
    ],
    [
      'more copies than nodes',
      () => Promise.resolve({ keyspace: fresh(), replication: { datacenter1: 3 } }),
      /3 copies in data centre "datacenter1", which has 1 node/,
      /VARVE_REPLICATION/,
      'MISCONFIGURED',
    ],
  ])('%s', async (_, change, found, remedy, code) => {
    const options = { ...base, ...(await change()) }
    const [failure] = await failures(options)
    expect(failure).toMatchObject({ state: 'failed' })
    expect(failure?.found).toMatch(found)
    expect(failure?.remedy).toMatch(remedy)
    await expect(CassandraTables.open(options, [FACTS])).rejects.toMatchObject({ code })
  })

  test('a port of something else', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1')
    await new Promise((resolve) => silent.once('listening', resolve))
    const { port } = silent.address() as AddressInfo
    const options = { ...base, contactPoints: [`127.0.0.1:${port}`], timeouts: { readMs: 500 } }
    const [failure] = await failures(options)
    expect(failure?.remedy).toMatch(/native_transport_port/)
    silent.close()
  })

  test('a keyspace that is not there yet is no failure', async () => {
    const found = await failures({ ...base, keyspace: fresh() })
    expect(found.map(({ state }) => state)).toEqual(['warning'])
    expect(found[0]?.remedy).toMatch(/CREATE KEYSPACE/)
  })

  test('clocks minutes apart', async () => {
    for (const offMs of [-180_000, 180_000]) {
      const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + offMs }
      const [failure] = await failures(base, clock)
      expect(failure?.found).toMatch(
        offMs < 0 ? /180 s ahead|179 s ahead/ : /180 s behind|179 s behind/,
      )
    }
  })

  test('a schema that is newer, and one that is older', async () => {
    const options = { ...base, keyspace: fresh() }
    const tables = await CassandraTables.open(options, [FACTS])
    const client = await makeClient(options)
    await client.connect()
    const newer = { version: SCHEMA.version + 1, minCompatible: SCHEMA.version }
    const change = (known: KnownSchema): Promise<void> =>
      migrate({
        client,
        tables,
        options,
        specs: [FACTS],
        clock: systemClock,
        random: systemRandom,
        known,
      })
    // Newer, and still understood.
    await change(newer)
    expect(await failures(options)).toEqual([])
    await (await CassandraTables.open(options, [FACTS])).close()
    await change({ version: SCHEMA.version + 2, minCompatible: SCHEMA.version + 2 })
    const [failure] = await failures(options)
    expect(failure?.found).toMatch(/needs a program that knows version/)
    await expect(CassandraTables.open(options, [FACTS])).rejects.toThrow('run a newer program')
    // Older: told, and changed at the next start.
    await client.execute(
      `UPDATE "${options.keyspace}".schema_version SET version = 0, min_compatible = 0 WHERE name = 'schema' IF EXISTS`,
    )
    const [older] = await failures(options)
    expect(older).toMatchObject({ state: 'warning' })
    await (await CassandraTables.open(options, [FACTS])).close()
    expect(await failures(options)).toEqual([])
    await client.shutdown()
    await tables.close()
  })
})

describe.runIf(cassandraAvailable)('a server with passwords and Paxos v1', () => {
  let server: CassandraServer
  let base: CassandraOptions
  let keeper: Client
  beforeAll(async () => {
    server = await CassandraServer.start({ password: true, paxos: 'v1' })
    base = { contactPoints: server.contactPoints, datacenter: 'datacenter1', keyspace: 'guarded' }
    keeper = await makeClient({ ...base, username: 'cassandra', password: 'cassandra' })
    // The first role is made after the port is open.
    for (;;) {
      const done = await keeper.connect().then(
        () => true,
        () => false,
      )
      if (done) break
      await systemClock.sleep(200)
    }
    await keeper.execute(`CREATE ROLE poor WITH PASSWORD = 'poor' AND LOGIN = true`)
  })
  afterAll(async () => {
    await keeper?.shutdown()
    await server?.stop()
  })

  test('who is not let in hears why', async () => {
    const [nobody] = await failures(base)
    expect(nobody?.remedy).toMatch(/VARVE_CASSANDRA_USERNAME/)
    const [wrong] = await failures({ ...base, username: 'poor', password: 'rich' })
    expect(wrong?.found).toMatch(/does not let us in/)
    expect(wrong?.remedy).toMatch(/"poor"/)
    await expect(
      CassandraTables.open({ ...base, username: 'poor', password: 'rich' }, [FACTS]),
    ).rejects.toMatchObject({ code: 'MISCONFIGURED' })

    // As an operator sees it; the rest of the cluster is of no interest here.
    const ran = await cli(['doctor', '--server'], {
      env: {
        VARVE_CASSANDRA: server.address,
        VARVE_CASSANDRA_USERNAME: 'poor',
        VARVE_CASSANDRA_PASSWORD: 'rich-and-secret',
        VARVE_KAFKA: '127.0.0.1:1',
        VARVE_S3_ENDPOINT: 'http://127.0.0.1:9',
        VARVE_S3_BUCKET: 'none',
        VARVE_TOKEN: 'token',
        VARVE_CLUSTER_SECRET: 'a-secret-of-32-characters-or-more',
      },
    })
    expect(ran.code).toBe(5)
    expect(ran.stdout).toMatch(
      /✗ failed {3}Cassandra at .*\s+it does not let us in[^✓✗]*try: .*"poor"/u,
    )
    expect(ran.stdout + ran.stderr).not.toContain('rich-and-secret')
  })

  test('Paxos v1 is refused with the remedy', async () => {
    const options = { ...base, username: 'cassandra', password: 'cassandra' }
    const found = await failures(options)
    expect(found.find(({ what }) => what === 'paxos_variant')).toMatchObject({ state: 'failed' })
    await expect(CassandraTables.open(options, [FACTS])).rejects.toThrow('set paxos_variant: v2')
  })

  test('each permission that is missing is named with its GRANT', async () => {
    const options = { ...base, username: 'poor', password: 'poor' }
    const missing = async (): Promise<string[]> =>
      (await failures(options)).map(({ remedy = '' }) => remedy)
    expect(await missing()).toContainEqual(
      expect.stringMatching(/have it created: CREATE KEYSPACE/),
    )
    await expect(CassandraTables.open(options, [FACTS])).rejects.toThrow(/CREATE KEYSPACE/)
    await keeper.execute(
      `CREATE KEYSPACE guarded WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}`,
    )
    await keeper.execute(
      'CREATE TABLE guarded.schema_version (name text PRIMARY KEY, version bigint, min_compatible bigint, owner text, step bigint, write_id text)',
    )
    await keeper.execute(`INSERT INTO guarded.schema_version (name, version) VALUES ('schema', 1)`)
    expect(await missing()).toContain('GRANT SELECT ON KEYSPACE "guarded" TO "poor"')
    await keeper.execute('GRANT SELECT ON KEYSPACE guarded TO poor')
    // Permissions are cached for two seconds.
    const grants = ['MODIFY', 'CREATE', 'ALTER'].map(
      (p) => `GRANT ${p} ON KEYSPACE "guarded" TO "poor"`,
    )
    await expect.poll(missing, { timeout: 20_000 }).toEqual(expect.arrayContaining(grants))
    for (const grant of grants) await keeper.execute(grant)
    const left = async (): Promise<string[]> =>
      (await missing()).filter((remedy) => remedy.includes('"guarded"'))
    await expect.poll(left, { timeout: 20_000 }).toEqual([])
  })
})
