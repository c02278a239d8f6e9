import { beforeEach, describe, expect, test } from 'vitest'
import type { Random } from '../../../src/base/random.ts'
import { seededRandom } from '../../../src/base/random.ts'
import {
  CONTROLLER_BOUNDS,
  PoolController,
} from '../../../src/exec/adapters/kubernetes/controller.ts'
import type { Deployment, Pod } from '../../../src/exec/adapters/kubernetes/objects.ts'
import type { PoolStatus } from '../../../src/model/pool-status.ts'
import { VirtualClock } from '../../log/toy.ts'
import { FakeApi } from './fake-api.ts'
import { FakeCluster, NAMES, deploymentOf } from './fake-cluster.ts'
import { noErrorIsLost, until as wait } from './frame.ts'

let clock: VirtualClock
let random: Random
let api: FakeApi
let cluster: FakeCluster
let controller: PoolController
let stop: AbortController
let running: Promise<unknown>

function begin(seed: number): void {
  clock = new VirtualClock()
  random = seededRandom(seed)
  api = new FakeApi(clock, random)
  cluster = new FakeCluster(api, clock, random)
  start()
}

function start(): void {
  controller = new PoolController({ client: api, superior: cluster, names: NAMES, clock, random })
  stop = new AbortController()
  running = Promise.all([controller.run(stop.signal), cluster.run(stop.signal)])
}

async function end(): Promise<void> {
  stop.abort()
  await running
}

beforeEach(() => begin(1))
noErrorIsLost(end)

const until = (so: () => boolean): Promise<number> => wait(clock, so, () => controller.status())

const report = (id = 'a'): PoolStatus | undefined =>
  controller.status().find((one) => one.pool === id)
const listed = (id = 'a'): Deployment | undefined =>
  api.all('deployments').find((one) => one.metadata.name === `pool-${id}`)
const replicas = (id = 'a'): number | undefined => listed(id)?.spec?.replicas
const pods = (): number => api.all('pods').length
const writes = (): string[] => api.asked.filter((asked) => !/^(list|watch|get)/.test(asked))

describe('a quiet cluster', () => {
  test('0, as many as the work asks, 0 again; the work is done and no pod goes with work in hand', async () => {
    cluster.wanted.set('a', { digest: '1', queued: 0 })
    await until(() => report()?.state === 'idle')
    expect([replicas(), pods()]).toEqual([0, 0])
    cluster.wanted.set('a', { digest: '1', queued: 30, pods: 8 })
    controller.ring()
    await until(() => report()?.running === 8)
    await until(() => cluster.done === 30)
    await until(() => pods() === 0 && report()?.state === 'idle')
    expect([cluster.robbed, cluster.most, replicas()]).toEqual([[], 8, 0])
    expect(report()?.ends).toEqual([])
  })

  test('writes nothing when nothing is to be done', async () => {
    cluster.wanted.set('a', { digest: '1', queued: 0 })
    await until(() => report()?.state === 'idle')
    const before = writes().length
    await clock.sleep(600_000)
    expect(writes().slice(before)).toEqual([])
  })

  test('work that would pass a cap waits, says so, and goes on when it is raised', async () => {
    cluster.limits = { ...cluster.limits, cluster: { budgetPerHour: 2 } }
    cluster.wanted.set('a', { digest: '1', queued: 200 })
    await until(() => report()?.running === 2)
    await until(() => report()?.cause?.reason === 'BudgetReached')
    await clock.sleep(60_000)
    expect(cluster.most).toBe(2)
    cluster.limits = { ...cluster.limits, cluster: { budgetPerHour: 5 } }
    await until(() => report()?.running === 5)
  })

  test('a changed spec without work replaces all at once, under work one after the other', async () => {
    cluster.wanted.set('a', { digest: '1', queued: 0 })
    await until(() => listed() !== undefined)
    cluster.wanted.set('a', { digest: '2', queued: 0 })
    await until(() => listed()?.metadata.annotations?.['digest'] === '2')
    expect(listed()?.spec?.strategy).toEqual({ type: 'Recreate' })
    cluster.wanted.set('a', { digest: '2', queued: 100, pods: 4 })
    await until(() => report()?.pods.filter((pod) => pod.busy).length === 4)
    cluster.wanted.set('a', { digest: '3', queued: 100, pods: 4 })
    await until(() => listed()?.metadata.annotations?.['digest'] === '3')
    expect(listed()?.spec).toMatchObject({
      replicas: 4,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } },
    })
    expect(report()?.change).toContain('one after the other')
  })

  test('another selector means another Deployment', async () => {
    cluster.wanted.set('a', { digest: '1', queued: 0 })
    api.put('deployments', {
      ...deploymentOf('a', '0'),
      spec: { replicas: 0, selector: { matchLabels: { of: 'old' } } },
    })
    await until(() => listed()?.metadata.annotations?.['digest'] === '1')
    expect(listed()?.spec?.selector).toEqual({ matchLabels: { ours: 'yes', pool: 'a' } })
  })
})

