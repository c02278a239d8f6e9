// `npm run cluster`: a whole cluster on this machine, to try the product as it runs in production. Real
// Kafka, Cassandra, S3 and a schema registry, one node each; every role a process of its own, two of
// most; two workers. Ctrl-C stops all of it, in order, and removes its data.
//
//   npm run cluster -- [--port 7070]

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Cluster } from '../test/cluster/cluster.ts'
import { CassandraServer, cassandraAvailable } from '../test/services/cassandra.ts'
import { KafkaServer, kafkaAvailable } from '../test/services/kafka.ts'
import { RegistryServer, registryAvailable } from '../test/services/registry.ts'
import { S3Server, createBucket, s3Available } from '../test/services/s3.ts'

/** Servers that are given (VARVE_TEST_KAFKA, …) may serve others too. */
const NAME = process.env['VARVE_TEST_KAFKA'] === undefined ? 'varve' : `varve_${process.pid}`
const { values } = parseArgs({ options: { port: { type: 'string', default: '7070' } } })

if (!kafkaAvailable || !cassandraAvailable || !s3Available) {
  console.error('a cluster on one machine needs Java 17, Maven and Go (see docs/cluster.md)')
  process.exit(1)
}

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    // The second one means it.
    if (interrupted.signal.aborted) process.exit(130)
    interrupted.abort()
    console.error('\nstopping …')
  })

const folder = mkdtempSync(join(tmpdir(), 'varve-cluster-'))
await using opened = new AsyncDisposableStack()
opened.defer(() => rmSync(folder, { recursive: true, force: true }))

/** Starts one, says how long it took, and stops it at the end. */
async function started<S extends { stop(): Promise<void> }>(
  what: string,
  start: () => Promise<S>,
): Promise<S> {
  const beganMs = performance.now()
  const server = await start()
  opened.defer(() => server.stop())
  console.log(
    `  ${what.padEnd(16)}ready after ${((performance.now() - beganMs) / 1000).toFixed(1)} s`,
  )
  interrupted.signal.throwIfAborted()
  return server
}

try {
  console.log('\nthe first start fetches and builds the servers, once: about five minutes\n')
  // Side by side: each of them mostly waits for its own start.
  const [kafka, cassandra, s3, registry] = await Promise.all([
    started('Kafka', () => KafkaServer.start()),
    started('Cassandra', () => CassandraServer.start()),
    started('S3', () => S3Server.start()),
    registryAvailable ? started('schema registry', () => RegistryServer.start()) : undefined,
  ])
  await createBucket(s3.address, NAME.replaceAll('_', '-'))
  const cluster = await started('Varve', () =>
    Cluster.start({
      kafka: kafka.address,
      cassandra: cassandra.address,
      s3: s3.address,
      ...(registry ? { registry: registry.address } : {}),
      name: NAME,
      replication: 1,
      folder: join(folder, 'logs'),
      port: Number(values.port),
    }),
  )
  console.log(greeting(cluster, { kafka, cassandra, s3, registry }))
  await new Promise((resolve) => interrupted.signal.addEventListener('abort', resolve))
} catch (error) {
  if (!interrupted.signal.aborted) throw error
}

function greeting(
  cluster: Cluster,
  servers: Readonly<Record<string, { address: string } | undefined>>,
): string {
  const rows: [string, string][] = [
    ['page', `${cluster.url}/?token=${cluster.token}`],
    ['API', `${cluster.url}/api/v1/openapi.json`],
    ['token', cluster.token],
    ['logs', `${join(folder, 'logs')}/*.log`],
    ...Object.entries(servers).map(([name, server]): [string, string] => [
      name,
      server?.address ?? 'not started: it needs tar',
    ]),
    ['processes', cluster.members.map(({ name, pid }) => `${name} ${pid}`).join(', ')],
  ]
  const log = cluster.of('log')[0]
  const tries = [
    `export VARVE_SERVER=${cluster.url} VARVE_TOKEN=${cluster.token}`,
    'npx varve repo create words',
    "printf 'stream\\nlayer\\n' | npx varve file put words@master:/monday.txt -f -",
    `kill -9 ${log?.pid}    # a log writer: the other one takes over, this one is started again`,
    'npx varve commit list words',
  ]
  const table = rows.map(([name, value]) => `  ${name.padEnd(11)}${value}`).join('\n')
  return `\n${table}\n\n  local, not for production; its data go when it stops\n\n  try\n${tries.map((one) => `    ${one}`).join('\n')}\n`
}
