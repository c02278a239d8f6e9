// The main job with its code in pods: records of a topic become commits, pools of pods come from none and
// go to none, results go to a topic. Java's client writes the records and reads them back.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkDelivery } from '../faults/checker.ts'
import { applyFeed, createTopics, drained, produce, verify } from '../faults/feed.ts'
import { judgeFeed, judgeLog } from '../faults/judge.ts'
import { kubernetesAvailable } from '../services/kubernetes.ts'
import { missingTools } from '../services/need.ts'
import { PodsWorld, TOOLS_IMAGE } from './pods-world.ts'

const RECORDS = 20_000
const DRAIN_MS = 300_000
const WAIT = { timeout: 120_000, interval: 500 }
const possible = kubernetesAvailable && missingTools('kubectl').length === 0

describe.skipIf(!possible)('main job in pods', () => {
  const name = `pods_main_${process.pid}`
  let world: PodsWorld

  beforeAll(async () => {
    world = await PodsWorld.start({ name })
  })
  afterAll(() => world?.close())

  test('topic to topic, 0 → n → 0 pods: 0 lost, 0 doubled, logs outlive the pods', async () => {
    const { client, kafka } = world
    const feed = {
      kafka,
      from: `${name}-in`,
      to: `${name}-out`,
      records: RECORDS,
      replication: 1,
      image: TOOLS_IMAGE,
    }
    expect(world.pods()).toEqual([])
    await createTopics(feed)
    await produce(feed, 0)
    await applyFeed(client, feed, 5_000)
    const seen = new Set<string>()
    const watching = new AbortController()
    const watch = (async () => {
      while (!watching.signal.aborted) {
        for (const pod of world.pods()) seen.add(pod)
        await new Promise((resolve) => setTimeout(resolve, 500))
      }
    })()
    await drained(client, RECORDS, DRAIN_MS).catch((error: Error) => {
      throw new Error(`${error.message}\n${world.cluster.tails()}`)
    })
    watching.abort()
    await watch
    expect(seen.size).toBeGreaterThan(0)

    expect([
      ...checkDelivery(await verify(feed), 0),
      ...(await judgeFeed(client, feed)),
      ...(await judgeLog(world.cassandra, name)),
    ]).toEqual([])
    expect(world.cluster.members.flatMap(({ ends }) => ends)).toEqual([])
    await expect.poll(() => world.pods(), WAIT).toEqual([])
  })

  test('what code wrote is read when its pods are gone', async () => {
    await world.client.call('POST /projects/:project/repos', {
      params: { project: 'default' },
      body: { name: 'words' },
    })
    const put = await world.cluster.cli(['file', 'put', 'words@master:/a.txt', '-f', '-'], 'one\n')
    expect(put.code, put.stderr).toBe(0)
    await world.put({
      pipeline: { name: 'speaks' },
      input: { pfs: { repo: 'words', glob: '/*' } },
      transform: {
        image: TOOLS_IMAGE,
        cmd: ['sh', '-c', 'echo "read $(cat /pfs/words/a.txt)"; cp /pfs/words/a.txt /pfs/out/'],
      },
    })
    await expect
      .poll(async () => (await world.cluster.cli(['logs', 'speaks'])).stdout, WAIT)
      .toContain('read one')
    await expect.poll(() => world.pods(), WAIT).toEqual([])
    const logs = await world.cluster.cli(['logs', 'speaks'])
    expect(logs.stdout).toContain('read one')
    const got = await world.cluster.cli(['file', 'get', 'speaks@master:/a.txt'])
    expect(got.stdout).toBe('one\n')
  })
})
