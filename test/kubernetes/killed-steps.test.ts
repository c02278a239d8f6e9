// Agents in pods, each killed between two of its steps: Kubernetes starts it again in the same pod, beside
// a runner and a volume that know nothing of it.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CHUNK_DATUMS, KilledJob, specOf } from '../e2e/killed-job.ts'
import { killEnv, WORKER_STEPS } from '../services/kill-at.ts'
import type { Step, Strike } from '../services/kill-at.ts'
import { KubernetesServer, kubernetesAvailable } from '../services/kubernetes.ts'
import { missingTools } from '../services/need.ts'
import { addVarveImage } from '../services/varve-image.ts'
import { PodsWorld, TOOLS_IMAGE } from './pods-world.ts'

const IMAGE = 'localhost/varve:killed'
const PRELOAD = '/app/test/services/kill-at.ts'
const CHUNKS = 3
const LIMIT_MS = 300_000
const WAIT = { timeout: LIMIT_MS, interval: 200 }
const possible = kubernetesAvailable && missingTools('kubectl').length === 0

// In the first chunk, some datums into it where a step is a datum's; each in the pipeline of its name.
const ORDERS = WORKER_STEPS.map((step) => ({
  step,
  times: step === 'run' || step === 'laid-out' ? CHUNK_DATUMS - 2 : 1,
  pipeline: step,
}))

describe.skipIf(!possible)('killed steps, in pods', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varve-killed-pods-'))
  let world: PodsWorld
  let job: KilledJob

  beforeAll(async () => {
    const server = await KubernetesServer.own()
    await addVarveImage(server, IMAGE, {
      copies: { [PRELOAD]: join(import.meta.dirname, '../services/kill-at.ts') },
      // A volume of the pod: it outlives the container.
      env: killEnv(ORDERS, { marker: '/tmp/killed', preload: PRELOAD }),
    })
    const settings = { image: IMAGE, caps: { cluster: { pods: ORDERS.length } } }
    world = await PodsWorld.start({ name: `pods_killed_${process.pid}`, server, settings })
    job = new KilledJob({ client: world.client, chunks: CHUNKS, folder })
    for (const args of [
      ['repo', 'create', 'in'],
      ['file', 'put', 'in@master:/', '-r', '-f', job.files],
    ]) {
      const ran = await world.cluster.cli(args)
      expect(ran.code, ran.stderr).toBe(0)
    }
  })
  afterAll(async () => {
    await world?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  /** What agents wrote before they ended, of the pods that are there. */
  function strikes(): readonly Strike[] {
    return world.pods().flatMap((pod) =>
      [[], ['--previous']].flatMap((which) => {
        try {
          const text = world.kubectl('logs', pod, '-c', 'agent', ...which)
          const lines = text.split('\n').filter((line) => line.startsWith('{"step"'))
          return lines.map((line) => JSON.parse(line) as Strike)
        } catch {
          // Not started, never ended, or gone.
          return []
        }
      }),
    )
  }

  test('whatever step an agent ends at: no datum is lost or counts twice', async () => {
    for (const [i, { pipeline }] of ORDERS.entries()) {
      const { transform, ...spec } = specOf(pipeline)
      await world.put({
        ...spec,
        transform: { ...transform, image: TOOLS_IMAGE },
        // Its pods differ from all others, so that each agent meets one pipeline; and there is one of them.
        resourceRequests: { memory: `${65 + i}Mi` },
        parallelismSpec: { constant: 1 },
      })
    }
    const struck = new Set<Step>()
    const allStruck = (): Step[] => {
      for (const { step } of strikes()) struck.add(step)
      return [...struck].toSorted()
    }
    await expect.poll(allStruck, WAIT).toEqual([...WORKER_STEPS].toSorted())
    for (const { pipeline } of ORDERS) {
      await job.finished(pipeline, LIMIT_MS)
      await job.check(pipeline)
    }
  })
})
