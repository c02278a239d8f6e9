// Varve as the chart installs it: a real Kubernetes, beside it on this machine a real Kafka, Cassandra
// and S3 server of its own, all roles in pods of a namespace that keeps the restricted standard.

import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '../../src/client/client.ts'
import { ROLES } from '../../src/config/options.ts'
import { CassandraServer, cassandraAvailable } from '../services/cassandra.ts'
import { CHART, helm, helmAvailable, helmBinary } from '../services/helm.ts'
import type { Helmed } from '../services/helm.ts'
import { KafkaServer, kafkaAvailable } from '../services/kafka.ts'
import { KubernetesServer, kubernetesAvailable } from '../services/kubernetes.ts'
import { missingTools } from '../services/need.ts'
import { S3Server, s3Available, s3Keys } from '../services/s3.ts'
import { addVarveImage } from '../services/varve-image.ts'

export const installationPossible =
  kubernetesAvailable &&
  kafkaAvailable &&
  cassandraAvailable &&
  s3Available &&
  helmAvailable &&
  missingTools('kubectl').length === 0

/** Names of objects and buckets: of this process alone. */
const NAME = `installed-${process.pid}`
const IMAGE = { repository: 'localhost/varve', tag: `p${process.pid}` }
const SECRETS = { server: 'varve', s3: 'varve-s3' }
/** Two cores carry all of them: a start may use what others leave. */
const SMALL = { requests: { cpu: '20m', memory: '96Mi' }, limits: { memory: '1Gi' } }
const RELEASE = 'varve'

export class Installation {
  readonly kubernetes: KubernetesServer
  readonly kafka: KafkaServer
  readonly cassandra: CassandraServer
  readonly s3: S3Server
  /** Ours, as the node has it; it has a shell, so code of pipelines may run in it too. */
  readonly image = `${IMAGE.repository}:${IMAGE.tag}`
  /** Of the release, and of what the chart makes. */
  readonly namespace = NAME
  readonly token = randomBytes(32).toString('hex')
  readonly #folder = mkdtempSync(join(tmpdir(), 'varve-installation-'))

  private constructor(
    kubernetes: KubernetesServer,
    servers: readonly [KafkaServer, CassandraServer, S3Server],
  ) {
    this.kubernetes = kubernetes
    ;[this.kafka, this.cassandra, this.s3] = servers
  }

  /** A cluster with our image, and what Varve stands on; nothing is installed yet. */
  static async prepare(): Promise<Installation> {
    await helmBinary()
    const kubernetes = await KubernetesServer.start()
    const host = kubernetes.hostAddress
    const started = await Promise.allSettled([
      KafkaServer.own({ host }),
      CassandraServer.start({ host }),
      S3Server.own({ host }),
      addVarveImage(kubernetes, `${IMAGE.repository}:${IMAGE.tag}`),
    ])
    const [kafka, cassandra, s3, image] = started
    try {
      if (kafka.status === 'rejected') throw kafka.reason
      if (cassandra.status === 'rejected') throw cassandra.reason
      if (s3.status === 'rejected') throw s3.reason
      if (image.status === 'rejected') throw image.reason
      await s3.value.createBucket(NAME)
      const made = new Installation(kubernetes, [kafka.value, cassandra.value, s3.value])
      made.#prepareNamespace()
      return made
    } catch (error) {
      for (const one of [kafka, cassandra, s3])
        if (one.status === 'fulfilled') await one.value.stop()
      await kubernetes.stop()
      throw error
    }
  }