describe('leftovers', () => {
  test('a pool nobody wants and a pod without an owner go, not before their time and not others', async () => {
    api.put('deployments', deploymentOf('old', '1'))
    const orphan = { labels: { ours: 'yes', pool: 'old' } }
    api.put('pods', { metadata: { name: 'orphan', ...orphan } })
    api.put('pods', { metadata: { name: 'foreign', labels: { pool: 'old' } } })
    await clock.sleep(CONTROLLER_BOUNDS.leftoverMs - 5_000)
    expect([listed('old') === undefined, pods()]).toEqual([false, 2])
    await until(() => listed('old') === undefined && pods() === 1)
    expect(api.all('pods').map((pod) => pod.metadata.name)).toEqual(['foreign'])
    await until(() => controller.status().length === 0)
  })

  test('nothing is taken away while the work cannot be read', async () => {
    cluster.wanted.set('a', { digest: '1', queued: 50, pods: 3 })
    await until(() => report()?.running === 3)
    cluster.silent = true
    await until(() => report()?.cause?.reason === 'WorkUnknown')
    const before = writes().length
    await clock.sleep(900_000)
    expect([report()?.state, replicas(), writes().length]).toEqual(['unknown', 3, before])
    cluster.silent = false
    await until(() => replicas() === 0)
  })

  test.each([
    ['Failed', { reason: 'Evicted', message: 'The node was low on resource: memory.' }],
    ['Succeeded', {}],
  ])('a pod that is over, %s, goes after its reason was kept', async (phase, more) => {
    cluster.wanted.set('a', { digest: '1', queued: 0 })
    const labels = { ours: 'yes', pool: 'a' }
    // Old enough to go at the first look.
    const creationTimestamp = new Date(0).toISOString()
    api.put('pods', {
      metadata: { name: 'gone', labels, creationTimestamp },
      status: { phase, ...more },
    })
    cluster.killed.add('gone')
    await until(() => pods() === 0)
    expect(report()?.ends).toMatchObject([{ pod: 'gone', cause: { reason: 'Evicted' } }])
  })

  /** The only pod of a pool at work; what becomes of it is somebody else's doing. */
  async function killed(): Promise<Pod> {
    cluster.wanted.set('a', { digest: '1', queued: 200, pods: 1 })
    await until(() => report()?.running === 1)
    const [pod] = api.all('pods')
    if (pod === undefined) throw new Error('no pod')
    cluster.killed.add(pod.metadata.name)
    return pod
  }

  test('a pod that was put out and ended in order is told with what only its event says', async () => {
    const pod = await killed()
    const { name } = pod.metadata
    // Old enough to go at once.
    const metadata = { ...pod.metadata, creationTimestamp: new Date(-60_000).toISOString() }
    api.put('pods', { ...pod, metadata, status: { phase: 'Succeeded' } })
    await until(() => report()?.ends.length === 1)
    // Events may come later than what they are about.
    await clock.sleep(1_500)
    api.put('events', {
      metadata: { name: 'e' },
      reason: 'Evicted',
      message: 'Usage of EmptyDir volume "work" exceeds the limit "16Mi". ',
      involvedObject: { kind: 'Pod', name, uid: pod.metadata.uid ?? '' },
    })
    await until(() => report()?.ends[0]?.cause.cause.includes('exceeds') === true)
    await until(() => !api.all('pods').some((one) => one.metadata.name === name))
    await clock.sleep(60_000)
    expect(report()?.ends).toMatchObject([
      { pod: name, cause: { reason: 'Evicted', remedy: expect.stringContaining('disk') } },
    ])
  })

  test('a reason that was told stays when the kubelet then takes it back and no event has it', async () => {
    const pod = await killed()
    const { name } = pod.metadata
    const message = 'Usage of EmptyDir volume "work" exceeds the limit "16Mi". '
    api.put('pods', { ...pod, status: { phase: 'Failed', reason: 'Evicted', message } })
    await until(() => report()?.ends.length === 1)
    api.put('pods', { ...pod, status: { phase: 'Succeeded' } })
    await until(() => !api.all('pods').some((one) => one.metadata.name === name))
    expect(report()?.ends).toMatchObject([
      { pod: name, cause: { cause: expect.stringContaining('exceeds') } },
    ])
  })
})

