// `npm run faults`: rolling faults, the long form. Three brokers, three Cassandra nodes, two of every
// role; everything is killed, stopped and drained in turn while records flow and clients commit.
//
//   npm run faults -- [--strikes 40] [--records 100000] [--seed N] [--nodes 1|3] [--keep]

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Cluster } from '../cluster/cluster.ts'
import { createBucket } from '../services/s3.ts'
import { runScenario } from './scenario.ts'
import { FaultServers, allFaults } from './servers.ts'

const MINIMUM = 30

const { values } = parseArgs({
  options: {
    strikes: { type: 'string', default: '40' },
    records: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    nodes: { type: 'string', default: '3' },
    clients: { type: 'string', default: '6' },
    keep: { type: 'boolean', default: false },
  },
})
const nodes = values.nodes === '1' ? 1 : 3
const seed = Number(values.seed)
const strikes = Number(values.strikes)
const folder = mkdtempSync(join(tmpdir(), 'varve-faults-'))
mkdirSync(join(folder, 'logs'))
const say = (text: string): void => console.log(text)
say(`seed ${seed}; journal and logs in ${folder}`)

// Whatever was started goes with us: their own hooks at our exit end them.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

let failed = true
await using opened = new AsyncDisposableStack()
opened.defer(() => {
  if (!values.keep && !failed) rmSync(folder, { recursive: true, force: true })
})
say(`starting ${nodes} broker(s), ${nodes} Cassandra node(s) and a store …`)
const servers = await FaultServers.start(nodes)
opened.defer(() => servers.stop())
const name = `faults_${process.pid}`
await createBucket(servers.s3.address, name.replaceAll('_', '-'))
say('starting two of every role …')
const cluster = await Cluster.start({
  kafka: servers.kafka.address,
  cassandra: servers.cassandraThroughProxy,
  s3: servers.s3.address,
  name,
  replication: nodes,
  folder: join(folder, 'logs'),
})
opened.defer(() => cluster.kill())

const records = Number(values.records)
const outcome = await runScenario({
  seed,
  cluster,
  feed: {
    kafka: servers.kafka.address,
    from: 'feed',
    to: 'results',
    records,
    replication: nodes,
  },
  // The feed outlasts the faults: about nine seconds for each.
  feedPauseMs: Math.round((strikes * 9_000) / (records / 1_000)),
  commitRecords: 2_000,
  clients: Number(values.clients),
  thinkMs: 300,
  faults: allFaults(cluster, servers),
  strikes,
  restMs: { from: 500, to: 3_000 },
  folder,
  cassandra: servers.cassandraThroughProxy,
  drainMs: 600_000,
  say,
})

const landed = [...outcome.landed.values()].reduce((a, b) => a + b, 0)
for (const end of outcome.ends) say(end)
for (const what of outcome.wrong) say(`WRONG: ${what}`)
say(
  `${landed} faults landed (${[...outcome.landed].map(([what, n]) => `${what} ${n}`).join(', ')}); ` +
    `${outcome.ops} requests, ${outcome.accepted} commits; ${JSON.stringify(outcome.verdict)}; ` +
    `at work again within ${outcome.slowestMs} ms, ready after ${outcome.readyMs} ms, drained after ${outcome.drainedMs} ms`,
)
if (landed < Math.min(strikes, MINIMUM)) say(`INVALID: only ${landed} faults landed`)
failed = outcome.wrong.length > 0 || landed < Math.min(strikes, MINIMUM)
say(failed ? `failed; seed ${seed}, kept: ${folder}` : 'nothing wrong')
process.exitCode = failed ? 1 : 0