  get #env(): NodeJS.ProcessEnv {
    return { ...process.env, KUBECONFIG: this.kubernetes.kubeconfig }
  }

  #prepareNamespace(): void {
    this.kubectl('create', 'namespace', NAME)
    const level = 'pod-security.kubernetes.io/enforce=restricted'
    this.kubectl('label', 'namespace', NAME, level)
    const secret = (name: string, keys: Readonly<Record<string, string>>): void => {
      const given = Object.entries(keys).map(([key, value]) => `--from-literal=${key}=${value}`)
      this.kubectl('create', 'secret', 'generic', name, ...given)
    }
    secret(SECRETS.server, {
      token: this.token,
      'cluster-secret': randomBytes(32).toString('hex'),
    })
    const { accessKey, secretKey } = s3Keys()
    secret(SECRETS.s3, { 'access-key': accessKey, 'secret-key': secretKey })
  }

  /** In its namespace. @throws Error with what it says, when it fails */
  kubectl(...args: readonly string[]): string {
    return execFileSync('kubectl', ['-n', NAME, ...args], {
      encoding: 'utf8',
      env: this.#env,
      maxBuffer: 64 * 2 ** 20,
    })
  }

  /** Names of the objects of these kinds, `kind/name`, by a selector or all. */
  objects(kinds: string, selector = ''): string[] {
    const text = this.kubectl('get', kinds, '-l', selector, '-o', 'name')
    return text.split('\n').filter((line) => line !== '')
  }

  /** Whether it ends well: a question. */
  asks(...args: readonly string[]): boolean {
    return spawnSync('kubectl', ['-n', NAME, ...args], { env: this.#env }).status === 0
  }

  helm(...args: readonly string[]): Promise<Helmed> {
    return helm([...args, '-n', NAME], this.#env)
  }

  /** `helm upgrade --install` with one pod of each role, until all are Ready. */
  install(values: object = {}): Promise<Helmed> {
    const file = join(this.#folder, 'values.yaml')
    // JSON is YAML.
    writeFileSync(file, JSON.stringify({ ...this.#values(), ...values }))
    const how = ['--wait', '--timeout', '600s']
    return this.helm('upgrade', '--install', RELEASE, CHART, '-f', file, ...how)
  }

  #values(): object {
    return {
      image: IMAGE,
      options: {
        kafka: this.kafka.address,
        cassandra: this.cassandra.address,
        replication: 1,
        s3Endpoint: this.s3.address,
        s3Bucket: NAME,
      },
      secrets: {
        server: { existingSecret: SECRETS.server },
        s3: { existingSecret: SECRETS.s3 },
      },
      roles: Object.fromEntries(ROLES.map((role) => [role, { replicas: 1, resources: SMALL }])),
      pools: {
        enabled: true,
        coolDownSeconds: 5,
        defaults: { cpu: '50m', memory: '64Mi' },
        agent: { requests: { cpu: '20m', memory: '96Mi' }, limits: { memory: '512Mi' } },
      },
    }
  }

  /** Where this machine reaches the Service: its addresses are routed from here. */
  get url(): string {
    const ip = this.kubectl('get', 'service', RELEASE, '-o', 'jsonpath={.spec.clusterIP}')
    return `http://${ip}:7070`
  }

  get client(): Client {
    return new Client({ baseUrl: this.url, token: this.token })
  }

  /** Names of the pods of a role. */
  pods(role: string): string[] {
    return this.objects('pods', `app.kubernetes.io/component=${role}`).map((name) =>
      name.replace('pod/', ''),
    )
  }

  /** States of all pods and ends of their logs, for a failing test to print. */
  describe(): string {
    const say = (...args: readonly string[]): string =>
      spawnSync('kubectl', ['-n', NAME, ...args], { encoding: 'utf8', env: this.#env }).stdout
    const logs = ['logs', '-l', 'app.kubernetes.io/instance=varve', '--tail=15', '--prefix']
    return [
      say('get', 'pods', '-o', 'wide'),
      say('get', 'events', '--field-selector', 'type!=Normal'),
      say(...logs, '--max-log-requests=20'),
    ].join('\n')
  }

  /** Ends everything that this made. */
  async stop(): Promise<void> {
    await this.helm('uninstall', RELEASE, '--ignore-not-found')
    const gone = ['delete', 'namespace', NAME, '--wait=false', '--ignore-not-found']
    spawnSync('kubectl', gone, { env: this.#env })
    await Promise.allSettled([this.kafka.stop(), this.cassandra.stop(), this.s3.stop()])
    await this.kubernetes.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