describe('trouble is told and passes', () => {
  test('a Deployment somebody deleted is made anew, and said', async () => {
    cluster.wanted.set('a', { digest: '1', queued: 50, pods: 2 })
    await until(() => report()?.running === 2)
    const uid = listed()?.metadata.uid
    await api.delete('deployments', 'n', 'pool-a')
    await until(() => listed() !== undefined && listed()?.metadata.uid !== uid)
    expect(report()?.change).toContain('somebody deleted its Deployment')
    await until(() => report()?.running === 2)
  })

  test('a pod somebody deleted is told as that, one we took is not', async () => {
    cluster.wanted.set('a', { digest: '1', queued: 20, pods: 2 })
    await until(() => report()?.running === 2)
    const victim = report()?.pods[0]?.name ?? ''
    cluster.kill(victim)
    await until(() => cluster.done >= 20 && pods() === 0)
    expect(report()?.ends.map((one) => [one.pod, one.cause.reason])).toEqual([[victim, 'Deleted']])
  })

  test('a pod that is deleted and gone at once is told all the same', async () => {
    cluster.wanted.set('a', { digest: '1', queued: 200, pods: 2 })
    await until(() => report()?.running === 2)
    const victim = report()?.pods[0]?.name ?? ''
    cluster.killed.add(victim)
    api.remove('pods', victim)
    await until(() => report()?.ends[0]?.pod === victim)
    expect(report()?.ends[0]?.cause.reason).toBe('Deleted')
  })

  test('each time a container is killed for memory is told once, also when its pod goes on', async () => {
    cluster.mostWorkMs = 1e12
    cluster.wanted.set('a', { digest: '1', queued: 1, pods: 1 })
    await until(() => report()?.running === 1)
    const killed = async (finishedAt: string): Promise<void> => {
      const [pod] = api.all('pods')
      if (pod === undefined) throw new Error('no pod')
      const lastState = { terminated: { exitCode: 137, reason: 'OOMKilled', finishedAt } }
      const containerStatuses = [{ name: 'user', ready: true, restartCount: 1, lastState }]
      api.put('pods', { ...pod, status: { ...pod.status, containerStatuses } })
      await clock.sleep(60_000)
    }
    const ends = (): unknown => report()?.ends.map((one) => [one.cause.reason, one.atMs])
    const times = ['2026-11-22T18:00:00Z', '2026-11-22T18:05:00Z']
    for (const time of times) await killed(time)
    expect(ends()).toEqual(times.map((time) => ['OutOfMemory', Date.parse(time)]))
    expect(report()?.state).toBe('running')
  })

  test.each([
    [
      'refused',
      'deployments "a" is forbidden: violates PodSecurity "restricted:latest": x',
      'PodRefused',
    ],
    [
      'quota',
      'deployments "a" is forbidden: exceeded quota: team, requested: count=1',
      'QuotaReached',
    ],
    ['denied', 'give its Role the verb "create" on "deployments"', 'Denied'],
  ] as const)('one pool that is %s stops no other', async (reason, message, expected) => {
    api.refuse = (verb, _kind, name) =>
      verb === 'create' && name === 'pool-a' ? [reason, message] : undefined
    cluster.wanted.set('a', { digest: '1', queued: 1 })
    cluster.wanted.set('b', { digest: '1', queued: 10, pods: 1 })
    await until(() => report('b')?.running === 1)
    await until(() => report('a')?.cause?.reason === expected)
    api.refuse = () => undefined
    await until(() => report('a')?.running === 1)
    expect(report('a')?.cause).toBe(null)
  })

  test('a server that stands still is told, what is known stays shown, and then it goes on', async () => {
    cluster.wanted.set('a', { digest: '1', queued: 500, pods: 2 })
    await until(() => report()?.running === 2)
    api.frozen = true
    await until(() => report()?.cause?.reason === 'ClusterUnreachable')
    expect([report()?.state, report()?.running]).toEqual(['unknown', 2])
    api.frozen = false
    await until(() => report()?.state === 'running')
  })
})

