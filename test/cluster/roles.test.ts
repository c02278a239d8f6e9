// The roles of a cluster in this process, over the real Kafka, Cassandra and S3.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Client } from '../../src/client/client.ts'
import { parseOptions } from '../../src/config/parse.ts'
import { openCluster } from '../../src/main/cluster.ts'
import type { Cluster } from '../../src/main/cluster.ts'
import { StartFailed } from '../../src/main/dependencies.ts'
import type { ServeOptions } from '../../src/main/dependencies.ts'
import { examine } from '../../src/main/examine.ts'
import { cassandraAvailable } from '../services/cassandra.ts'
import { kafkaAvailable } from '../services/kafka.ts'
import { TcpProxy } from '../services/proxy.ts'
import { createBucket, s3Available } from '../services/s3.ts'
import { shared } from '../services/shared.ts'
import { clusterEnv } from './cluster.ts'

const TOKEN = 'token-of-the-roles'
const NAME = `roles${process.pid}x${Date.now() % 100_000}`
let env: Record<string, string>
let folder: string

function options(flags: Readonly<Record<string, string>>): ServeOptions {
  return parseOptions('serve', { ...env, VARVE_PORT: '0' }, flags)
}

const opened: Cluster[] = []
async function open(flags: Readonly<Record<string, string>>): Promise<Cluster> {
  const cluster = await openCluster(options(flags))
  opened.push(cluster)
  return cluster
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const endMs = Date.now() + 90_000; !(await holds());) {
    if (Date.now() > endMs) throw new Error(`not within 90 s: ${what}`)
    await sleep(200)
  }
}

