// A whole cluster on this machine: every role a process of its own, as many of each as asked for, and
// workers that reach it at one address.

import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from '../../src/client/client.ts'
import { ENTRY, run, ROOT } from '../e2e/product.ts'
import type { Ran } from '../e2e/product.ts'
import { freePort } from '../services/process.ts'
import { s3Keys } from '../services/s3.ts'
import { Balancer } from './balancer.ts'
import { RoleProcess } from './role-process.ts'

export const ROLES = ['api', 'log', 'scheduler', 'spouts', 'egress', 'events'] as const
export type Role = (typeof ROLES)[number]

export interface ClusterOptions {
  /** `host:port,…` */
  readonly kafka: string
  readonly cassandra: string
  readonly cassandraDatacenter?: string
  /** `http://host:port` */
  readonly s3: string
  readonly registry?: string
  /** Of keyspace, topics and bucket: nobody else's. */
  readonly name: string
  /** Copies of everything. */
  readonly replication: number
  /** Logs and scratch. */
  readonly folder: string
  /** How many of each; default two. */
  readonly roles?: Partial<Record<Role, number>>
  readonly workers?: number
  /** Of the page and the API; default any. */
  readonly port?: number
  /** Where every role listens and is reached; default loopback. */
  readonly host?: string
  /** Of the first API; default any. */
  readonly apiPort?: number
  /** Variables of every role besides. */
  readonly env?: Readonly<Record<string, string>>
  /** Default: made up. */
  readonly secret?: string
  readonly token?: string
}

const READY_MS = 240_000
/** How long one server may think before the next one is asked. */
const CALL_MS = 40_000
const PAUSE_MS = 200
/** What the typed client believes to speak to. */
const NOWHERE = 'http://cluster.invalid'

export class Cluster {
  readonly token: string
  /** One address before all APIs. */
  readonly url: string
  readonly members: readonly RoleProcess[]
  readonly name: string
  readonly #balancer: Balancer
  #next = 0

  private constructor(token: string, name: string, balancer: Balancer, all: RoleProcess[]) {
    this.token = token
    this.name = name
    this.url = balancer.url
    this.members = all
    this.#balancer = balancer
  }

  /** Everything ready. @throws with the end of the log of what is not */
  static async start(options: ClusterOptions): Promise<Cluster> {
    mkdirSync(options.folder, { recursive: true })
    const token = options.token ?? randomBytes(32).toString('hex')
    const secret = options.secret ?? randomBytes(32).toString('hex')
    const host = options.host ?? '127.0.0.1'
    const secrets = { VARVE_CLUSTER_SECRET: secret, VARVE_TOKEN: token }
    const env = { ...clusterEnv(options), ...secrets, ...options.env }
    const members: RoleProcess[] = []
    const logFile = (name: string): string => join(options.folder, `${name}.log`)
    for (const role of ROLES)
      for (let n = 1; n <= (options.roles?.[role] ?? 2); n++) {
        const name = `${role}-${n}`
        const given = name === 'api-1' ? options.apiPort : undefined
        const port = given ?? (await freePort())
        const url = `http://${host}:${port}`
        members.push(
          new RoleProcess({
            name,
            args: ['serve', '--roles', role, '--host', host, '--port', String(port)],
            // A chunk of work stays with the API that handed it out, past the balancer.
            env: { ...env, VARVE_ADVERTISE: url },
            logFile: logFile(name),
            url,
          }),
        )
      }
    const apis = members.filter(({ name }) => name.startsWith('api-'))
    const balancer = await Balancer.start(
      apis.map(({ url }) => url as string),
      options.port,
    )
    const cluster = new Cluster(token, options.name, balancer, members)
    try {
      // The first makes what is missing, alone; the others find it there.
      for (const [i, member] of members.entries()) {
        member.start()
        if (i === 0) await member.ready(READY_MS)
      }
      const count = options.workers ?? 2
      // Where pools on Kubernetes do the work nobody else is let in.
      const workers =
        count === 0 ? undefined : await cluster.client.call('POST /worker-tokens', { body: {} })
      for (let n = 1; n <= count; n++) {
        const name = `work-${n}`
        const worker = new RoleProcess({
          name,
          args: ['work', '--server', balancer.url, '--scratch', options.folder],
          // It knows one address and its token, and nothing of what stands behind.
          env: { VARVE_WORKER_TOKEN: workers?.token ?? '', VARVE_WORKERS: '1' },
          logFile: logFile(name),
          url: undefined,
        })
        members.push(worker)
        worker.start()
      }
      await cluster.ready(READY_MS)
    } catch (error) {
      await cluster.kill()
      throw error
    }
    return cluster
  }

