// Pools whole on a real Kubernetes: from what pipelines want to pods, with policy and token; what becomes of
// pods whose node is drained, that write too much, that the namespace does not allow. A cluster of its own,
// because its only node is cordoned.

import type { CoreV1Api } from '@kubernetes/client-node'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { connectKubernetes } from '../../src/exec/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/exec/adapters/kubernetes/client.ts'
import { CONTROLLER_BOUNDS } from '../../src/exec/adapters/kubernetes/controller.ts'
import type { Kind } from '../../src/exec/adapters/kubernetes/objects.ts'
import { poolOf } from '../../src/exec/adapters/kubernetes/pool-of.ts'
import { KubernetesPools } from '../../src/exec/adapters/kubernetes/pools.ts'
import type { PoolSettings } from '../../src/exec/adapters/kubernetes/settings.ts'
import type { Demand, Foreman } from '../../src/exec/pools.ts'
import type { PoolStatus } from '../../src/model/pool-status.ts'
import { parsePipelineDocument } from '../../src/model/spec-pipeline.ts'
import type { PipelineSpec } from '../../src/model/spec-pipeline.ts'
import { KubernetesServer, kubernetesAvailable } from '../services/kubernetes.ts'

const given = process.env['VARVE_TEST_KUBECONFIG'] !== undefined
const WAIT = { timeout: 120_000, interval: 50 }
const NAMESPACE = 'workers'
const SETTINGS: PoolSettings = {
  namespace: NAMESPACE,
  owner: 'anchor',
  image: 'agent:1',
  api: { url: 'http://10.0.0.1:7070', to: { cidr: '10.0.0.1/32' }, port: 7070 },
  coolDownSeconds: 1,
  graceSeconds: 1,
  defaults: { cpu: '10m', memory: '16Mi' },
  agent: { requests: { cpu: '10m', memory: '16Mi' }, limits: { memory: '64Mi' } },
}
const BOUNDS = { ...CONTROLLER_BOUNDS, resyncMs: 500, leftoverMs: 1_000 }
const digest = (text: string): string => createHash('sha256').update(text).digest('hex')

/** In place of the runner: fills the disk where the image asks for it, and then stays. */
const RUNNER = `B=/varve/tools/busybox
[ -e /greedy ] && $B dd if=/dev/zero of=/pfs/out/much bs=1048576 count=64
trap 'exit 0' TERM
while :; do $B sleep 1; done
`

class Wishes implements Foreman {
  readonly wanted = new Map<PipelineSpec, number>()
  readonly tokens = new Map<string, string>()

  demand(): Promise<Demand> {
    const pipelines = [...this.wanted].map(([spec, queued]) => {
      return { project: 'p', spec, queued, running: 0 }
    })
    return Promise.resolve({ pipelines, busy: new Set() })
  }

  retire(_pool: string, hosts: readonly string[]): Promise<ReadonlySet<string>> {
    return Promise.resolve(new Set(hosts))
  }

  admit(pool: string): Promise<string> {
    this.tokens.set(pool, `token of ${pool}`)
    return Promise.resolve(`token of ${pool}`)
  }

  forget(pool: string): Promise<void> {
    this.tokens.delete(pool)
    return Promise.resolve()
  }
}

function specOf(name: string, image: string, more: object = {}, user?: string): PipelineSpec {
  return parsePipelineDocument({
    pipeline: { name },
    transform: { image, cmd: ['/edges'], ...(user !== undefined && { user }) },
    input: { pfs: { repo: 'images', glob: '/*' } },
    ...more,
  })
}
const poolFor = (spec: PipelineSpec): string => poolOf('p', spec, SETTINGS, digest) ?? ''