describe.skipIf(!kafkaAvailable || !cassandraAvailable || !s3Available)('roles', () => {
  beforeAll(async () => {
    const [kafka, cassandra, s3] = await Promise.all([
      shared('kafka'),
      shared('cassandra'),
      shared('s3'),
    ])
    await createBucket(s3, NAME)
    folder = mkdtempSync(join(tmpdir(), 'varve-roles-'))
    env = {
      ...clusterEnv({ kafka, cassandra, s3, name: NAME, replication: 1 }),
      VARVE_CLUSTER_SECRET: 'a-secret-of-32-characters-or-more',
      VARVE_TOKEN: TOKEN,
      VARVE_LOG_LEVEL: 'silent',
    }
  })

  afterAll(async () => {
    await Promise.all(opened.map((one) => one.close()))
    rmSync(folder, { recursive: true, force: true })
  })

  const DEFAULT = { params: { project: 'default' } } as const

  test('API and the other roles in processes of their own: a feed becomes files, its status is told', async () => {
    const [api, rest] = await Promise.all([
      open({ roles: 'api' }),
      open({ roles: 'log,scheduler,spouts,egress,events' }),
    ])
    expect(api.workspace).toBe(rest.workspace)
    const client = new Client({ baseUrl: api.url, token: TOKEN })
    await client.call('POST /projects/:project/repos', { ...DEFAULT, body: { name: 'words' } })
    writeFileSync(join(folder, 'a.ndjson'), '{"n":1}\n')
    const applied = await fetch(`${api.url}/api/v1/projects/default/apply`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/yaml' },
      body: `spout: {name: feed}\nsource:\n  file: {path: ${folder}}\ntarget: words@master\ncommit: {records: 1}\n`,
    })
    expect(await applied.text()).toContain('feed')
    expect(applied.status).toBe(200)
    const spout = { params: { project: 'default', spout: 'feed' } } as const
    await until('the spout reports a commit through the other process', async () => {
      const { live } = await client.call('GET /projects/:project/spouts/:spout', spout)
      return live?.state === 'running' && live.lastCommitId !== null
    })

    // The schemas of the public events stand beside the API, under this installation's topic.
    const subjects = (await (await fetch(`${api.url}/registry/subjects`)).json()) as string[]
    expect(subjects).toContain(`${NAME}.events.v1-dev.varve.commit.v1.CommitFinished`)
    const ready = await fetch(`${rest.url}/readyz`)
    expect(ready.status).toBe(200)
    const headers = { authorization: `Bearer ${TOKEN}` }
    const metrics = await (await fetch(`${rest.url}/metrics`, { headers })).text()
    expect(metrics).toMatch(/varve_process_info\{[^}]*roles="log,scheduler,spouts,egress,events"/)
    for (const name of ['Kafka', 'Cassandra', 'the blob store'])
      expect(metrics).toContain(`varve_dependency_up{dependency="${name}"} 1`)
    expect(metrics).toMatch(/varve_leases_held [1-9]/)

    // Its host drains: the leases are given up and another process has the spout at once.
    const other = await open({ roles: 'log,spouts' })
    await rest.drain()
    writeFileSync(join(folder, 'b.ndjson'), '{"n":2}\n')
    await until('the other process commits what came since', async () => {
      const files = await client.call('GET /projects/:project/repos/:repo/commits', {
        params: { project: 'default', repo: 'words' },
      })
      return files.items.filter(({ state }) => state === 'finished').length === 2
    })
    await Promise.all([api.drain(), other.drain()])
  })

  test('the store goes away: not ready, alive, new work refused with the cause; it comes back by itself', async () => {
    const way = await TcpProxy.start(new URL(env['VARVE_S3_ENDPOINT'] as string).host)
    const cluster = await open({ roles: 'api,log', s3Endpoint: `http://${way.address}` })
    const client = new Client({ baseUrl: cluster.url, token: TOKEN })
    const ask = async (path: string, init: RequestInit = {}): Promise<Response> =>
      fetch(cluster.url + path, { ...init, headers: { authorization: `Bearer ${TOKEN}` } })
    const put = (text: string): Promise<Response> =>
      ask('/api/v1/projects/default/repos/words/branches/other/file?path=/x', {
        method: 'PUT',
        body: text,
      })
    expect((await put('before')).status).toBe(200)

    way.reset({ alsoNew: true })
    await until('it is not ready', async () => (await ask('/readyz')).status === 503)
    expect((await ask('/livez')).status).toBe(200)
    const refused = await put('during')
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).not.toBeNull()
    expect(await refused.text()).toContain('the blob store has not answered')
    // Rows do not need the store.
    const { items } = await client.call('GET /projects/:project/repos', DEFAULT)
    expect(items.map(({ name }) => name)).toContain('words')

    await way.heal()
    await until('it is ready again', async () => (await ask('/readyz')).status === 200)
    expect((await put('after')).status).toBe(200)
    await cluster.close()
    await way.stop()
  })

  test('a start that needs an operator ends at once, and the examination names the remedy', async () => {
    // Nobody listens at the brokers: without the bucket's fault it would wait for them.
    const wrong = options({ s3Bucket: `${NAME}-absent`, kafka: '127.0.0.1:1' })
    const said: string[] = []
    const failure = await openCluster(wrong, { say: (line) => said.push(line) }).then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(failure).toBeInstanceOf(StartFailed)
    expect(failure).toMatchObject({ code: 'MISCONFIGURED', because: ['blob'] })
    expect(said.join()).not.toContain('the blob store')
    const checks = await Array.fromAsync(examine(wrong, ['blob']))
    const failed = checks.filter(({ state }) => state === 'failed')
    expect(failed).toHaveLength(1)
    expect(failed[0]?.remedy).toContain(`${NAME}-absent`)
  })

  test('what may pass is waited for, as long as patience lasts', async () => {
    const said: string[] = []
    const early = options({ kafka: '127.0.0.1:1', startPatienceSeconds: '1' })
    await expect(openCluster(early, { say: (line) => said.push(line) })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      because: ['bus'],
    })
    expect(said.join()).toContain('waiting for Kafka')
  })
})
