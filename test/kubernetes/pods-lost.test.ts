// What befalls pods: whatever ends them, every datum counts once, and the cause is shown.

import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JobView } from '../../src/api/jobs.ts'
import type { PoolStatus } from '../../src/model/pool-status.ts'
import { kubernetesAvailable } from '../services/kubernetes.ts'
import { missingTools } from '../services/need.ts'
import { PodsWorld, TOOLS_IMAGE, processesOf, signalGroup } from './pods-world.ts'

const DATUMS = 12
const WAIT = { timeout: 180_000, interval: 300 }
const PROJECT = { project: 'default' }
const possible = kubernetesAvailable && missingTools('kubectl').length === 0

/** A datum of about two seconds that says so in its output. */
const SLOW = 'sleep 2; for f in /pfs/in/*; do cat $f > /pfs/out/${f##*/}; done; echo ran'

describe.skipIf(!possible)('pods that are lost', () => {
  let world: PodsWorld
  let next = 0

  beforeAll(async () => {
    world = await PodsWorld.start({
      name: `pods_lost_${process.pid}`,
      settings: {
        caps: { cluster: { pods: 6 } },
        prices: { cpuHour: 0.04, memoryGiBHour: 0.005, gpuHour: 2 },
      },
    })
    await world.client.call('POST /projects/:project/repos', {
      params: PROJECT,
      body: { name: 'in' },
    })
    const files = Array.from({ length: DATUMS }, (_, n) => `d${n}`)
    for (const file of files) {
      const put = await world.cluster.cli(['file', 'put', `in@master:/${file}`, '-f', '-'], file)
      expect(put.code, put.stderr).toBe(0)
    }
  })
  afterAll(() => world?.close())

  function put(name: string, more: Record<string, unknown> = {}): Promise<void> {
    const { transform, ...rest } = more
    return world.put({
      pipeline: { name },
      input: { pfs: { repo: 'in', glob: '/*' } },
      parallelismSpec: { constant: 2 },
      datumSetSpec: { number: 1 },
      ...rest,
      transform: {
        image: TOOLS_IMAGE,
        cmd: ['sh', '-c', SLOW],
        ...(transform as Record<string, unknown> | undefined),
      },
    })
  }

  /** For every test a pool of its own: its pods ask for a memory of their own. */
  function own(): Record<string, unknown> {
    return { resourceRequests: { memory: `${64 + ++next}Mi` } }
  }

  /** The newest first. */
  async function jobs(pipeline: string): Promise<readonly JobView[]> {
    const { items } = await world.client.call('GET /projects/:project/jobs', {
      params: PROJECT,
      query: { pipeline },
    })
    return items
  }

  async function job(pipeline: string): Promise<JobView | undefined> {
    return (await jobs(pipeline))[0]
  }

  async function pool(pipeline: string): Promise<PoolStatus | undefined> {
    const { items } = await world.client.call('GET /projects/:project/pools', {
      params: PROJECT,
      query: {},
    })
    return items.find((each) => each.pipelines.includes(pipeline)) as PoolStatus | undefined
  }

  async function cause(pipeline: string): Promise<string> {
    const found = await pool(pipeline)
    const all = [found?.cause, ...(found?.pods ?? []).map((pod) => pod.cause)]
    for (const end of found?.ends ?? []) all.push(end.cause)
    return all.map((one) => (one ? `${one.reason}: ${one.cause}` : '')).join('\n')
  }

  /** How often each datum of its only job was tried, by the agent that did it. */
  async function attempts(pipeline: string): Promise<readonly number[]> {
    const path = 'GET /projects/:project/pipelines/:pipeline/jobs/:job/datums'
    const params = { ...PROJECT, pipeline, job: (await job(pipeline))?.id ?? '' }
    const found: number[] = []
    for await (const datum of world.client.lines(path, { params, query: {} }))
      found.push(datum.attempts)
    return found.toSorted((a, b) => a - b)
  }

  async function busyPod(pipeline: string): Promise<string> {
    let name = ''
    await expect
      .poll(async () => {
        const pods = (await pool(pipeline))?.pods ?? []
        name = pods.find((pod) => pod.busy && pod.state === 'running')?.name ?? ''
        return name
      }, WAIT)
      .not.toBe('')
    return name
  }

  /** Every datum counted once, with the output it should have. */
  async function wholeOnce(pipeline: string): Promise<void> {
    await expect.poll(async () => (await job(pipeline))?.state, WAIT).toBe('finished')
    const counts = (await jobs(pipeline)).map((each) => each.counts)
    expect(counts[0]).toMatchObject({ total: DATUMS, failed: 0 })
    // A pipeline that was put again has a second job, which reuses what the first did.
    expect(counts.reduce((sum, each) => sum + (each?.ran ?? 0), 0)).toBe(DATUMS)
    for (let n = 0; n < DATUMS; n++) {
      const got = await world.cluster.cli(['file', 'get', `${pipeline}@master:/d${n}`])
      expect(got.stdout, got.stderr).toBe(`d${n}`)
    }
  }

  test('deleted with no grace while they work', async () => {
    await put('deleted', own())
    for (let n = 0; n < 2; n++) {
      const pod = await busyPod('deleted')
      world.kubectl('delete', 'pod', pod, '--grace-period=0', '--force', '--ignore-not-found')
      await expect.poll(() => world.pods(), WAIT).not.toContain(pod)
    }
    await wholeOnce('deleted')
  })

  test.each([
    ['agent', 'kill-agent', 'kill -9 $(pidof node)'],
    ['user', 'kill-runner', 'kill -9 -1'],
  ])('the container of the %s killed', async (container, pipeline, kill) => {
    await put(pipeline, own())
    const pod = await busyPod(pipeline)
    const shell = container === 'user' ? ['/varve/tools/busybox', 'sh'] : ['sh']
    const there = ['-n', 'pools', 'exec', pod, '-c', container, '--', ...shell, '-c', kill]
    spawnSync('kubectl', ['--kubeconfig', world.server.kubeconfig, ...there])
    await wholeOnce(pipeline)
  })

  test('the runner itself killed in the middle of a datum, and all it started with it', async () => {
    await put('kill-first', own())
    const group = world.group(await busyPod('kill-first'), 'user')
    await expect
      .poll(() => processesOf(group).map((one) => one.command), { ...WAIT, interval: 50 })
      .toContain('sleep 2 ')
    const first = processesOf(group).find((one) => one.first)
    expect(first?.command).toContain('/varve/tools/runner')
    process.kill(first?.pid ?? Number.NaN, 'SIGKILL')
    await expect
      .poll(() => cause('kill-first'), WAIT)
      .toMatch(/container "user" ended 1 times, last with exit code 137/)
    await wholeOnce('kill-first')
    expect(await attempts('kill-first')).toEqual([...Array(DATUMS - 1).fill(1), 2])
  })

  test('evicted: the budget of the node drains it, pods come again when it is back', async () => {
    await put('drained', own())
    await busyPod('drained')
    const node = world.kubectl('get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}')
    const drain = ['drain', node, '--ignore-daemonsets', '--delete-emptydir-data', '--force']
    world.kubectl(...drain, '--grace-period=1', '--timeout=60s', '--pod-selector=varve.dev/pool')
    await expect.poll(() => cause('drained'), WAIT).toMatch(/Unschedulable|Evicted|Deleted/)
    expect(await cause('drained')).toContain('Unschedulable')
    world.kubectl('uncordon', node)
    await wholeOnce('drained')
  })

  test('a node lost with its pods, which come back with work in hand: told, and counted once', async () => {
    await put('node-lost', own())
    const busy = async (): Promise<readonly string[]> => {
      const pods = (await pool('node-lost'))?.pods ?? []
      return pods.filter((pod) => pod.busy && pod.state === 'running').map((pod) => pod.name)
    }
    await expect.poll(async () => (await busy()).length, WAIT).toBe(2)
    const lost = await busy()
    const groups = lost.map((pod) => world.group(pod))
    await world.server.signal('kubelet', 'STOP')
    for (const group of groups) signalGroup(group, 'SIGSTOP')
    await expect.poll(() => cause('node-lost'), WAIT).toContain('NodeLost: nothing is heard of')
    world.kubectl('delete', 'nodes', '--all', '--wait=false')
    await expect.poll(() => cause('node-lost'), WAIT).toMatch(/NodeLost: node ".+" is lost/)
    await expect.poll(() => cause('node-lost'), WAIT).toContain('Unschedulable')
    for (const pod of lost) expect(world.pods()).not.toContain(pod)
    // It was only asleep. The kubelet makes its node anew when it starts again.
    for (const group of groups) signalGroup(group, 'SIGCONT')
    await world.server.signal('kubelet', 'KILL')
    await wholeOnce('node-lost')
  })

  test('the API server of the cluster frozen and restarted: work goes on', async () => {
    await put('frozen', own())
    await busyPod('frozen')
    await world.server.signal('kube-apiserver', 'STOP')
    await new Promise((resolve) => setTimeout(resolve, 5_000))
    await world.server.signal('kube-apiserver', 'CONT')
    await world.server.signal('kube-apiserver', 'KILL')
    await wholeOnce('frozen')
  })

  test('out of memory: tried again, then failed with the limit in words', async () => {
    await put('hungry', {
      datumTries: 2,
      resourceLimits: { memory: '48Mi' },
      transform: { cmd: ['sh', '-c', 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done'] },
    })
    await expect.poll(async () => (await job('hungry'))?.state, WAIT).toBe('failed')
    expect((await job('hungry'))?.cause?.text).toContain('killed by SIGKILL after 2 attempts')
    // Which of its processes the kernel takes, and whether the pod notices, is the node's affair.
    const logs = await world.cluster.cli(['logs', 'hungry'])
    expect(logs.stdout).toContain('48Mi')
  })

  test.each([
    ['image', { transform: { image: 'localhost:1/no/such:1' } }, 'cannot be pulled'],
    [
      'gpu',
      { resourceLimits: { gpu: { type: 'nvidia.com/gpu', number: 1 } } },
      'Insufficient nvidia.com/gpu',
    ],
    [
      'secret',
      { transform: { secrets: [{ name: 'none', key: 'k', envVar: 'K' }] } },
      'secret "none" is not there',
    ],
  ])('%s missing: said with what to try', async (what, more, words) => {
    const name = `no-${what}`
    await put(name, { ...own(), ...more })
    await expect.poll(() => cause(name), WAIT).toContain(words)
    const shown = await world.cluster.cli(['pipeline', 'inspect', name])
    expect(shown.stdout).toContain(words)
    await world.client.call('DELETE /projects/:project/pipelines/:pipeline', {
      params: { ...PROJECT, pipeline: name },
    })
    await expect.poll(async () => await pool(name), WAIT).toBeUndefined()
  })

  test('quota reached: waits and says so, goes on when it is raised', async () => {
    const quota = (pods: number): string =>
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'ResourceQuota',
        metadata: { name: 'few' },
        spec: { hard: { pods: String(pods) } },
      })
    const apply = (text: string): void => {
      const to = ['--kubeconfig', world.server.kubeconfig, '-n', 'pools', 'apply', '-f', '-']
      expect(spawnSync('kubectl', to, { input: text }).status).toBe(0)
    }
    await expect.poll(() => world.pods().length, WAIT).toBe(0)
    apply(quota(0))
    await put('quota', own())
    await expect.poll(() => cause('quota'), WAIT).toContain('QuotaReached')
    apply(quota(20))
    await wholeOnce('quota')
    world.kubectl('delete', 'resourcequota', 'few')
  })

  test('what would pass its budget waits, says so, and goes on when it is raised', async () => {
    const costs = (costPerHour: number): Record<string, unknown> => ({
      resourceRequests: { cpu: '90m', memory: '64Mi' },
      parallelismSpec: { constant: 4 },
      budget: { costPerHour },
    })
    // A pod asks for 100m and 128Mi with its agent: 0.0046 an hour.
    await put('costly', costs(0.005))
    await expect.poll(() => cause('costly'), WAIT).toContain('BudgetReached')
    await expect.poll(async () => (await pool('costly'))?.replicas, WAIT).toBe(1)
    await put('costly', costs(0.02))
    await expect.poll(async () => (await pool('costly'))?.replicas, WAIT).toBe(4)
    await wholeOnce('costly')
  })

  test('when all is done no pod is left', async () => {
    await expect.poll(() => world.pods(), WAIT).toEqual([])
  })
})