  /** The processes of a role, or `work`. */
  of(role: Role | 'work'): readonly RoleProcess[] {
    return this.members.filter(({ name }) => name.startsWith(`${role}-`))
  }

  /** Until every process is ready. */
  async ready(limitMs: number): Promise<void> {
    await Promise.all(this.members.map((member) => member.ready(limitMs)))
  }

  /**
   * One call, as it would come through a load balancer: the next API, and the one after it when there
   * is no answer. A GET that is not answered now is asked again until the signal's end.
   */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const method = init.method ?? 'GET'
    const tries = method === 'GET' ? Infinity : 2 * this.of('api').length
    for (let attempt = 1; ; attempt++) {
      try {
        const response = await this.fetchOnce(path, init)
        if (response.status !== 503 || attempt >= tries) return response
        await response.arrayBuffer()
      } catch (error) {
        if (attempt >= tries || init.signal?.aborted) throw error
      }
      await sleep(PAUSE_MS)
    }
  }

  /** One attempt at the next API. @throws when it does not answer */
  async fetchOnce(path: string, init: RequestInit = {}, limitMs = CALL_MS): Promise<Response> {
    const apis = this.of('api')
    const api = apis[this.#next++ % apis.length] as RoleProcess
    const limit = AbortSignal.timeout(limitMs)
    return await fetch(`${api.url}${path}`, {
      ...init,
      signal: init.signal ? AbortSignal.any([init.signal, limit]) : limit,
      headers: {
        ...(init.headers as Record<string, string> | undefined),
        authorization: `Bearer ${this.token}`,
      },
    })
  }

  /** The typed client over `fetch`. */
  get client(): Client {
    return new Client({
      baseUrl: NOWHERE,
      fetch: (input, init) => this.fetch((input as string).slice(NOWHERE.length), init),
    })
  }

  /** `varve …` against the one address. */
  cli(args: readonly string[], stdin?: string): Promise<Ran> {
    return run(`${ROOT}/node_modules/.bin/node`, [ENTRY, ...args], {
      env: { VARVE_SERVER: this.url, VARVE_TOKEN: this.token },
      ...(stdin === undefined ? {} : { stdin }),
    })
  }

  /** The ends of all logs, for a failing test. */
  tails(chars = 1_500): string {
    return this.members.map((member) => member.tail(chars)).join('\n\n')
  }

  /** In order: workers, then the roles backwards, the log last of those that propose to it. */
  async stop(): Promise<void> {
    for (const role of ['work', 'spouts', 'egress', 'events', 'scheduler', 'api', 'log'] as const)
      await Promise.all(this.of(role).map((member) => member.drain()))
    await this.#balancer.close()
  }

  async kill(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()))
    await this.#balancer.close()
  }
}

/** What every role is told. */
export function clusterEnv(options: Omit<ClusterOptions, 'folder'>): Record<string, string> {
  const { accessKey, secretKey } = s3Keys()
  return {
    VARVE_KAFKA: options.kafka,
    VARVE_TOPIC_PREFIX: options.name,
    VARVE_CASSANDRA: options.cassandra,
    VARVE_CASSANDRA_DATACENTER: options.cassandraDatacenter ?? 'datacenter1',
    VARVE_CASSANDRA_KEYSPACE: options.name,
    VARVE_REPLICATION: String(options.replication),
    VARVE_S3_ENDPOINT: options.s3,
    VARVE_S3_REGION: 'us-east-1',
    VARVE_S3_BUCKET: options.name.replaceAll('_', '-'),
    VARVE_S3_ACCESS_KEY: accessKey,
    VARVE_S3_SECRET_KEY: secretKey,
    VARVE_S3_PATH_STYLE: 'true',
    ...(options.registry === undefined ? {} : { VARVE_REGISTRY: options.registry }),
  }
}

/** After a test; VARVE_TEST_KEEP=1 leaves them to be looked at. */
export function removeLogs(folder: string): void {
  if (process.env['VARVE_TEST_KEEP'] === undefined) rmSync(folder, { recursive: true, force: true })
  else console.log(`logs kept in ${folder}`)
}
