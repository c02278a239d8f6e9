// Code in pods of a real Kubernetes: from a commit until the user's code runs, with a pod there and with
// none; one pod becoming four; how many trivial datums a pod does. Beside it, in the same run: a bare pod
// of the same image, from its creation until it runs.
import { setTimeout as sleep } from 'node:timers/promises'
import { connectKubernetes } from '../../src/exec/adapters/kubernetes/client.ts'
import type { LogLineView } from '../../src/api/logs.ts'
import { PodsWorld, TOOLS_IMAGE } from '../kubernetes/pods-world.ts'
import { stopShared } from '../services/shared.ts'
import type { Bench } from './bench.ts'
import { median, metric, quantile } from './bench.ts'

const PROJECT = { project: 'default' }
const TRIVIAL = 300

class Measured {
  readonly world: PodsWorld

  constructor(world: PodsWorld) {
    this.world = world
  }

  async repo(name: string): Promise<void> {
    const { client } = this.world
    await client.call('POST /projects/:project/repos', { params: PROJECT, body: { name } })
  }

  /** One commit of one small file each of these. @returns when it was asked for, in Unix milliseconds */
  async commit(repo: string, files: readonly string[]): Promise<number> {
    const { client, cluster } = this.world
    const put = async (file: string): Promise<void> => {
      const path = `/api/v1/projects/default/repos/${repo}/branches/master/file?path=/${file}`
      const answer = await cluster.fetch(path, { method: 'PUT', body: file })
      if (!answer.ok) throw new Error(await answer.text())
      await answer.arrayBuffer()
    }
    const [only, ...more] = files
    if (only !== undefined && more.length === 0) {
      const atMs = Date.now()
      await put(only)
      return atMs
    }
    const at = { ...PROJECT, repo }
    const { id } = await client.call(
      'POST /projects/:project/repos/:repo/branches/:branch/commits',
      {
        params: { ...at, branch: 'master' },
        body: {},
      },
    )
    for (const file of files) await put(file)
    const atMs = Date.now()
    await client.call('POST /projects/:project/repos/:repo/commits/:ref/finish', {
      params: { ...at, ref: id },
    })
    return atMs
  }

  pipeline(name: string, repo: string, cmd: readonly string[], more: object = {}): Promise<void> {
    return this.world.put({
      pipeline: { name },
      input: { pfs: { repo, glob: '/*' } },
      transform: { image: TOOLS_IMAGE, cmd },
      ...more,
    })
  }

  /** When the code wrote its first line with each of these texts, by this machine's clock. */
  async said(pipeline: string, texts: readonly string[]): Promise<readonly number[]> {
    for (;;) {
      const first = new Map<string, number>()
      const lines = this.world.client.lines('GET /projects/:project/pipelines/:pipeline/logs', {
        params: { ...PROJECT, pipeline },
        query: {},
      }) as AsyncIterable<LogLineView>
      for await (const { text, atMs } of lines)
        if (texts.includes(text) && !first.has(text)) first.set(text, atMs)
      if (first.size === texts.length) return [...first.values()].sort((a, b) => a - b)
      await sleep(100)
    }
  }

  async none(): Promise<void> {
    while (this.world.pods().length > 0) await sleep(300)
  }

  /** Until so many jobs have finished. @returns when the newest one's plan was recorded */
  async ended(pipeline: string, jobs: number): Promise<number> {
    for (;;) {
      const { items } = await this.world.client.call('GET /projects/:project/jobs', {
        params: PROJECT,
        query: { pipeline, limit: 200 },
      })
      if (items.filter((job) => job.state === 'finished').length >= jobs)
        return items[0]?.startedAtMs ?? 0
      await sleep(50)
    }
  }
}

