import { createHash } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/base/random.ts'
import { CONTROLLER_BOUNDS } from '../../../src/exec/adapters/kubernetes/controller.ts'
import { POOL_LABEL } from '../../../src/exec/adapters/kubernetes/names.ts'
import type { NetworkPolicy, Service } from '../../../src/exec/adapters/kubernetes/objects.ts'
import { poolOf } from '../../../src/exec/adapters/kubernetes/pool-of.ts'
import { KubernetesPools } from '../../../src/exec/adapters/kubernetes/pools.ts'
import type { PoolSettings } from '../../../src/exec/adapters/kubernetes/settings.ts'
import type { Foreman } from '../../../src/exec/pools.ts'
import type { PoolStatus } from '../../../src/model/pool-status.ts'
import { parsePipelineDocument } from '../../../src/model/spec-pipeline.ts'
import type { PipelineSpec } from '../../../src/model/spec-pipeline.ts'
import { VirtualClock } from '../../log/toy.ts'
import { FakeApi } from './fake-api.ts'
import { FakeCluster } from './fake-cluster.ts'
import { noErrorIsLost, until as wait } from './frame.ts'

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')
const SETTINGS: PoolSettings = {
  namespace: 'workers',
  owner: 'varve-anchor',
  image: 'varve:1',
  api: { url: 'http://varve:7070', to: { pods: { role: 'api' } }, port: 7070 },
  coolDownSeconds: 1,
}
const BOUNDS = { ...CONTROLLER_BOUNDS, leftoverMs: 20_000 }

function specOf(name: string, image: string, service?: object): PipelineSpec {
  return parsePipelineDocument({
    pipeline: { name },
    transform: { image, cmd: ['/serve'] },
    input: { pfs: { repo: 'pages', glob: '/' } },
    ...(service && { service }),
  })
}
/** What a cluster fills in. */
const GIVEN = { clusterIP: '10.96.0.7' }
const PORTS = { internalPort: 8080, externalPort: 80 }
const SITE = specOf('site', 'site:1', PORTS)
const PLAIN = specOf('plain', 'site:1')
const poolFor = (spec: PipelineSpec): string => poolOf('p', spec, SETTINGS, digest) ?? ''

let clock: VirtualClock
let api: FakeApi
let cluster: FakeCluster
let specs: readonly PipelineSpec[]
let queued: number
let pools: KubernetesPools
let stop: AbortController
let running: Promise<unknown> = Promise.resolve()

const FOREMAN: Foreman = {
  demand: () => {
    const pipelines = specs.map((spec) => ({ project: 'p', spec, queued, running: 0 }))
    return Promise.resolve({ pipelines, busy: new Set() })
  },
  retire: (_pool, hosts) => Promise.resolve(new Set(hosts)),
  admit: () => Promise.resolve('token'),
  forget: () => Promise.resolve(),
}

function start(settings = SETTINGS): void {
  const options = { client: api, foreman: FOREMAN, settings, clock, digest, bounds: BOUNDS }
  pools = new KubernetesPools({ ...options, random: seededRandom(2) })
  stop = new AbortController()
  running = Promise.all([pools.run(stop.signal), cluster.run(stop.signal)])
}

const until = (so: () => boolean): Promise<number> => wait(clock, so, () => pools.status())
const status = (spec = SITE): PoolStatus | undefined =>
  pools.status().find((one) => one.pool === poolFor(spec))
const address = (spec = SITE): string | null => status(spec)?.address ?? null
const service = (): Service | undefined => api.all('services')[0]
const NAME = /^varve-service-site-[0-9a-f]{20}$/
/** The policy of the service, not the one of all workers. */
const policy = (): NetworkPolicy | undefined =>
  api.all('networkpolicies').find(({ metadata }) => NAME.test(metadata.name))
/** The garbage collector takes what is deleted and needs nobody. */
const sweep = (): void => {
  for (const kind of ['secrets', 'services', 'networkpolicies'] as const)
    for (const { metadata } of api.all(kind))
      if (metadata.deletionTimestamp !== undefined) api.remove(kind, metadata.name)
}