describe.skipIf(!kubernetesAvailable || given)('pools on a real Kubernetes', () => {
  let server: KubernetesServer
  let client: KubernetesClient
  let core: CoreV1Api
  let pools: KubernetesPools
  let running: Promise<void>
  const wishes = new Wishes()
  const stop = new AbortController()

  beforeAll(async () => {
    server = await KubernetesServer.own()
    const scratch = mkdtempSync(join(tmpdir(), 'varve-pools-'))
    const file = (name: string, text: string): string => {
      writeFileSync(join(scratch, name), text)
      return join(scratch, name)
    }
    await server.image('agent:1', {
      busybox: true,
      copies: { '/app/src/exec/adapters/kubernetes/runner.sh': file('runner.sh', RUNNER) },
      entrypoint: ['/bin/sh', '-c', 'trap "exit 0" TERM; while :; do sleep 1; done', 'agent'],
    })
    await server.image('user:1', { copies: { '/empty': file('empty', '') } })
    await server.image('greedy:1', { copies: { '/greedy': file('greedy', '') } })
    rmSync(scratch, { recursive: true })
    client = await connectKubernetes({ kubeconfig: server.kubeconfig, requestTimeoutMs: 5_000 })
    const { CoreV1Api, KubeConfig } = await import('@kubernetes/client-node')
    const config = new KubeConfig()
    config.loadFromFile(server.kubeconfig)
    core = config.makeApiClient(CoreV1Api)
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
    await core.createNamespace({ body: { metadata: { name: NAMESPACE, labels } } })
    const guests = { clock: systemClock, random: systemRandom, digest }
    pools = new KubernetesPools({
      client,
      foreman: wishes,
      settings: SETTINGS,
      bounds: BOUNDS,
      ...guests,
    })
    running = pools.run(stop.signal)
  })

  afterEach(async () => {
    wishes.wanted.clear()
    await expect.poll(() => pools.status(), WAIT).toEqual([])
    await expect.poll(() => [...wishes.tokens.keys()], WAIT).toEqual([])
  })

  afterAll(async () => {
    stop.abort()
    await running
    await server?.stop()
  })

  const status = (spec: PipelineSpec): PoolStatus | undefined =>
    pools.status().find((one) => one.pool === poolFor(spec))
  const cause = (spec: PipelineSpec): string => {
    const told = status(spec)?.cause
    return `${told?.reason}: ${told?.cause}`
  }
  async function names(kind: Kind): Promise<string[]> {
    const { items } = await client.list(kind, {
      namespace: NAMESPACE,
      labels: 'app.kubernetes.io/managed-by=varve',
    })
    return items.map((one) => one.metadata.name)
  }

  test('nothing without an owner; then policy and token, 0, three pods, 0; all gone with the pipeline', async () => {
    const spec = specOf('edges', 'user:1')
    const pool = poolFor(spec)
    wishes.wanted.set(spec, 3)
    await expect.poll(() => status(spec)?.cause?.reason, WAIT).toBe('OwnerMissing')
    expect(await names('networkpolicies')).toEqual([])
    expect(await names('secrets')).toEqual([])
    await core.createNamespacedConfigMap({
      namespace: NAMESPACE,
      body: { metadata: { name: 'anchor' } },
    })
    await expect.poll(() => status(spec)?.running, WAIT).toBe(3)
    expect(status(spec)).toMatchObject({ state: 'running', cause: null, image: 'user:1' })
    const [secret] = (await core.listNamespacedSecret({ namespace: NAMESPACE })).items
    expect(secret?.metadata).toMatchObject({
      name: pool,
      ownerReferences: [{ kind: 'ConfigMap', name: 'anchor' }],
    })
    const token = Buffer.from(secret?.data?.['token'] ?? '', 'base64').toString()
    expect(token).toBe(wishes.tokens.get(pool))
    // What our client is told of a Secret has no contents, not even in the answer to a change.
    expect(Object.keys(await client.get('secrets', NAMESPACE, pool))).not.toContain('data')
    expect(Object.keys(await client.patch('secrets', NAMESPACE, pool, {}))).not.toContain('data')
    const pods = (await client.list('pods', { namespace: NAMESPACE })).items
    const [policy] = (await client.list('networkpolicies', { namespace: NAMESPACE })).items
    const born = (metadata?: { creationTimestamp?: string }): string =>
      metadata?.creationTimestamp ?? ''
    for (const { metadata } of pods) expect(born(policy?.metadata) <= born(metadata)).toBe(true)
    wishes.wanted.set(spec, 0)
    await expect.poll(() => status(spec)?.pods, WAIT).toEqual([])
    expect(status(spec)).toMatchObject({ state: 'idle', ends: [], replicas: 0 })
    // What is as decided was never written again, whatever the API server left out of it.
    const [later] = (await client.list('networkpolicies', { namespace: NAMESPACE })).items
    expect(later?.metadata.resourceVersion).toBe(policy?.metadata.resourceVersion)
    wishes.wanted.clear()
    await expect.poll(() => names('deployments'), WAIT).toEqual([])
    await expect.poll(() => names('secrets'), WAIT).toEqual([])
    expect(await names('networkpolicies')).toHaveLength(1)
  })

  test('a pod of a node that is drained is told as that, and another waits for a node', async () => {
    const spec = specOf('drained', 'user:1')
    wishes.wanted.set(spec, 1)
    await expect.poll(() => status(spec)?.running, WAIT).toBe(1)
    const [pod] = status(spec)?.pods ?? []
    const name = pod?.name ?? ''
    const node = async (unschedulable: boolean): Promise<void> => {
      const patch = [{ op: 'add', path: '/spec/unschedulable', value: unschedulable }]
      await core.patchNode({ name: pod?.node ?? '', body: patch })
    }
    await node(true)
    try {
      await core.createNamespacedPodEviction({
        namespace: NAMESPACE,
        name,
        body: { metadata: { name, namespace: NAMESPACE } },
      })
      await expect
        .poll(() => status(spec)?.ends, WAIT)
        .toMatchObject([{ pod: name, cause: { reason: 'Evicted' } }])
      expect(status(spec)?.ends[0]?.cause.cause).toContain('is being drained')
      await expect.poll(() => cause(spec), WAIT).toMatch(/^Unschedulable: .*unschedulable/)
      expect(status(spec)?.cause?.remedy).toContain('uncordon')
    } finally {
      await node(false)
    }
    await expect.poll(() => status(spec)?.running, WAIT).toBe(1)
  })

  test('a pod that writes more than it may is put out, and told with what to raise', async () => {
    const spec = specOf('greedy', 'greedy:1', { resourceLimits: { disk: '16Mi' } })
    wishes.wanted.set(spec, 1)
    // The kubelet ends the pod first and says why afterwards.
    await expect
      .poll(() => status(spec)?.ends[0]?.cause, WAIT)
      .toMatchObject({
        reason: 'Evicted',
        cause: expect.stringMatching(/exceed/),
        remedy: expect.stringContaining('resources.disk'),
      })
  })

  test('what the namespace does not allow is told in its words, and stops no other', async () => {
    const root = specOf('root', 'user:1', {}, 'root')
    const other = specOf('other', 'user:1')
    wishes.wanted.set(root, 1)
    wishes.wanted.set(other, 1)
    await expect
      .poll(() => cause(root), WAIT)
      .toMatch(/^PodRefused: the pod security standard of the namespace refuses the pod: .*runAs/)
    expect(status(root)?.cause?.remedy).toContain('baseline')
    await expect.poll(() => status(other)?.running, WAIT).toBe(1)
    expect(status(root)).toMatchObject({ state: 'waiting', running: 0 })
  })
})
