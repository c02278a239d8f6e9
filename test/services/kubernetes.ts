// A real Kubernetes of one node for tests: etcd, the control plane, kubelet, kube-proxy and containerd,
// in namespaces and a scratch folder of their own, so that several run side by side and none of them
// touches the machine's network, mounts or kernel settings. VARVE_TEST_KUBECONFIG=file uses yours
// instead; then nothing is started or stopped, images cannot be made and components not signalled.
// The kubeconfig of a cluster that another process started with this harness is as good as its own.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeClusterFolder } from './kubernetes/folder.ts'
import { ended, isReady, logOf } from './kubernetes/health.ts'
import type { ImageContent } from './kubernetes/image.ts'
import { writeImage } from './kubernetes/image.ts'
import { policyProgram } from './kubernetes/policies.ts'
import { missingForCluster, nodePrograms } from './kubernetes/programs.ts'
import { ServerProcess, run } from './process.ts'

const HERE = join(import.meta.dirname, 'kubernetes')
const NETWORK = join(HERE, 'network')
const READY_MS = 180_000
/** A component is started again when it ends. One that cannot run ends over and over. */
const MOST_ENDS = 8

export const kubernetesAvailable =
  process.env['VARVE_TEST_KUBECONFIG'] !== undefined || missingForCluster().length === 0

export type KubernetesComponent =
  | 'containerd'
  | 'dns'
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-proxy'
  | 'kube-scheduler'
  | 'kubelet'

// Whoever started them ends in whatever way that runs this: none is left behind. What a killed process
// leaves, the next start takes away.
const running = new Set<Own>()
process.once('exit', () => {
  for (const { number, folder } of running) {
    spawnSync(NETWORK, ['down', String(number)])
    rmSync(folder, { recursive: true, force: true })
  }
})

interface ClusterOptions {
  /** Whether network policies hold. Without it they are taken and nothing enforces them. */
  readonly policies?: boolean
}

interface Own {
  readonly number: number
  readonly folder: string
  node?: ServerProcess
}

export class KubernetesServer {
  /** A file. Its user may do everything. */
  readonly kubeconfig: string
  /** Where pods reach processes of this machine that listen on it, or on 0.0.0.0. */
  readonly hostAddress: string
  /** Of a cluster of this harness, whoever started it. */
  readonly #folder: string | undefined
  #own: Own | undefined

  private constructor(kubeconfig: string) {
    this.kubeconfig = kubeconfig
    const folder = dirname(kubeconfig)
    this.#folder = existsSync(join(folder, 'containerd.sock')) ? folder : undefined
    this.hostAddress =
      this.#folder === undefined ? machineAddress() : readFileSync(join(folder, 'host'), 'utf8')
  }

  /** Builds what is missing, starts an empty cluster and waits until its node is Ready. */
  static async start(): Promise<KubernetesServer> {
    const given = process.env['VARVE_TEST_KUBECONFIG']
    return given === undefined ? KubernetesServer.own() : KubernetesServer.at(given)
  }

  /** One that runs already. `stop` leaves it running. */
  static at(kubeconfig: string): KubernetesServer {
    return new KubernetesServer(kubeconfig)
  }

  /** As `start`, but never the one that is given: for tests that kill it, or need its options. */
  static async own({ policies = false }: ClusterOptions = {}): Promise<KubernetesServer> {
    const programs = await nodePrograms()
    const engine = policies ? [await policyProgram()] : []
    await run(NETWORK, ['sweep'])
    const folder = mkdtempSync(join(tmpdir(), 'varve-kubernetes-'))
    const number = Number(await run(NETWORK, ['up', String(process.pid), folder]))
    const own: Own = { number, folder }
    running.add(own)
    try {
      await writeClusterFolder(folder, number)
      const node = startNode(own, [programs, String(number), ...engine])
      own.node = node
      const socket = join(folder, 'containerd.sock')
      await node.until(() => existsSync(socket) && answers(socket), READY_MS)
      const server = new KubernetesServer(join(folder, 'kubeconfig'))
      const pause = { '/pause': join(programs, 'pause') }
      await server.image('localhost/pause:1', { copies: pause, entrypoint: ['/pause'] })
      server.#own = own
      await server.ready()
      return server
    } catch (error) {
      const text = logOf(folder)
      await takeAway(own)
      throw new Error(`Kubernetes did not start: ${(error as Error).message}\n${text}`, {
        cause: error,
      })
    }
  }