// Everything at once: lost answers, late events, broken watches, a forgotten past, a server that stands
// still, a controller that starts anew, somebody who scales, deletes and kills.
test.each(Array.from({ length: 20 }, (_, n) => n + 10))(
  'seed %i: whatever happens, all is done and nothing is left',
  async (seed) => {
    await end()
    begin(seed)
    api.lossRate = 0.1
    api.lateMs = 2_000
    for (const id of ['a', 'b', 'c']) cluster.wanted.set(id, { digest: '1', queued: 25, pods: 5 })
    cluster.limits = { ...cluster.limits, cluster: { pods: 9 } }
    let meddled = false
    for (let n = 0; n < 40; n++) {
      await clock.sleep(random.next() * 6_000)
      const id = ['a', 'b', 'c'][Math.floor(random.next() * 3)] ?? 'a'
      const some = api.all('pods').filter((pod) => pod.metadata.deletionTimestamp === undefined)[0]
      const chance = Math.floor(random.next() * 10)
      if (chance === 0) api.breakWatches()
      if (chance === 1) api.forgottenUpTo = Number(listed(id)?.metadata.resourceVersion ?? 0) - 1
      if (chance === 2) api.frozen = !api.frozen
      if (chance === 3 && some !== undefined) cluster.kill(some.metadata.name)
      if (chance === 4 && !meddled && listed(id) !== undefined) {
        meddled = true
        for (const pod of api.all('pods')) cluster.killed.add(pod.metadata.name)
        api.put('deployments', {
          ...(listed(id) as Deployment),
          metadata: {
            ...(listed(id) as Deployment).metadata,
            deletionTimestamp: new Date(clock.nowMs()).toISOString(),
          },
        })
      }
      if (chance === 5) {
        await end()
        start()
      }
      if (chance === 6) controller.ring()
      expect(cluster.most).toBeLessThanOrEqual(9)
    }
    Object.assign(api, { lossRate: 0, lateMs: 0, frozen: false, forgottenUpTo: 0 })
    await until(() => cluster.done === 75 && pods() === 0)
    await until(() =>
      controller.status().every((one) => one.state === 'idle' && one.cause === null),
    )
    // A Deployment that went while nobody listened is made anew.
    await until(() => ['a', 'b', 'c'].every((id) => replicas(id) === 0))
    expect(cluster.robbed).toEqual([])
  },
)
