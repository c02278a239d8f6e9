// The network policy of worker pods on a node that enforces policies: what user code reaches, and who
// reaches it. Every probe is seen to get through before the policy is there.

import type { CoreV1Api, Exec, V1Pod, V1Status } from '@kubernetes/client-node'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { connectKubernetes } from '../../src/exec/adapters/kubernetes/client.ts'
import { POOL_LABEL } from '../../src/exec/adapters/kubernetes/names.ts'
import { networkPolicyOf } from '../../src/exec/adapters/kubernetes/network-policy.ts'
import { KubernetesServer, kubernetesAvailable } from '../services/kubernetes.ts'
import { missingForPolicies } from '../services/kubernetes/policies.ts'

const given = process.env['VARVE_TEST_KUBECONFIG'] !== undefined
const enforceable = kubernetesAvailable && !given && missingForPolicies().length === 0
const namespace = 'default'
const WAIT = { timeout: 60_000, interval: 100 }
const API_PORT = 7070
const OTHER_PORT = 7071
const LABELS = { 'app.kubernetes.io/name': 'varve-test' }
const WORKER = { ...LABELS, [POOL_LABEL]: 'varve-p-0' }
const API = { 'app.kubernetes.io/component': 'api' }

/** An address and a port to connect to, or a name to look up. */
type Target = readonly [address: string, port?: number]
type Targets = Readonly<Record<string, Target>>

/** Kafka, Cassandra and S3, as far as a network policy can tell. */
const store = createServer((socket) => socket.end())

