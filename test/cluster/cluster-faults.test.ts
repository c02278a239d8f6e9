// Rolling faults, the short form: one node of each server, one fault of each kind, while records flow
// and clients commit. `npm run faults` is the long one.
//
// VARVE_TEST_SEED: what happens when and to whom, printed with the result.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TOPICS } from '../../src/bus/bus.ts'
import { deleteTopic, dropReplies, killOf, nodeKill, nodePause, stopOf } from '../faults/faults.ts'
import type { Fault } from '../faults/faults.ts'
import { runScenario } from '../faults/scenario.ts'
import { FaultServers } from '../faults/servers.ts'
import { cassandraAvailable } from '../services/cassandra.ts'
import { kafkaAvailable } from '../services/kafka.ts'
import { createBucket, s3Available } from '../services/s3.ts'
import { Cluster, removeLogs } from './cluster.ts'
import type { Role } from './cluster.ts'
import type { RoleProcess } from './role-process.ts'

const RECORDS = 30_000
const DRAIN_MS = 180_000

describe.skipIf(!kafkaAvailable || !cassandraAvailable || !s3Available)('rolling faults', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varve-faults-'))
  const name = `faults_${process.pid}`
  const seed = Number(process.env['VARVE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  let servers: FaultServers
  let cluster: Cluster

  beforeAll(async () => {
    servers = await FaultServers.start(1)
    const [kafka, s3, cassandra] = [
      servers.kafka.address,
      servers.s3.address,
      servers.cassandraThroughProxy,
    ]
    await createBucket(s3, name.replaceAll('_', '-'))
    const roles = { events: 1 }
    cluster = await Cluster.start({ kafka, cassandra, s3, name, replication: 1, folder, roles })
  })

  afterAll(async () => {
    await cluster?.kill()
    await servers?.stop()
    removeLogs(folder)
  })

  test('whatever is killed, stopped, lost or deleted: nothing acknowledged is lost, nothing is done twice', async () => {
    const one = (role: Role | 'work'): RoleProcess => cluster.of(role)[0] as RoleProcess
    const short = { from: 1_000, to: 6_000 }
    const quick = (fault: Fault): Fault => ({ ...fault, holdMs: short })
    const [broker, node] = [servers.brokers()[0], servers.cassandraNodes()[0]]
    if (!broker || !node) throw new Error('no servers of our own')
    const faults: Fault[] = [
      ...(['api', 'log', 'scheduler', 'spouts', 'egress', 'work'] as const).map((role) =>
        killOf(one(role)),
      ),
      ...(['api', 'log', 'egress'] as const).map((role) => stopOf(one(role), short)),
      nodeKill(broker),
      nodeKill(node),
      quick(nodePause(servers.store())),
      dropReplies(servers.proxies[0] as never, 'Cassandra replies'),
      deleteTopic(servers.kafka.address, TOPICS.proposals.replace('varve', name)),
      deleteTopic(servers.kafka.address, TOPICS.log.replace('varve', name)),
    ]
    console.log(`rolling faults: VARVE_TEST_SEED=${seed}`)
    const outcome = await runScenario({
      seed,
      cluster,
      feed: {
        kafka: servers.kafka.address,
        from: 'feed',
        to: 'results',
        records: RECORDS,
        replication: 1,
      },
      feedPauseMs: 1_500,
      commitRecords: 1_000,
      clients: 4,
      thinkMs: 150,
      faults,
      strikes: faults.length,
      restMs: { from: 200, to: 1_000 },
      folder,
      cassandra: servers.cassandraThroughProxy,
      drainMs: DRAIN_MS,
      say: (text) => console.log(text),
    }).catch((error: Error) => {
      throw new Error(`${error.message}\n${cluster.tails()}`)
    })
    console.log(
      `rolling faults: ${faults.length} landed (${[...outcome.landed].map(([what, n]) => `${what} ${n}`).join(', ')}), ` +
        `${outcome.ops} requests, ${outcome.accepted} commits, ` +
        `at work again within ${outcome.slowestMs} ms, ready after ${outcome.readyMs} ms, drained after ${outcome.drainedMs} ms, ` +
        JSON.stringify(outcome.verdict),
    )
    for (const end of outcome.ends) console.log(end)
    expect(outcome.wrong).toEqual([])
    expect([...outcome.landed.values()].reduce((a, b) => a + b, 0)).toBeGreaterThanOrEqual(8)
    expect(outcome.accepted).toBeGreaterThan(50)
  })
})
