// Servers that the files of one test run share: the first file that needs one starts it, the end of
// the run stops it. Each file keeps to a keyspace, topic prefix or bucket of its own, and never kills
// them: who kills starts a server of its own.
//
// Files run in processes of their own, so the servers are children of the run's main process, which
// answers on a loopback port (`setup`, vitest's globalSetup). Without it (benchmarks) they are
// children of the caller.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Running {
  readonly address: string
  stop(): Promise<void>
}

const SERVERS = {
  kafka: async () => (await import('./kafka.ts')).KafkaServer.start(),
  cassandra: async () => (await import('./cassandra.ts')).CassandraServer.start(),
  s3: async () => (await import('./s3.ts')).S3Server.start(),
  registry: async () => (await import('./registry.ts')).RegistryServer.start(),
} satisfies Record<string, () => Promise<Running>>

export type SharedServer = keyof typeof SERVERS

const VARIABLE = 'VARVE_TEST_SERVERS'
const running = new Map<SharedServer, Promise<Running>>()

/** The address of a shared server; the first call in a run takes as long as a start. */
export async function shared(name: SharedServer): Promise<string> {
  const broker = process.env[VARIABLE]
  if (broker === undefined) return (await start(name)).address
  const answer = await fetch(`${broker}/${name}`)
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return text
}

/** Stops what `shared` started in this process. */
export async function stopShared(): Promise<void> {
  const all = [...running.values()]
  running.clear()
  await Promise.allSettled(all.map(async (one) => (await one).stop()))
}

function start(name: SharedServer): Promise<Running> {
  const known = running.get(name)
  if (known) return known
  const starting = SERVERS[name]()
  running.set(name, starting)
  return starting
}

/** vitest's globalSetup. */
export async function setup(): Promise<() => Promise<void>> {
  const server = createServer((request, response) => {
    start((request.url ?? '/').slice(1) as SharedServer).then(
      ({ address }) => response.end(address),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.env[VARIABLE] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return async () => {
    server.close()
    await stopShared()
  }
}
