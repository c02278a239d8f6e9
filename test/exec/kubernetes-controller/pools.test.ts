import { createHash } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import type { Clock } from '../../../src/base/clock.ts'
import { seededRandom } from '../../../src/base/random.ts'
import type { KubernetesClient } from '../../../src/exec/adapters/kubernetes/client.ts'
import { CONTROLLER_BOUNDS } from '../../../src/exec/adapters/kubernetes/controller.ts'
import { OWN_PREFIX, POOL_LABEL } from '../../../src/exec/adapters/kubernetes/names.ts'
import { poolOf } from '../../../src/exec/adapters/kubernetes/pool-of.ts'
import { KubernetesPools } from '../../../src/exec/adapters/kubernetes/pools.ts'
import { wantedOf } from '../../../src/exec/adapters/kubernetes/wanted.ts'
import { KubernetesError } from '../../../src/exec/adapters/kubernetes/refusal.ts'
import type { PoolSettings } from '../../../src/exec/adapters/kubernetes/settings.ts'
import type { Demand, Foreman } from '../../../src/exec/pools.ts'
import type { PoolStatus } from '../../../src/model/pool-status.ts'
import { parsePipelineDocument } from '../../../src/model/spec-pipeline.ts'
import type { PipelineSpec } from '../../../src/model/spec-pipeline.ts'
import { poolsContract } from '../../contract/pools.ts'
import { VirtualClock } from '../../log/toy.ts'
import { FakeApi } from './fake-api.ts'
import { FakeCluster } from './fake-cluster.ts'
import { noErrorIsLost, until as wait } from './frame.ts'

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')
const SETTINGS: PoolSettings = {
  namespace: 'workers',
  owner: 'varve-anchor',
  image: 'varve:1',
  pullSecrets: ['ours'],
  api: { url: 'http://varve:7070', to: { pods: { role: 'api' } }, port: 7070 },
  coolDownSeconds: 10,
}
const ANCHOR = { metadata: { name: 'varve-anchor', uid: 'anchor-1' } }
const DAY_MS = 86_400_000

function specOf(name: string, more: object = {}): PipelineSpec {
  return parsePipelineDocument({
    pipeline: { name },
    transform: { image: 'edges:1', cmd: ['/edges'], ...more },
    input: { pfs: { repo: 'images', glob: '/*' } },
  })
}
const EDGES = specOf('edges')
const POOL = poolOf('p', EDGES, SETTINGS, digest) ?? ''

/** Hands out the chunks of the cluster's queue, and knows which tokens open something. */
class FakeForeman implements Foreman {
  readonly #cluster: FakeCluster
  specs: readonly PipelineSpec[] = []
  readonly good = new Map<string, string[]>()
  #tokens = 0

  constructor(cluster: FakeCluster) {
    this.#cluster = cluster
  }