/** From the creation of a bare pod until its container runs, in milliseconds. */
async function barePod(world: PodsWorld, n: number): Promise<number> {
  const client = await connectKubernetes({ kubeconfig: world.server.kubeconfig })
  const name = `bare-${n}`
  const beganMs = performance.now()
  await client.create('pods', 'pools', {
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 0,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 1000,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [
        {
          name: 'main',
          image: TOOLS_IMAGE,
          command: ['sleep', '600'],
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    } as never,
  })
  for (;;) {
    const pod = await client.get('pods', 'pools', name)
    if (pod.status?.containerStatuses?.[0]?.ready) break
    await sleep(20)
  }
  const tookMs = performance.now() - beganMs
  await client.delete('pods', 'pools', name)
  return tookMs
}

export const bench: Bench = {
  name: 'k8s',
  what: 'code in pods of a real Kubernetes beside Kafka, Cassandra and S3, all on this machine',
  async run({ small }) {
    const rounds = small ? 2 : 5
    const world = await PodsWorld.start({
      name: `bench_k8s_${process.pid}`,
      settings: { coolDownSeconds: 6 },
    })
    const it = new Measured(world)
    const bareMs: number[] = []
    const coldMs: number[] = []
    const warmMs: number[] = []
    const plannedMs: number[] = []
    const grownMs: number[] = []
    const rates: number[] = []
    try {
      for (let n = 0; n < rounds; n++) bareMs.push(await barePod(world, n))

      await it.repo('in')
      await it.pipeline('says', 'in', ['sh', '-c', 'cat /pfs/in/*; echo'])
      for (let n = 0; n < rounds; n++) {
        const texts = [`cold-${n}`, `warm-${n}-a`, `warm-${n}-b`, `warm-${n}-c`]
        for (const [k, text] of texts.entries()) {
          const atMs = await it.commit('in', [text])
          const [saidMs = 0] = await it.said('says', [text])
          const startedMs = await it.ended('says', n * texts.length + k + 1)
          if (k === 0) coldMs.push(saidMs - atMs)
          else {
            warmMs.push(saidMs - atMs)
            plannedMs.push(startedMs - atMs)
          }
        }
        await it.none()
      }

      await it.repo('wide')
      const one = { datumSetSpec: { number: 1 } }
      await it.pipeline('grows', 'wide', ['sh', '-c', 'cat /pfs/wide/*; echo; sleep 5'], one)
      for (let n = 0; n < rounds; n++) {
        await it.commit('wide', [`first-${n}`])
        await it.ended('grows', 2 * n + 1)
        const four = [0, 1, 2, 3].map((k) => `four-${n}-${k}`)
        const atMs = await it.commit('wide', four)
        const saidMs = await it.said('grows', four)
        grownMs.push((saidMs.at(-1) ?? 0) - atMs)
        await it.ended('grows', 2 * n + 2)
        await it.none()
      }

      await it.repo('many')
      const alone = { parallelismSpec: { constant: 1 } }
      await it.pipeline('trivial', 'many', ['sh', '-c', 'cat /pfs/many/*; echo'], alone)
      for (let n = 0; n < 3; n++) {
        const many = Array.from({ length: TRIVIAL }, (_, k) => `m-${n}-${k}`)
        await it.commit('many', many)
        const saidMs = await it.said('trivial', many)
        rates.push(((TRIVIAL - 1) * 1000) / ((saidMs.at(-1) ?? 0) - (saidMs[0] ?? 0)))
        await it.ended('trivial', n + 1)
      }
    } finally {
      await world.close()
      await stopShared()
    }
    const bare = { name: 'a bare pod, created → running', value: median(bareMs) }
    return [
      metric('commit → code runs, a pod is there: p50', median(warmMs), 'ms', {
        goal: '≤ 300 ms',
        met: median(warmMs) <= 300,
      }),
      metric('commit → code runs, a pod is there: p90', quantile(warmMs, 0.9), 'ms'),
      metric('of that until the plan is recorded: p50', median(plannedMs), 'ms'),
      metric('commit → code runs, no pod is there: p50', median(coldMs), 'ms', { peer: bare }),
      metric('one pod becomes four', median(grownMs), 'ms', { peer: bare }),
      metric('trivial datums of one pod', median(rates), '/s'),
    ]
  },
}
