// A cluster on the shared servers, without workers, and processes beside it that a test kills.

import { randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../services/process.ts'
import { createBucket } from '../services/s3.ts'
import { shared } from '../services/shared.ts'
import { Cluster, clusterEnv, removeLogs } from './cluster.ts'
import type { ClusterOptions } from './cluster.ts'
import { RoleProcess } from './role-process.ts'

type Env = Readonly<Record<string, string>>

export class KilledCluster {
  readonly cluster: Cluster
  /** Logs, and what a test writes down. */
  readonly folder: string
  /** Those beside it. */
  readonly doomed: RoleProcess[] = []
  readonly #env: Env

  private constructor(cluster: Cluster, folder: string, env: Env) {
    this.cluster = cluster
    this.folder = folder
    this.#env = env
  }

  /** One API and one log. @param what one word, no other test's */
  static async start(what: string, schedulers: 0 | 1): Promise<KilledCluster> {
    const folder = mkdtempSync(join(tmpdir(), `varve-${what}-`))
    try {
      const [kafka, s3] = [await shared('kafka'), await shared('s3')]
      const cassandra = await shared('cassandra')
      const name = `${what}_${process.pid}`
      await createBucket(s3, name.replaceAll('_', '-'))
      const secret = randomBytes(32).toString('hex')
      const roles = { api: 1, log: 1, scheduler: schedulers, spouts: 0, egress: 0, events: 0 }
      const at: ClusterOptions = { kafka, cassandra, s3, name, replication: 1, folder }
      const cluster = await Cluster.start({ ...at, secret, roles, workers: 0 })
      const secrets = { VARVE_CLUSTER_SECRET: secret, VARVE_TOKEN: cluster.token }
      return new KilledCluster(cluster, folder, { ...clusterEnv(at), ...secrets })
    } catch (error) {
      removeLogs(folder)
      throw error
    }
  }

  /** A process beside it. @param env all it is told */
  begin(name: string, args: readonly string[], env: Env, url?: string): RoleProcess {
    const logFile = join(this.folder, `${name}.log`)
    const process = new RoleProcess({ name, args, env, logFile, url })
    this.doomed.push(process)
    process.start()
    return process
  }

  /** One more API, which is reached at its own address only. @param env what it is told besides */
  async beginApi(name: string, env: Env): Promise<RoleProcess> {
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const args = ['serve', '--roles', 'api', '--host', '127.0.0.1', '--port', String(port)]
    return this.begin(name, args, { ...this.#env, VARVE_ADVERTISE: url, ...env }, url)
  }

  async stop(): Promise<void> {
    await Promise.all(this.doomed.map((one) => one.kill()))
    await this.cluster.stop()
    removeLogs(this.folder)
  }
}