describe.skipIf(!enforceable)('the network policy of worker pods, enforced', () => {
  const OPEN = ['the API', 'the API by its service', 'names']
  let server: KubernetesServer
  let core: CoreV1Api
  let exec: Exec
  let ips: Readonly<Record<'api' | 'bystander' | 'neighbour' | 'worker', string>>
  let nodeAddress: string
  let targets: Targets

  beforeAll(async () => {
    server = await KubernetesServer.own({ policies: true })
    await server.image('tools:1', { busybox: true })
    store.listen(0, server.hostAddress)
    await once(store, 'listening')
    const { CoreV1Api, Exec, KubeConfig } = await import('@kubernetes/client-node')
    const config = new KubeConfig()
    config.loadFromFile(server.kubeconfig)
    core = config.makeApiClient(CoreV1Api)
    exec = new Exec(config)
    const [api, worker, neighbour, bystander] = await Promise.all([
      run('api', API),
      run('worker', WORKER),
      run('neighbour', WORKER),
      run('bystander', LABELS),
    ])
    ips = { api, worker, neighbour, bystander }
    const service = await core.createNamespacedService({
      namespace,
      body: { metadata: { name: 'api' }, spec: { selector: API, ports: [{ port: API_PORT }] } },
    })
    const node = new URL(config.getCurrentCluster()?.server ?? '')
    nodeAddress = node.hostname
    const kubernetes = await core.readNamespacedService({ namespace, name: 'kubernetes' })
    targets = {
      'the API': [ips.api, API_PORT],
      'the API by its service': [service.spec?.clusterIP ?? '', API_PORT],
      names: ['api.default.svc.cluster.local'],
      'another port of the API': [ips.api, OTHER_PORT],
      'a store': storePort(),
      'the Kubernetes API': [nodeAddress, Number(node.port)],
      'the Kubernetes API by its service': [kubernetes.spec?.clusterIP ?? '', 443],
      'the kubelet': [nodeAddress, 10250],
      'another worker': [ips.neighbour, API_PORT],
      'another pod': [ips.bystander, API_PORT],
    }
  })

  afterAll(async () => {
    store.close()
    await server?.stop()
  })

  const storePort = (): Target => [server.hostAddress, (store.address() as AddressInfo).port]

  /** Starts a pod that listens on both ports. @returns its address */
  async function run(name: string, labels: Readonly<Record<string, string>>): Promise<string> {
    await core.createNamespacedPod({ namespace, body: pod(name, labels) })
    return vi.waitFor(async () => {
      const { status } = await core.readNamespacedPod({ namespace, name })
      expect(status?.containerStatuses?.map((one) => one.ready)).toEqual([true])
      return status?.podIP ?? expect.fail('a ready pod has an address')
    }, WAIT)
  }

  /** The names of those that `from` gets through to. */
  async function reached(from: string, to: Targets): Promise<string[]> {
    const names: string[] = []
    for (const [name, target] of Object.entries(to))
      if (await getsThrough(from, target)) names.push(name)
    return names
  }

  async function getsThrough(from: string, target: Target): Promise<boolean> {
    const [address, port] = target
    const probe =
      port === undefined ? ['nslookup', address] : ['nc', '-w', '5', address, String(port)]
    const output = new PassThrough().resume()
    const status = await new Promise<V1Status>((resolve, reject) => {
      exec.exec(namespace, from, 'shell', probe, output, null, null, false, resolve).catch(reject)
    })
    if (status.status === 'Success') return true
    // Anything else is no answer of the network.
    expect(status.details?.causes).toMatchObject([{ reason: 'ExitCode', message: '1' }])
    return false
  }

  test('without it, every pod reaches everything', async () => {
    const pods = { worker: [ips.worker, API_PORT] } as const
    // Services and names take a moment to be known on the node.
    const all = Object.keys(targets)
    await vi.waitFor(async () => expect(await reached('worker', targets)).toEqual(all), WAIT)
    expect(await reached('neighbour', pods)).toEqual(['worker'])
    expect(await reached('api', pods)).toEqual(['worker'])
    expect(await connects(ips.worker)).toBe(true)
  })

  describe('with it', () => {
    beforeAll(async () => {
      const policy = networkPolicyOf({
        name: 'varve-workers',
        namespace,
        labels: LABELS,
        api: { to: { pods: API }, ports: [API_PORT] },
        dns: { cidr: `${nodeAddress}/32` },
      })
      const { kubeconfig } = server
      const client = await connectKubernetes({ kubeconfig, requestTimeoutMs: 10_000 })
      await client.create('networkpolicies', namespace, policy)
      await refusedTo('worker')
    })

    async function refusedTo(name: string): Promise<void> {
      await vi.waitFor(async () => expect(await getsThrough(name, storePort())).toBe(false), WAIT)
    }

    test('a worker reaches the API and names, and nothing else', async () => {
      expect(await reached('worker', targets)).toEqual(OPEN)
    })

    test('nobody reaches a worker', async () => {
      const pods = { worker: [ips.worker, API_PORT] } as const
      for (const from of ['api', 'neighbour', 'bystander'])
        expect(await reached(from, pods), from).toEqual([])
      expect(await connects(ips.worker)).toBe(false)
    })

    test('a pod that is no worker reaches all but workers, and is reached', async () => {
      const others = Object.keys(targets).filter((name) => name !== 'another worker')
      expect(await reached('bystander', targets)).toEqual(others)
      expect(await connects(ips.bystander)).toBe(true)
    })

    test('it holds for a worker that starts later', async () => {
      await run('late', WORKER)
      await refusedTo('late')
      expect(await reached('late', targets)).toEqual(OPEN)
    })
  })
})

/** Whether this machine, which is not the node, gets through. */
function connects(address: string): Promise<boolean> {
  const socket = connect(API_PORT, address)
  return once(socket, 'connect')
    .then(
      () => true,
      () => false,
    )
    .finally(() => socket.destroy())
}

function pod(name: string, labels: Readonly<Record<string, string>>): V1Pod {
  const listen = `nc -ll -p ${OTHER_PORT} -e true & exec nc -ll -p ${API_PORT} -e true`
  const ready = { tcpSocket: { port: API_PORT }, periodSeconds: 1 }
  return {
    metadata: { name, labels },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      containers: [
        { name: 'shell', image: 'tools:1', command: ['sh', '-c', listen], readinessProbe: ready },
      ],
    },
  }
}
