// The pool controller on a real Kubernetes: what it shows where pods do not run, and that it goes on.
// A cluster of its own, because its API server is killed and stopped.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { connectKubernetes } from '../../src/exec/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/exec/adapters/kubernetes/client.ts'
import { CONTROLLER_BOUNDS, PoolController } from '../../src/exec/adapters/kubernetes/controller.ts'
import type { Orders, Superior } from '../../src/exec/adapters/kubernetes/orders.ts'
import type { Deployment, Pod } from '../../src/exec/adapters/kubernetes/objects.ts'
import { podLog } from '../../src/exec/adapters/kubernetes/pod-logs.ts'
import type { PoolStatus } from '../../src/model/pool-status.ts'
import { KubernetesServer, kubernetesAvailable } from '../services/kubernetes.ts'

const given = process.env['VARVE_TEST_KUBECONFIG'] !== undefined
const NAMESPACE = 'default'
const NAMES = {
  namespace: NAMESPACE,
  selector: 'app.kubernetes.io/managed-by=varve-test',
  poolLabel: 'varve-test/pool',
  digestAnnotation: 'varve-test/digest',
}
const WAIT = { timeout: 120_000, interval: 50 }
/** Sooner than in production: silence is found out, leftovers go, wishes are seen. */
const BOUNDS = {
  ...CONTROLLER_BOUNDS,
  resyncMs: 500,
  leftoverMs: 1_000,
  watch: { ...CONTROLLER_BOUNDS.watch, watchSeconds: 5, graceMs: 2_000 },
}
const TICK = 'i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.05; done'

/** What a pool wants, as the tests set it. */
interface Wish {
  readonly pods: number
  readonly container?: object
  readonly spec?: object
}

class Wishes implements Superior {
  readonly wanted = new Map<string, Wish>()
  readonly busy = new Set<string>()

  orders(): Promise<Orders> {
    const pools = [...this.wanted].map(([id, wish]) => ({
      id,
      project: 'p',
      deployment: deploymentOf(id, wish),
      size: { cpu: 0, memoryBytes: 0, gpus: 0 },
      slots: 1,
      work: [{ pipeline: id, queued: wish.pods, running: 0, caps: {} }],
    }))
    const limits = {
      cluster: {},
      projects: {},
      prices: { cpuHour: 0, memoryGiBHour: 0, gpuHour: 0 },
      coolDownMs: 1_000,
    }
    return Promise.resolve({ pools, limits, busy: this.busy })
  }

  retire(_pool: string, pods: readonly string[]): Promise<ReadonlySet<string>> {
    return Promise.resolve(new Set(pods.filter((pod) => !this.busy.has(pod))))
  }
}

function deploymentOf(id: string, wish: Wish): Deployment {
  const labels = { 'app.kubernetes.io/managed-by': 'varve-test', 'varve-test/pool': id }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: `pool-${id}`,
      labels,
      annotations: { 'varve-test/digest': JSON.stringify({ ...wish, pods: 0 }) },
    },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 0,
          containers: [
            {
              name: 'user',
              image: 'tools:1',
              command: ['/bin/sh', '-c', TICK],
              resources: { requests: { cpu: '10m', memory: '16Mi' } },
              ...wish.container,
            },
          ],
          ...wish.spec,
        },
      },
    } as Deployment['spec'] & object,
  }
}