  demand(): Promise<Demand> {
    const told = new Set<string>()
    const pipelines = this.specs.map((spec) => {
      const pool = poolOf('p', spec, SETTINGS, digest) ?? ''
      // The queue of the pool is the first pipeline's.
      const [queued, running] = told.has(pool)
        ? [0, 0]
        : [this.#cluster.wanted.get(pool)?.queued ?? 0, this.#cluster.held(pool)]
      told.add(pool)
      return { project: 'p', spec, queued, running }
    })
    return Promise.resolve({ pipelines, busy: this.#cluster.busy })
  }

  retire(pool: string, hosts: readonly string[]): Promise<ReadonlySet<string>> {
    return this.#cluster.retire(pool, hosts)
  }

  admit(pool: string): Promise<string> {
    const token = `token-${++this.#tokens}`
    this.good.set(pool, [...(this.good.get(pool) ?? []), token])
    return Promise.resolve(token)
  }

  forget(pool: string): Promise<void> {
    this.good.delete(pool)
    return Promise.resolve()
  }
}

let clock: VirtualClock
let api: FakeApi
let cluster: FakeCluster
let foreman: FakeForeman
let pools: KubernetesPools
let stop: AbortController
let running: Promise<unknown> = Promise.resolve()

function begin(): void {
  clock = new VirtualClock()
  const random = seededRandom(1)
  api = new FakeApi(clock, random)
  cluster = new FakeCluster(api, clock, random, POOL_LABEL)
  cluster.wanted.set(POOL, { digest: '', queued: 0 })
  foreman = new FakeForeman(cluster)
  foreman.specs = [EDGES]
  api.put('configmaps', ANCHOR)
}

function start(
  guests: Guests = { client: api, foreman },
  bounds = CONTROLLER_BOUNDS,
  settings = SETTINGS,
): void {
  const random = seededRandom(2)
  pools = new KubernetesPools({ clock, ...guests, settings, random, digest, bounds })
  stop = new AbortController()
  running = Promise.all([pools.run(stop.signal), cluster.run(stop.signal)])
}

async function end(): Promise<void> {
  stop?.abort()
  await running
}

const until = (so: () => boolean): Promise<number> => wait(clock, so, () => pools.status())
const status = (pool = POOL): PoolStatus | undefined =>
  pools.status().find((one) => one.pool === pool)
const queue = (chunks: number): void => {
  cluster.wanted.set(POOL, { digest: '', queued: chunks })
  pools.ring()
}
const first = (asked: string): number => api.asked.findIndex((one) => one.startsWith(asked))
const tokenOf = (pool: string): string | undefined => {
  const secret = api.all('secrets').find((one) => one.metadata.name === pool)
  const token = secret?.data?.['token']
  return token === undefined ? undefined : Buffer.from(token, 'base64').toString()
}
const hasPolicy = (): boolean => api.all('networkpolicies').length === 1
const isFurnished = (pool: string): boolean =>
  hasPolicy() && (foreman.good.get(pool) ?? []).includes(tokenOf(pool) ?? 'none')
/** The garbage collector takes what is deleted and needs nobody. */
const sweep = (): void => {
  for (const kind of ['secrets', 'networkpolicies'] as const)
    for (const { metadata } of api.all(kind))
      if (metadata.deletionTimestamp !== undefined) api.remove(kind, metadata.name)
}

noErrorIsLost(end)

describe('pools on Kubernetes, on a fake API server', () => {
  beforeEach(begin)

  test('0, as many as the work asks, 0; policy, token and Deployment in this order; all gone with the pipeline', async () => {
    start()
    await until(() => status()?.state === 'idle' && api.all('deployments').length === 1)
    expect(POOL.startsWith(OWN_PREFIX)).toBe(true)
    const order = ['networkpolicies', `secrets ${POOL}`, `deployments ${POOL}`]
    const at = order.map((what) => first(`create ${what}`))
    expect(at).toEqual(at.toSorted((a, b) => a - b))
    expect(at[0]).toBeGreaterThanOrEqual(0)
    expect(isFurnished(POOL)).toBe(true)
    queue(3)
    await until(() => status()?.running === 3)
    await until(() => cluster.done === 3 && api.all('pods').length === 0)
    expect(status()).toMatchObject({ project: 'p', pipelines: ['edges'], image: 'edges:1' })
    expect(cluster.robbed).toEqual([])
    const owners = [
      ...api.all('deployments'),
      ...api.all('secrets'),
      ...api.all('networkpolicies'),
    ].map(({ metadata }) => metadata.ownerReferences?.[0])
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'varve-anchor', uid: 'anchor-1' }
    expect(owners).toEqual([owner, owner, owner])
    foreman.specs = []
    await until(() => (sweep(), api.all('secrets').length === 0))
    expect([api.all('deployments'), pools.status(), [...foreman.good]]).toEqual([[], [], []])
    expect(hasPolicy()).toBe(true)
    expect(api.asked.filter((asked) => asked.startsWith('get secrets'))).toEqual([])
  })

  test('who begins while the API server is away tells nothing, then what it is; never that there is none', async () => {
    api.frozen = true
    start()
    queue(1)
    expect(pools.isInformed).toBe(false)
    const never = (so: () => boolean) => (): boolean => {
      expect([pools.isInformed, pools.status().length > 0]).toEqual(
        pools.isInformed ? [true, true] : [false, false],
      )
      return so()
    }
    await until(never(() => status()?.state === 'unknown'))
    expect(status()?.cause?.reason).toBe('ClusterUnreachable')
    api.frozen = false
    await until(never(() => cluster.done === 1))
  })

  test('a clock that is set back keeps no pod for longer', async () => {
    let behindMs = 0
    const settable: Clock = {
      nowMs: () => clock.nowMs() - behindMs,
      monotonicMs: () => clock.monotonicMs(),
      sleep: (...given) => clock.sleep(...given),
    }
    start({ client: api, foreman, clock: settable })
    queue(2)
    await until(() => cluster.done === 2)
    behindMs = 3_600_000
    await clock.sleep(60_000)
    expect(api.all('pods')).toEqual([])
  })

  test('pipelines of one shape share a pool; another image is another; pods are told what to pull with', async () => {
    const other = specOf('faces', { image: 'faces:1', imagePullSecrets: ['theirs'] })
    foreman.specs = [EDGES, specOf('corners'), other]
    start()
    await until(() => api.all('deployments').length === 2)
    await until(() => pools.status().length === 2)
    expect(status()?.pipelines).toEqual(['edges', 'corners'])
    expect(status(poolOf('p', other, SETTINGS, digest))).toMatchObject({ image: 'faces:1' })
    const pulls = api
      .all('deployments')
      .map((one) => JSON.stringify(one).match(/"imagePullSecrets":(\[.*?\])/)?.[1])
    expect(pulls.toSorted()).toEqual(['[{"name":"ours"}]', '[{"name":"theirs"},{"name":"ours"}]'])
  })

  test('a pipeline named by itself and by its jobs is one, whose caps hold for all of them', () => {
    const capped = { ...EDGES, parallelismSpec: { constant: 4 } }
    const named = [0, 3, 5].map((queued) => ({ project: 'p', spec: capped, queued, running: 1 }))
    const refused = [0, 2].map((queued) => {
      return { project: 'p', spec: specOf('named', { user: 'nobody' }), queued, running: 0 }
    })
    const options = { settings: SETTINGS, owner: undefined, digest }
    const { pools: all, unmade } = wantedOf([...named, ...refused], options)
    expect(all.map(({ work }) => work)).toEqual([
      [{ pipeline: 'edges', queued: 8, running: 3, caps: { pods: 4 } }],
    ])
    expect(unmade).toMatchObject([{ pipelines: ['named'], wanted: 2, state: 'waiting' }])
  })

  test('a pipeline no pod can be made for is told why and stops no other', async () => {
    foreman.specs = [specOf('named', { user: 'nobody' }), EDGES]
    start()
    queue(1)
    await until(() => cluster.done === 1)
    const told = pools.status().find((one) => one.pipelines[0] === 'named')
    expect(told?.cause).toMatchObject({ reason: 'SpecRefused' })
    expect(told?.cause?.cause).toContain('only the image knows who "nobody" is')
  })

  test('without its owner nothing is made, and told; with it all is', async () => {
    api.remove('configmaps', 'varve-anchor')
    start()
    queue(1)
    await until(() => status()?.wanted === 1)
    expect(status()).toMatchObject({ state: 'waiting', cause: { reason: 'OwnerMissing' } })
    expect(api.asked.filter((asked) => asked.startsWith('create'))).toEqual([])
    api.put('configmaps', ANCHOR)
    await until(() => cluster.done === 1)
    await until(() => status()?.cause === null)
  })

  test('while the policy cannot be made no pod is made, and those there may go', async () => {
    start()
    queue(4)
    await until(() => status()?.running === 4)
    api.refuse = (_verb, kind) =>
      kind === 'networkpolicies' ? ['denied', 'give its Role the verb "get"'] : undefined
    await until(() => status()?.cause?.reason === 'Denied')
    await until(() => cluster.done >= 4 && api.all('pods').length === 0)
    queue(2)
    await clock.sleep(60_000)
    expect([api.all('pods').length, status()?.cause?.reason]).toEqual([0, 'Denied'])
    api.refuse = () => undefined
    await until(() => cluster.done === 6)
  })

  test('a policy somebody changed or took is put right; one that is right is left alone', async () => {
    start()
    await until(() => api.all('deployments').length === 1)
    const [policy] = api.all('networkpolicies')
    if (policy === undefined) throw new Error('no policy')
    // As the API server tells it: what is empty is not there.
    const { ingress: _, ...spec } = policy.spec ?? {}
    api.put('networkpolicies', { ...policy, spec })
    const { metadata } = api.all('networkpolicies')[0] ?? policy
    await clock.sleep(120_000)
    expect(api.all('networkpolicies')[0]?.metadata.resourceVersion).toBe(metadata.resourceVersion)
    api.put('networkpolicies', { ...policy, spec: { ...policy.spec, egress: [{}] } })
    await until(
      () => JSON.stringify(api.all('networkpolicies')[0]?.spec) === JSON.stringify(policy.spec),
    )
    api.remove('networkpolicies', metadata.name)
    await until(hasPolicy)
  })

  test('a token is renewed when it is seven days old, and by who keeps the pools next', async () => {
    start()
    await until(() => isFurnished(POOL))
    // The clock of the machine goes on; nothing else does.
    const late = { aheadMs: 0 }
    const ahead: Clock = {
      nowMs: () => clock.nowMs() + late.aheadMs,
      monotonicMs: () => clock.monotonicMs() + late.aheadMs,
      sleep: (...given) => clock.sleep(...given),
    }
    await end()
    // Somebody may have changed what signs tokens, and then began this process.
    start({ client: api, foreman, clock: ahead })
    await until(() => tokenOf(POOL) === 'token-2')
    late.aheadMs = 7 * DAY_MS - 3_600_000
    await clock.sleep(60_000)
    expect(tokenOf(POOL)).toBe('token-2')
    late.aheadMs = 7 * DAY_MS
    await until(() => tokenOf(POOL) === 'token-3')
    await clock.sleep(60_000)
    expect(tokenOf(POOL)).toBe('token-3')
    expect(foreman.good.get(POOL)).toEqual(['token-1', 'token-2', 'token-3'])
  })

  test("what an owner had that is no longer named is nobody's, and left alone then", async () => {
    start()
    await until(() => isFurnished(POOL))
    await end()
    const { owner: _, ...settings } = SETTINGS
    start({ client: api, foreman }, CONTROLLER_BOUNDS, settings)
    await until(() => tokenOf(POOL) === 'token-2')
    await clock.sleep(60_000)
    expect(tokenOf(POOL)).toBe('token-2')
    expect(api.all('secrets')[0]?.metadata.ownerReferences ?? []).toEqual([])
  })

  test("somebody else's secret with our labels is not taken", async () => {
    const labels = { 'app.kubernetes.io/managed-by': 'varve', [POOL_LABEL]: 'x' }
    api.put('secrets', { metadata: { name: 'theirs', labels } })
    start()
    await until(() => isFurnished(POOL))
    await clock.sleep(CONTROLLER_BOUNDS.leftoverMs * 2)
    expect(api.all('secrets').map((one) => one.metadata.name)).toContain('theirs')
  })
})
interface Guests {
  readonly client: KubernetesClient
  readonly foreman: Foreman
  readonly clock?: Clock
}

/** Leftovers go at once: the virtual clock is not free. */
const SOON = { ...CONTROLLER_BOUNDS, leftoverMs: 1_000 }

/** Dies at the n-th step that changes something: before it is done, or after, without an answer. */
class Mortal {
  readonly #at: number
  readonly #done: boolean
  #steps = 0
  dead = false

  constructor(at: number, done: boolean) {
    this.#at = at
    this.#done = done
  }

  guests(): Guests {
    const writes = new Set(['create', 'replace', 'patch', 'scale', 'delete', 'admit', 'forget'])
    const wrapped = <T extends object>(target: T): T =>
      new Proxy(target, {
        get: (_, name: string) => {
          const method = (target as Record<string, (...given: unknown[]) => unknown>)[name]
          return (...given: unknown[]) =>
            this.#step(writes.has(name), () => method?.apply(target, given))
        },
      })
    return { client: wrapped<KubernetesClient>(api), foreman: wrapped<Foreman>(foreman) }
  }

  #step(writes: boolean, work: () => unknown): unknown {
    const gone = (): never => {
      throw new KubernetesError('lost', 'this process is no more')
    }
    if (this.dead) return gone()
    if (!writes || ++this.#steps !== this.#at) return work()
    this.dead = true
    return this.#done ? Promise.resolve(work()).then(gone) : gone()
  }
}

describe.each([
  ['before any step, the pipeline goes on', false, true],
  ['after any step, the pipeline goes on', true, true],
  ['before any step, the pipeline is gone', false, false],
  ['after any step, the pipeline is gone', true, false],
])('killed %s', (_, done, goesOn) => {
  test('what it leaves is mended or collected, and no pod is ever without policy and token', async () => {
    let steps = 0
    for (let alive = false; !alive; steps++) {
      begin()
      const mortal = new Mortal(steps + 1, done)
      start(mortal.guests(), SOON)
      const step = (so: () => boolean): Promise<unknown> =>
        until(() => {
          sweep()
          if (api.all('pods').some((pod) => pod.metadata.deletionTimestamp === undefined))
            expect([steps, isFurnished(POOL)]).toEqual([steps, true])
          return so()
        })
      const worked = (): boolean => cluster.done === 3 && api.all('pods').length === 0
      const cleared = (): boolean =>
        api.all('secrets').length === 0 && api.all('deployments').length === 0
      queue(3)
      await step(() => mortal.dead || worked())
      if (!mortal.dead) {
        foreman.specs = []
        await step(() => mortal.dead || cleared())
      }
      alive = !mortal.dead
      await end()
      if (!goesOn) foreman.specs = []
      // Whoever comes after it knows only what is there.
      start({ client: api, foreman }, SOON)
      if (foreman.specs.length > 0) {
        await step(worked)
        expect([steps, isFurnished(POOL)]).toEqual([steps, true])
        foreman.specs = []
      }
      await step(cleared)
      await end()
      expect([steps, [...foreman.good], cluster.robbed]).toEqual([steps, [], []])
    }
    // The policy, a Secret, a token, a Deployment, its sizes, marks, and all of it gone again.
    expect(steps).toBeGreaterThan(12)
  })
})

poolsContract('Kubernetes, on a fake API server', () => {
  begin()
  const random = seededRandom(3)
  const pool = new KubernetesPools({
    client: api,
    foreman,
    settings: SETTINGS,
    clock,
    random,
    digest,
  })
  // Work that is not done before the test has looked.
  cluster.mostWorkMs = 1e15
  const around = new AbortController()
  const turning = cluster.run(around.signal)
  return Promise.resolve({
    pools: pool,
    pool: POOL,
    want: (workers: number) =>
      void cluster.wanted.set(POOL, { digest: '', queued: workers, pods: workers }),
    alive: () => api.all('pods').filter((one) => one.status?.phase === 'Running').length,
    kill: () => Promise.resolve(cluster.kill(pool.status()[0]?.pods[0]?.name ?? '')),
    close: async () => {
      around.abort()
      await turning
    },
  })
})
