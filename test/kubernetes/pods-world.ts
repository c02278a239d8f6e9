// Every role of a cluster as a process of this machine, on real Kafka, Cassandra and S3, keeping pools of
// worker pods on a real Kubernetes: the pods reach the one API at the machine's address and nothing else.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PoolSettings } from '../../src/config/pool-settings.ts'
import type { Client } from '../../src/client/client.ts'
import { Cluster, removeLogs } from '../cluster/cluster.ts'
import { KubernetesServer } from '../services/kubernetes.ts'
import { freePort } from '../services/process.ts'
import { createBucket } from '../services/s3.ts'
import { shared } from '../services/shared.ts'
import { addVarveImage } from '../services/varve-image.ts'

const NAMESPACE = 'pools'
const VARVE_IMAGE = 'localhost/varve:test'
/** What the code of tests runs in: a shell and the usual tools, and nothing of ours. */
export const TOOLS_IMAGE = 'localhost/tools:1'

export interface PodsWorldOptions {
  readonly name: string
  readonly settings?: Partial<PoolSettings>
  /** A cluster that runs already; default: one of its own. */
  readonly server?: KubernetesServer
}

export interface PodProcess {
  readonly pid: number
  readonly command: string
  /** Its container lives as long as it does. */
  readonly first: boolean
}

export class PodsWorld {
  readonly server: KubernetesServer
  readonly cluster: Cluster
  readonly kafka: string
  readonly cassandra: string
  readonly folder: string

  private constructor(
    parts: Pick<PodsWorld, 'server' | 'cluster' | 'kafka' | 'cassandra' | 'folder'>,
  ) {
    this.server = parts.server
    this.cluster = parts.cluster
    this.kafka = parts.kafka
    this.cassandra = parts.cassandra
    this.folder = parts.folder
  }

  static async start(options: PodsWorldOptions): Promise<PodsWorld> {
    const { name } = options
    const server = options.server ?? (await KubernetesServer.own())
    await addVarveImage(server, VARVE_IMAGE)
    await server.image(TOOLS_IMAGE, { busybox: true })
    const [kafka, s3, cassandra] = [
      await shared('kafka'),
      await shared('s3'),
      await shared('cassandra'),
    ]
    await createBucket(s3, name.replaceAll('_', '-'))
    const folder = mkdtempSync(join(tmpdir(), 'varve-pods-'))
    const apiPort = await freePort()
    const host = server.hostAddress
    const settings: PoolSettings = {
      namespace: NAMESPACE,
      labels: { 'app.kubernetes.io/instance': name },
      image: VARVE_IMAGE,
      api: { url: `http://${host}:${apiPort}`, to: { cidr: `${host}/32` }, port: apiPort },
      coolDownSeconds: 3,
      agent: { requests: { cpu: '10m', memory: '64Mi' } },
      defaults: { cpu: '50m', memory: '64Mi' },
      ...options.settings,
    }
    const file = join(folder, 'pools.json')
    writeFileSync(file, JSON.stringify(settings))
    const kubectl = (...args: readonly string[]): void => void kubectlOf(server, args)
    kubectl('create', 'namespace', NAMESPACE)
    kubectl('label', 'namespace', NAMESPACE, 'pod-security.kubernetes.io/enforce=restricted')
    const cluster = await Cluster.start({
      kafka,
      cassandra,
      s3,
      name,
      replication: 1,
      folder,
      host,
      apiPort,
      roles: { api: 1, log: 1, scheduler: 1, spouts: 1, egress: 1, events: 1 },
      workers: 0,
      env: { VARVE_POOLS: file, KUBECONFIG: server.kubeconfig },
    })
    return new PodsWorld({ server, cluster, kafka, cassandra, folder })
  }

  get client(): Client {
    return this.cluster.client
  }

  /** @throws with what it said on stderr */
  kubectl(...args: readonly string[]): string {
    return kubectlOf(this.server, ['-n', NAMESPACE, ...args])
  }

  /** Names of the pods of workers that are there, also of those that are leaving. */
  pods(): readonly string[] {
    const text = this.kubectl('get', 'pods', '-o', 'jsonpath={.items[*].metadata.name}')
    return text === '' ? [] : text.split(' ')
  }

  /** What names a pod, or a container of it, in the control groups of its processes. */
  group(pod: string, container?: string): string {
    const path =
      container === undefined
        ? '{.metadata.uid}'
        : `{.status.containerStatuses[?(@.name=="${container}")].containerID}`
    const id = this.kubectl('get', 'pod', pod, '-o', `jsonpath=${path}`)
    return container === undefined ? `/pod${id}/` : id.replace('containerd://', '/')
  }

  async put(document: object): Promise<void> {
    await this.client.call('POST /projects/:project/apply', {
      params: { project: 'default' },
      body: JSON.stringify([document]),
    })
  }

  async close(): Promise<void> {
    await this.cluster.stop()
    await this.server.stop()
    removeLogs(this.folder)
  }
}

/** The processes of a `group`, as this machine numbers them. */
export function processesOf(group: string): readonly PodProcess[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return []
    try {
      const read = (file: string): string => readFileSync(`/proc/${pid}/${file}`, 'utf8')
      if (!read('cgroup').replaceAll('\n', '/\n').includes(group)) return []
      const first = /^NSpid:.*\s1$/m.test(read('status'))
      return [{ pid: Number(pid), command: read('cmdline').replaceAll('\0', ' '), first }]
    } catch {
      // It ended meanwhile.
      return []
    }
  })
}

/** To all processes of a `group`: also those that the others began meanwhile, when it stops them. */
export function signalGroup(group: string, signal: 'SIGSTOP' | 'SIGCONT'): void {
  const told = new Set<number>()
  for (;;) {
    const news = processesOf(group).filter(({ pid }) => !told.has(pid))
    if (news.length === 0) return
    for (const { pid } of news) {
      told.add(pid)
      try {
        process.kill(pid, signal)
      } catch {
        // It ended meanwhile.
      }
    }
  }
}

function kubectlOf(server: KubernetesServer, args: readonly string[]): string {
  const ran = spawnSync('kubectl', ['--kubeconfig', server.kubeconfig, ...args], {
    encoding: 'utf8',
  })
  if (ran.status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${ran.stderr}`)
  return ran.stdout.trim()
}