describe.skipIf(!kubernetesAvailable || given)('the pool controller on a real Kubernetes', () => {
  let server: KubernetesServer
  let client: KubernetesClient
  let wishes: Wishes
  let controller: PoolController
  const stop = new AbortController()
  let running: Promise<void>
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)

  beforeAll(async () => {
    process.on('unhandledRejection', note)
    server = await KubernetesServer.own()
    await server.image('tools:1', { busybox: true })
    client = await connectKubernetes({ kubeconfig: server.kubeconfig, requestTimeoutMs: 5_000 })
    wishes = new Wishes()
    const options = { client, superior: wishes, names: NAMES, bounds: BOUNDS }
    controller = new PoolController({ ...options, clock: systemClock, random: systemRandom })
    running = controller.run(stop.signal)
  })

  afterEach(async () => {
    wishes.wanted.clear()
    wishes.busy.clear()
    await expect.poll(() => controller.status(), WAIT).toEqual([])
    expect(unhandled.splice(0)).toEqual([])
  })

  afterAll(async () => {
    stop.abort()
    await running
    process.off('unhandledRejection', note)
    await server?.stop()
  })

  const report = (id = 'a'): PoolStatus | undefined =>
    controller.status().find((one) => one.pool === id)

  async function cause(id = 'a'): Promise<string> {
    await expect.poll(() => report(id)?.cause?.reason ?? 'Starting', WAIT).not.toMatch(/^Starting/)
    const told = report(id)?.cause
    return `${told?.reason}: ${told?.cause}`
  }

  test('0, three pods, 0 again', async () => {
    wishes.wanted.set('a', { pods: 0 })
    await expect.poll(() => report()?.state, WAIT).toBe('idle')
    wishes.wanted.set('a', { pods: 3 })
    await expect.poll(() => report()?.running, WAIT).toBe(3)
    expect(report()).toMatchObject({ state: 'running', cause: null })
    wishes.wanted.set('a', { pods: 0 })
    await expect.poll(() => report()?.pods, WAIT).toEqual([])
    expect(report()).toMatchObject({ state: 'idle', ends: [], replicas: 0 })
  })

  test('the pod that works stays when the others go', async () => {
    wishes.wanted.set('a', { pods: 4 })
    await expect.poll(() => report()?.running, WAIT).toBe(4)
    // Not the one a ReplicaSet would keep by itself: each of them once.
    const busy =
      report()
        ?.pods.map((pod) => pod.name)
        .toSorted()[1] ?? ''
    wishes.busy.add(busy)
    wishes.wanted.set('a', { pods: 1 })
    await expect.poll(() => report()?.pods.map((pod) => pod.name), WAIT).toEqual([busy])
    expect(report()?.ends).toEqual([])
  })

  test.each<[string, Wish, string]>([
    [
      'image missing',
      { pods: 1, container: { image: 'localhost:1/no/such:1' } },
      'ImageMissing: image "localhost:1/no/such:1" of container "user" cannot be pulled',
    ],
    [
      'image name',
      { pods: 1, container: { image: 'localhost/UPPER/case:1' } },
      'ImageNameInvalid: image "localhost/UPPER/case:1"',
    ],
    [
      'gpu absent',
      { pods: 1, container: { resources: { limits: { 'nvidia.com/gpu': '1' } } } },
      'Unschedulable: no node takes the pod: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu',
    ],
    [
      'selector',
      { pods: 1, spec: { nodeSelector: { disk: 'none' } } },
      "Unschedulable: no node takes the pod: 0/1 nodes are available: 1 node(s) didn't match",
    ],
    [
      'too much cpu',
      { pods: 1, container: { resources: { requests: { cpu: '9000' } } } },
      '1 Insufficient cpu',
    ],
    [
      'secret missing',
      {
        pods: 1,
        container: {
          env: [{ name: 'P', valueFrom: { secretKeyRef: { name: 'none', key: 'p' } } }],
        },
      },
      'SecretMissing: container "user" waits: secret "none" is not there',
    ],
    [
      'secret volume missing',
      {
        pods: 1,
        container: { volumeMounts: [{ name: 's', mountPath: '/s' }] },
        spec: { volumes: [{ name: 's', secret: { secretName: 'none' } }] },
      },
      'secret "none" is not there',
    ],
    [
      'runs as root',
      { pods: 1, spec: { securityContext: { runAsNonRoot: true } } },
      'RunsAsRoot: container "user" may not start: container has runAsNonRoot and image will run as root',
    ],
    [
      'command missing',
      { pods: 1, container: { command: ['/no/such'] } },
      'ContainerRefused: container "user" cannot be started',
    ],
    [
      'crashing',
      {
        pods: 1,
        container: {
          command: ['/bin/sh', '-c', 'echo no such module >&2; exit 3'],
          terminationMessagePolicy: 'FallbackToLogsOnError',
        },
      },
      'last with exit code 3: no such module',
    ],
    [
      'out of memory',
      {
        pods: 1,
        container: {
          command: ['/bin/sh', '-c', 'x=a; while :; do x=$x$x; done'],
          resources: { limits: { memory: '24Mi' } },
        },
      },
      'OutOfMemory: container "user" was killed at its memory limit of 24Mi',
    ],
  ])('%s', async (_, wish, expected) => {
    wishes.wanted.set('a', wish)
    expect(await cause()).toContain(expected)
    expect(report()?.cause?.remedy).not.toBe('')
    // Whoever counts them sees each, although the pod goes on.
    const told = (): unknown => report()?.ends.map((end) => end.cause.reason)
    if (expected.startsWith('OutOfMemory')) await expect.poll(told, WAIT).toContain('OutOfMemory')
  })

  test('a key that is missing is named, and the pod runs when it is there', async () => {
    const secret = { metadata: { name: 'half' }, data: { other: '' } }
    await client.create('secrets', NAMESPACE, secret)
    const env = [{ name: 'P', valueFrom: { secretKeyRef: { name: 'half', key: 'password' } } }]
    wishes.wanted.set('a', { pods: 1, container: { env } })
    expect(await cause()).toContain('secret "half" has no key "password"')
    await client.patch('secrets', NAMESPACE, 'half', { data: { password: 'eA==' } })
    await expect.poll(() => report()?.running, WAIT).toBe(1)
    expect(Object.keys(await client.get('secrets', NAMESPACE, 'half'))).not.toContain('data')
    await client.delete('secrets', NAMESPACE, 'half')
  })

  test('a quota that is reached is named, and pods come when it is raised', async () => {
    const quota = { metadata: { name: 'team' }, spec: { hard: { pods: '1' } } }
    await client.create('resourcequotas', NAMESPACE, quota)
    try {
      wishes.wanted.set('a', { pods: 2 })
      expect(await cause()).toMatch(/QuotaReached: .*exceeded quota: team, .*limited: pods=1/)
    } finally {
      await client.delete('resourcequotas', NAMESPACE, 'team')
    }
    // The ReplicaSet tries again at growing intervals; a change of its size makes it try now.
    wishes.wanted.set('a', { pods: 3 })
    await expect.poll(() => report()?.running, WAIT).toBe(3)
  })

  test('what somebody deletes comes back, and is told', async () => {
    wishes.wanted.set('a', { pods: 1 })
    await expect.poll(() => report()?.running, WAIT).toBe(1)
    const pod = report()?.pods[0]?.name ?? ''
    await client.delete('pods', NAMESPACE, pod)
    await expect
      .poll(() => report()?.ends[0], WAIT)
      .toMatchObject({ pod, cause: { reason: 'Deleted' } })
    await client.delete('deployments', NAMESPACE, 'pool-a')
    await expect.poll(() => report()?.change, WAIT).toContain('somebody deleted its Deployment')
    await expect.poll(() => report()?.running, WAIT).toBe(1)
  })

  test('a pod of nobody that carries our label is taken away', async () => {
    const { template } = deploymentOf('a', { pods: 0 }).spec ?? {}
    const labels = { 'app.kubernetes.io/managed-by': 'varve-test', 'varve-test/pool': 'a' }
    const { spec } = template ?? {}
    const pod = { metadata: { name: 'left', labels }, ...(spec === undefined ? {} : { spec }) }
    await client.create('pods', NAMESPACE, pod satisfies Pod)
    const names = async (): Promise<string[]> =>
      (await client.list('pods', { namespace: NAMESPACE })).items.map((one) => one.metadata.name)
    await expect.poll(names, WAIT).toEqual([])
  })

  test('an API server that is killed, and one that stands still, is told, and all goes on', async () => {
    wishes.wanted.set('a', { pods: 2 })
    await expect.poll(() => report()?.running, WAIT).toBe(2)
    const names = report()
      ?.pods.map((pod) => pod.name)
      .toSorted()
    await server.signal('kube-apiserver', 'KILL')
    await expect.poll(() => report()?.cause?.reason, WAIT).toBe('ClusterUnreachable')
    await expect.poll(() => report()?.state, WAIT).toBe('running')
    expect(
      report()
        ?.pods.map((pod) => pod.name)
        .toSorted(),
    ).toEqual(names)
    await server.signal('kube-apiserver', 'STOP')
    await expect.poll(() => report()?.cause?.reason, WAIT).toBe('ClusterUnreachable')
    expect(report()?.state).toBe('unknown')
    wishes.wanted.set('a', { pods: 3 })
    await server.signal('kube-apiserver', 'CONT')
    await expect.poll(() => report()?.running, WAIT).toBe(3)
    await expect.poll(() => report()?.cause, WAIT).toBe(null)
  })

  test('a log is read on over a killed API server, each line once', async () => {
    wishes.wanted.set('a', { pods: 1 })
    await expect.poll(() => report()?.running, WAIT).toBe(1)
    const of = { namespace: NAMESPACE, pod: report()?.pods[0]?.name ?? '', container: 'user' }
    const reading = new AbortController()
    const guests = { clock: systemClock, random: systemRandom }
    const lines: string[] = []
    for await (const line of podLog(client, of, guests, reading.signal)) {
      lines.push(line.text)
      if (lines.length === 40) await server.signal('kube-apiserver', 'KILL')
      if (lines.length === 200) reading.abort()
    }
    expect(lines).toEqual(Array.from({ length: lines.length }, (_, n) => `tick ${n + 1}`))
    expect(lines.length).toBeGreaterThanOrEqual(200)
    await server.ready()
  })
})
