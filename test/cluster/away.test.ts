// Kafka, Cassandra and the store go away, one after the other, while somebody writes: who watches is
// told, who writes is turned away at the door, and when it is back everything goes on by itself.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Client } from '../../src/client/client.ts'
import { CassandraServer, cassandraAvailable } from '../services/cassandra.ts'
import { KafkaServer, kafkaAvailable } from '../services/kafka.ts'
import { freePort } from '../services/process.ts'
import { S3Server, s3Available } from '../services/s3.ts'
import { clusterEnv, removeLogs } from './cluster.ts'
import { RoleProcess } from './role-process.ts'

const NAME = `away_${process.pid}`
const TOKEN = 'token-of-those-who-stay'
const AWAY_MS = 12_000
const READY_MS = 120_000
const WRITERS = 3
const THINK_MS = 300
const PATIENCE_MS = 45_000

interface Put {
  readonly path: string
  /** Undefined: no answer. */
  readonly status: number | undefined
  readonly text: string
  readonly retryAfter: string | null
}

describe.skipIf(!kafkaAvailable || !cassandraAvailable || !s3Available)('away', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varve-away-'))
  const puts: Put[] = []
  let kafka: KafkaServer
  let cassandra: CassandraServer
  let s3: S3Server
  let server: RoleProcess
  let worker: RoleProcess
  let client: Client
  let url: string
  let writes = true
  let writing: Promise<unknown> | undefined

  const tails = (): string => [server, worker].map((one) => one?.tail()).join('\n')

  async function put(path: string): Promise<Put> {
    const at = `${url}/api/v1/projects/default/repos/words/branches/master/file?path=/${path}`
    const headers = { authorization: `Bearer ${TOKEN}` }
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const done: Put = await fetch(at, { method: 'PUT', body: `of ${path}`, headers, signal }).then(
      async (answer) => ({
        path,
        status: answer.status,
        text: await answer.text(),
        retryAfter: answer.headers.get('retry-after'),
      }),
      (error: unknown) => ({ path, status: undefined, text: String(error), retryAfter: null }),
    )
    puts.push(done)
    return done
  }

  async function until(what: string, limitMs: number, holds: () => Promise<boolean>) {
    const beganMs = performance.now()
    while (!(await holds())) {
      if (performance.now() - beganMs > limitMs)
        throw new Error(`not within ${limitMs / 1000} s: ${what}\n${tails()}`)
      await sleep(200)
    }
    return Math.round(performance.now() - beganMs)
  }

  beforeAll(async () => {
    ;[kafka, cassandra, s3] = await Promise.all([
      KafkaServer.own(),
      // An option makes it ours, to be stopped.
      CassandraServer.start({ nodes: 1 }),
      S3Server.own(),
    ])
    const bucket = NAME.replaceAll('_', '-')
    await s3.createBucket(bucket)
    url = `http://127.0.0.1:${await freePort()}`
    const env = clusterEnv({
      kafka: kafka.address,
      cassandra: cassandra.address,
      s3: s3.address,
      name: NAME,
      replication: 1,
    })
    server = new RoleProcess({
      name: 'all',
      args: ['serve', '--port', new URL(url).port],
      env: {
        ...env,
        VARVE_TOKEN: TOKEN,
        VARVE_CLUSTER_SECRET: 'a-secret-of-32-characters-or-more',
      },
      logFile: join(folder, 'all.log'),
      url,
    })
    server.start()
    await server.ready(READY_MS)
    client = new Client({ baseUrl: url, token: TOKEN })
    const { token } = await client.call('POST /worker-tokens', { body: {} })
    worker = new RoleProcess({
      name: 'work',
      args: ['work', '--server', url, '--scratch', folder],
      env: { VARVE_WORKER_TOKEN: token, VARVE_WORKERS: '1' },
      logFile: join(folder, 'work.log'),
      url: undefined,
    })
    worker.start()
    const params = { project: 'default' }
    await client.call('POST /projects/:project/repos', { params, body: { name: 'words' } })
    await client.call('POST /projects/:project/apply', {
      params,
      body: JSON.stringify({
        pipeline: { name: 'loud' },
        input: { pfs: { repo: 'words', glob: '/*' } },
        transform: {
          cmd: ['/bin/sh'],
          stdin: [
            'cd "${PFS_ROOT:-/pfs}/words" && for f in *; do tr a-z A-Z < $f > ../out/$f; done',
          ],
        },
      }),
    })
    // Several: one whose answer is not known yet holds up the others of its own only.
    const write = async (writer: number): Promise<void> => {
      for (let n = 0; writes; n++) {
        await put(`w${writer}-${n}`)
        await sleep(THINK_MS)
      }
    }
    writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)))
  })

  afterAll(async () => {
    writes = false
    await writing
    await worker?.kill()
    await server?.kill()
    await Promise.all([kafka?.stop(), cassandra?.stop(), s3?.stop()])
    removeLogs(folder)
  })

  interface Way {
    readonly name: string
    readonly leave: () => Promise<void>
    readonly comeBack: () => Promise<void>
  }
  const pausing = (name: string, which: () => KafkaServer | CassandraServer): Way => ({
    name,
    leave: () => Promise.resolve(which().pause()),
    comeBack: () => Promise.resolve(which().resume()),
  })

  test.each<Way>([
    pausing('Kafka', () => kafka),
    pausing('Cassandra', () => cassandra),
    { name: 'the blob store', leave: () => s3.kill(), comeBack: () => s3.restart() },
  ])('$name goes away and comes back', async ({ name, leave, comeBack }) => {
    const slug = name.replaceAll(' ', '-')
    expect((await put(`before-${slug}`)).status).toBe(200)
    await leave()
    const leftMs = performance.now()
    let isAway = true
    try {
      let body = ''
      const noticedMs = await until(`/readyz names ${name}`, 40_000, async () => {
        const answer = await fetch(`${url}/readyz`)
        body = await answer.text()
        return answer.status === 503
      })
      expect(body).toContain(`${name} has not answered for`)
      expect((await fetch(`${url}/livez`)).status).toBe(200)
      for (const n of [1, 2, 3]) {
        const refused = await put(`refused-${slug}-${n}`)
        expect(refused).toMatchObject({
          status: 503,
          retryAfter: expect.stringMatching(/^[1-9]\d*$/),
          text: expect.stringContaining(`${name} has not answered for`),
        })
        expect(JSON.parse(refused.text)).toMatchObject({
          code: 'UNAVAILABLE',
          remedy: expect.stringMatching(/./),
        })
      }
      await sleep(Math.max(0, AWAY_MS - (performance.now() - leftMs)))
      expect((await fetch(`${url}/livez`)).status).toBe(200)
      isAway = false
      await comeBack()
      const readyMs = await until('ready again', READY_MS, () => server.isReady())
      console.log(
        `${name} away: noticed after ${noticedMs} ms, ready ${readyMs} ms after its return`,
      )
    } finally {
      if (isAway) await comeBack()
    }
    // The door opens with readiness; what was pending inside may take a moment more.
    await until(
      'writes are taken',
      READY_MS,
      async () => (await put(`after-${slug}`)).status === 200,
    )
  })

  test('Kafka is silent for a little less than its sessions last', async () => {
    expect((await put('before-silence')).status).toBe(200)
    kafka.pause()
    try {
      await sleep(9_000)
    } finally {
      kafka.resume()
    }
    await until(
      'writes are taken',
      READY_MS,
      async () => (await put('after-silence')).status === 200,
    )
  })

  test('all that was acknowledged is there, once and whole, and the pipeline has done it', async () => {
    writes = false
    await writing
    const at = { project: 'default' }
    const files = async (repo: string): Promise<Map<string, string>> => {
      const found = new Map<string, string>()
      const rows = client.lines('GET /projects/:project/repos/:repo/commits/:ref/glob', {
        params: { ...at, repo, ref: 'master' },
        query: { pattern: '/*' },
      })
      for await (const { path } of rows) {
        const query = new URLSearchParams({ path })
        const file = `${url}/api/v1/projects/default/repos/${repo}/commits/master/file?${query}`
        const answer = await fetch(file, { headers: { authorization: `Bearer ${TOKEN}` } })
        found.set(path, await answer.text())
      }
      return found
    }
    const acknowledged = puts.filter(({ status }) => status === 200).map(({ path }) => path)
    const atTheDoor = puts.filter(({ text }) => text.includes('cannot take new work'))
    console.log(
      `${puts.length} writes: ${acknowledged.length} taken, ${atTheDoor.length} turned away`,
    )
    expect(acknowledged.length).toBeGreaterThanOrEqual(6)
    expect(atTheDoor.length).toBeGreaterThanOrEqual(9)
    for (const { path, status, text } of puts)
      expect(status === 200 || status === 503 || status === undefined, `${path}: ${text}`).toBe(
        true,
      )

    const there = await files('words')
    for (const path of acknowledged) expect(there.get(path), path).toBe(`of ${path}`)
    for (const { path } of atTheDoor)
      expect(there.has(path) && !acknowledged.includes(path), path).toBe(false)
    // Those without an answer happened or did not, as a whole.
    for (const [path, text] of there) expect(text).toBe(`of ${path}`)
    const { items } = await client.call('GET /projects/:project/repos/:repo/commits', {
      params: { ...at, repo: 'words' },
      query: { limit: 1000 },
    })
    const finished = items.filter(({ state }) => state === 'finished')
    expect(finished.length).toBeGreaterThanOrEqual(new Set(acknowledged).size)
    expect(finished.length).toBeLessThanOrEqual(puts.length - atTheDoor.length)

    let loud = new Map<string, string>()
    await until('the pipeline has drained', READY_MS, async () => {
      loud = await files('loud').catch(() => loud)
      return loud.size >= there.size
    })
    expect(loud).toEqual(new Map([...there].map(([path, text]) => [path, text.toUpperCase()])))
    expect([...server.ends, ...worker.ends]).toEqual([])
  })
})