  /** Makes an image of files of this machine, and gives it to the node. The tag must not be `latest`,
   * or the pod must say `imagePullPolicy: Never`: there is no registry. */
  async image(name: string, content: ImageContent): Promise<void> {
    const folder = this.#mine('images cannot be put into it without a registry')
    const file = join(mkdtempSync(join(tmpdir(), 'varve-image-')), 'image.tar')
    try {
      await writeImage(name, content, file)
      const socket = join(folder, 'containerd.sock')
      await run('ctr', ['-a', socket, '-n', 'k8s.io', 'images', 'import', file])
    } finally {
      rmSync(dirname(file), { recursive: true, force: true })
    }
  }

  /**
   * KILL: it starts again by itself after half a second, and pods live on. STOP and CONT: it stops
   * answering, keeps its connections.
   */
  async signal(component: KubernetesComponent, signal: 'KILL' | 'STOP' | 'CONT'): Promise<void> {
    const folder = this.#mine('its components cannot be signalled')
    const unshare = readFileSync(join(folder, 'pid'), 'utf8')
    const children = readFileSync(`/proc/${unshare}/task/${unshare}/children`, 'utf8')
    const pid = readFileSync(join(folder, 'pids', component), 'utf8').trim()
    const kill = ['sh', '-c', `kill -${signal} ${pid}`]
    await run('nsenter', ['--target', children.trim(), '--pid', ...kill])
  }

  /** Resolves when the API server, the kubelet and the node are well, also after a `signal`. */
  async ready(limitMs = READY_MS): Promise<void> {
    const folder = this.#mine('it cannot be asked')
    const deadline = Date.now() + limitMs
    const before = ended(folder).length
    while (!(await isReady(folder))) {
      const node = this.#own?.node
      if (node?.ended === true) throw node.failure('ended')
      const ends = ended(folder)
      if (ends.length - before >= MOST_ENDS) throw new Error(`${ends.at(-1)}, over and over`)
      if (Date.now() > deadline) throw new Error(`not Ready within ${limitMs / 1000} s`)
      await sleep(50)
    }
  }

  /** Stops it with all of its pods and removes its scratch folder, if this object started it. */
  async stop(): Promise<void> {
    const own = this.#own
    this.#own = undefined
    if (own) await takeAway(own)
  }

  /** The ends of its components' logs, for a failing test to print. */
  get log(): string {
    return this.#folder === undefined ? '' : logOf(this.#folder)
  }

  #mine(what: string): string {
    if (this.#folder === undefined)
      throw new Error(
        `VARVE_TEST_KUBECONFIG names a cluster that this harness did not start: ${what}`,
      )
    return this.#folder
  }
}

/** Killing the process that this starts ends the node and every pod. */
function startNode({ number, folder }: Own, rest: readonly string[]): ServerProcess {
  const unshare = ['unshare', '--fork', '--pid', '--mount', '--mount-proc', '--kill-child']
  const node = new ServerProcess(
    'Kubernetes',
    'nsenter',
    [`--net=/run/netns/varve-${number}`, ...unshare, join(HERE, 'node'), folder, ...rest],
    { cwd: folder },
  )
  writeFileSync(join(folder, 'pid'), String(node.pid))
  return node
}

async function takeAway(own: Own): Promise<void> {
  await run(NETWORK, ['down', String(own.number)])
  running.delete(own)
  rmSync(own.folder, { recursive: true, force: true })
}

function answers(socket: string): Promise<boolean> {
  return run('ctr', ['-a', socket, 'version']).then(
    () => true,
    () => false,
  )
}

/** Where pods of a cluster elsewhere reach this machine: VARVE_TEST_KUBERNETES_HOST, or a guess. */
function machineAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? [])
  const outside = addresses.find(({ family, internal }) => family === 'IPv4' && !internal)
  return process.env['VARVE_TEST_KUBERNETES_HOST'] ?? outside?.address ?? '127.0.0.1'
}