noErrorIsLost(async () => {
  stop?.abort()
  await running
})

describe('services on a fake API server', () => {
  beforeEach(() => {
    clock = new VirtualClock()
    const random = seededRandom(1)
    api = new FakeApi(clock, random)
    cluster = new FakeCluster(api, clock, random, POOL_LABEL)
    api.put('configmaps', { metadata: { name: 'varve-anchor', uid: 'anchor-1' } })
    specs = [PLAIN, SITE]
    queued = 0
  })

  test('there from the start, with pods or without, told as an address; gone with the pipeline', async () => {
    start()
    await until(() => address() !== null && policy() !== undefined)
    const { metadata, spec } = service() ?? expect.fail('no service')
    expect(metadata.name).toMatch(NAME)
    expect(metadata.ownerReferences).toMatchObject([{ name: 'varve-anchor', uid: 'anchor-1' }])
    expect(spec).toMatchObject({
      type: 'ClusterIP',
      selector: { [POOL_LABEL]: poolFor(SITE) },
      ports: [{ port: 80, targetPort: 8080 }],
    })
    expect(address()).toBe(`${metadata.name}.workers.svc:80`)
    expect(status(PLAIN)?.address).toBeNull()
    expect(api.all('services')).toHaveLength(1)
    expect(policy()?.metadata.ownerReferences).toEqual(metadata.ownerReferences)

    queued = 1
    await until(() => status()?.running === 1)
    queued = 0
    await until(() => status()?.pods.length === 0)
    expect(address()).not.toBeNull()

    specs = [PLAIN]
    await until(() => {
      sweep()
      const there = api.all('deployments').some((one) => one.metadata.name === poolFor(SITE))
      if (there) expect([service(), policy()]).not.toContain(undefined)
      return service() === undefined && policy() === undefined
    })
  })

  test('what is right is never written again; what somebody changed or took is put right', async () => {
    start()
    await until(() => policy() !== undefined)
    const made = service() ?? expect.fail('no service')
    api.put('services', {
      ...made,
      metadata: { ...made.metadata, annotations: { ...made.metadata.annotations, other: 'x' } },
      spec: {
        ...made.spec,
        ports: made.spec?.ports?.map((one) => ({ ...one, nodePort: 30_080 })) ?? [],
        ...GIVEN,
      },
    })
    const before = service()?.metadata.resourceVersion
    await clock.sleep(120_000)
    expect(service()?.metadata.resourceVersion).toBe(before)

    const changed = service() ?? made
    api.put('services', { ...changed, spec: { ...changed.spec, selector: { app: 'theirs' } } })
    await until(() => service()?.spec?.selector?.[POOL_LABEL] === poolFor(SITE))
    expect(service()?.spec?.selector).toEqual(made.spec?.selector)
    // Not made anew: its address would be another.
    expect(service()?.spec).toMatchObject(GIVEN)
    expect(service()?.metadata.annotations).toMatchObject({ other: 'x' })
    const open = policy() ?? expect.fail('no policy')
    api.put('networkpolicies', { ...open, spec: { ...open.spec, ingress: [{}] } })
    await until(() => JSON.stringify(policy()?.spec) === JSON.stringify(open.spec))
    api.remove('services', made.metadata.name)
    api.remove('networkpolicies', made.metadata.name)
    await until(() => service() !== undefined && policy() !== undefined)
    expect(address()).toBe(`${made.metadata.name}.workers.svc:80`)
  })

  test('another image or port is another pool; the same Service leads to it', async () => {
    start()
    await until(() => policy() !== undefined)
    const { name, uid } = service()?.metadata ?? expect.fail('no service')
    const next = specOf('site', 'site:2', { internalPort: 9090, externalPort: 80 })
    specs = [PLAIN, next]
    pools.ring()
    await until(() => service()?.spec?.selector?.[POOL_LABEL] === poolFor(next))
    expect(service()).toMatchObject({
      metadata: { name, uid, labels: { [POOL_LABEL]: poolFor(next) } },
      spec: { ports: [{ port: 80, targetPort: 9090 }] },
    })
    await until(() => JSON.stringify(policy()?.spec).includes('9090'))
    expect(JSON.stringify(policy()?.spec)).toContain(poolFor(next))
    expect(address(next)).toBe(`${name}.workers.svc:80`)
    expect(address()).toBeNull()
    // The old pool goes, and takes nothing with it.
    await until(() => (sweep(), status() === undefined))
    await clock.sleep(60_000)
    sweep()
    expect(service()?.metadata.uid).toBe(uid)
    expect(policy()).toBeDefined()
  })

  test('an object of that name which is not ours is left alone and told; its pods run', async () => {
    start()
    await until(() => service() !== undefined)
    const { name } = service()?.metadata ?? expect.fail('no service')
    // Labels that others may use too; it does not say that it is the Service of a pipeline.
    const labels = { 'app.kubernetes.io/managed-by': 'varve' }
    const theirs: Service = { metadata: { name, labels }, spec: {} }
    api.remove('services', name)
    api.put('services', theirs)
    await until(() => status()?.cause?.reason === 'NameTaken')
    queued = 1
    await until(() => status()?.running === 1 && status(PLAIN)?.running === 1)
    expect(status()).toMatchObject({ address: null, cause: { reason: 'NameTaken' } })
    expect(status()?.cause?.cause).toContain(`Service "${name}"`)
    expect(status(PLAIN)?.cause).toBeNull()
    specs = [PLAIN]
    await until(() => (sweep(), status() === undefined))
    await clock.sleep(60_000)
    expect(service()).toMatchObject(theirs)
    specs = [PLAIN, SITE]
    await until(() => status()?.cause?.reason === 'NameTaken')
    api.remove('services', name)
    await until(() => address() !== null && status()?.cause === null)
  })

  test('without the right to make Services only those that serve are told of it', async () => {
    api.refuse = (verb, kind) =>
      kind === 'services' ? ['denied', `give its Role the verb "${verb}"`] : undefined
    start()
    queued = 1
    await until(() => status()?.running === 1 && status(PLAIN)?.running === 1)
    expect(status()).toMatchObject({ address: null, cause: { reason: 'Denied' } })
    expect(status(PLAIN)?.cause).toBeNull()
    specs = [PLAIN]
    await until(() => (sweep(), status() === undefined))
    api.refuse = (verb, kind) =>
      kind === 'services' && verb === 'create' ? ['quota', 'exceeded quota: few'] : undefined
    specs = [SITE]
    await until(() => status()?.cause?.reason === 'ServiceRefused')
    expect(status()?.cause?.cause).toContain('exceeded quota: few')
    api.refuse = () => undefined
    await until(() => address() !== null && status()?.cause === null)
  })

  test('answers that are lost, before the deed or after it, leave it as it should be, and nothing behind', async () => {
    api.lossRate = 0.4
    start()
    for (const image of ['site:1', 'site:2', 'site:3']) {
      const spec = specOf('site', image, PORTS)
      specs = [PLAIN, spec]
      pools.ring()
      await until(() => address(spec) !== null)
      const leads = (): boolean =>
        [service()?.spec?.selector, policy()?.spec?.podSelector].every((one) =>
          JSON.stringify(one ?? '').includes(poolFor(spec)),
        )
      await until(leads)
      await until(() => status(spec)?.cause === null)
    }
    specs = [PLAIN]
    await until(() => (sweep(), service() === undefined && policy() === undefined))
    expect(api.all('services')).toEqual([])
  })

  test('a type the operator does not allow is not made', async () => {
    const balanced = specOf('site', 'site:1', { ...PORTS, type: 'LoadBalancer' })
    specs = [balanced]
    start()
    await until(() => status()?.cause?.reason === 'SpecRefused')
    expect(api.all('services')).toEqual([])
    stop.abort()
    await running
    start({ ...SETTINGS, services: { types: ['LoadBalancer'] } })
    await until(() => service()?.spec?.type === 'LoadBalancer')
  })
})
