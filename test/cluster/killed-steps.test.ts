// A cluster whose workers are killed between any two of their steps, and whose API between the row and the
// bell; two workers are frozen past their leases and thawed when others have done their work.

import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CHUNK_DATUMS, KilledJob, marked } from '../e2e/killed-job.ts'
import { cassandraAvailable } from '../services/cassandra.ts'
import { kafkaAvailable } from '../services/kafka.ts'
import { killEnv, readMarker, SERVER_STEPS, WORKER_STEPS } from '../services/kill-at.ts'
import type { Step } from '../services/kill-at.ts'
import { s3Available } from '../services/s3.ts'
import type { Cluster } from './cluster.ts'
import { KilledCluster } from './killed-cluster.ts'
import type { RoleProcess } from './role-process.ts'

const FROZEN_STEPS = ['run', 'uploaded'] as const
/** Each process that ends has one in hand, and some are left for those that stay. */
const CHUNKS = WORKER_STEPS.length + FROZEN_STEPS.length + SERVER_STEPS.length + 3
const LIMIT_MS = 120_000
const PIPELINE = 'upper'

type Signal = 'SIGKILL' | 'SIGSTOP'

/** In the first chunk, some datums into it where a step is a datum's. */
function timesOf(step: Step, signal: Signal): number {
  if (step !== 'run' && step !== 'laid-out') return 1
  // After the last one, or a thawed worker begins another before it hears that the chunk is lost.
  return signal === 'SIGSTOP' ? CHUNK_DATUMS : CHUNK_DATUMS - 2
}

/** A process that ends, or freezes, at a step. */
interface Doomed {
  readonly process: RoleProcess
  readonly step: Step
  readonly marker: string
}

describe.skipIf(!kafkaAvailable || !cassandraAvailable || !s3Available)('killed steps', () => {
  let world: KilledCluster
  let cluster: Cluster
  let workerToken: string
  let job: KilledJob

  beforeAll(async () => {
    world = await KilledCluster.start('killed', 1)
    cluster = world.cluster
    workerToken = (await cluster.client.call('POST /worker-tokens', { body: {} })).token
    job = new KilledJob({ client: cluster.client, chunks: CHUNKS, folder: world.folder })
    for (const args of [
      ['repo', 'create', 'in'],
      ['file', 'put', 'in@master:/', '-r', '-f', job.files],
    ])
      expect((await cluster.cli(args)).stderr).not.toContain('error')
  })

  afterAll(() => world?.stop())

  const hire = (name: string, server: string, env: Readonly<Record<string, string>>): RoleProcess =>
    world.begin(name, ['work', '--server', server, '--scratch', world.folder], {
      VARVE_WORKER_TOKEN: workerToken,
      VARVE_WORKERS: '1',
      ...env,
    })

  function doomedWorker(step: Step, signal: Signal): Doomed {
    const marker = join(world.folder, signal)
    const env = killEnv([{ step, times: timesOf(step, signal) }], { marker, signal })
    return { process: hire(`work-${step}-${signal}`, cluster.url, env), step, marker }
  }

  async function doomedApi(step: Step): Promise<Doomed> {
    const marker = join(world.folder, 'SIGKILL')
    const env = killEnv([{ step, times: 1 }], { marker })
    return { process: await world.beginApi(`api-${step}`, env), step, marker }
  }

  test('whatever step a worker or its API ends at: no datum is lost or counts twice, what is done stays done', async () => {
    const apis = await Promise.all(SERVER_STEPS.map(doomedApi))
    const applied = await cluster.cli(['apply', '-f', '-'], job.spec(PIPELINE))
    expect(applied.stderr).not.toContain('error')
    const killed = WORKER_STEPS.map((step) => doomedWorker(step, 'SIGKILL'))
    const frozen = FROZEN_STEPS.map((step) => doomedWorker(step, 'SIGSTOP'))
    const struck = ({ marker, step, process }: Doomed): Promise<void> =>
      marked(marker, step, () => process.tail())
    await Promise.all(
      killed.map(async (one) => {
        await struck(one)
        // It ends itself; nobody starts it again.
        await one.process.kill()
      }),
    )
    await Promise.all(frozen.map(struck))

    // Those who go on have an API each that is killed once and started again.
    await Promise.all(apis.map(({ process }) => process.ready(LIMIT_MS)))
    const others = apis.map(({ process }, i) => hire(`work-${i}`, String(process.url), {}))
    await Promise.all(apis.map(struck))
    await job.finished(PIPELINE, LIMIT_MS).catch((error: Error) => {
      throw new Error(
        `${error.message}\n${[...others, ...world.doomed].map((one) => one.tail()).join('\n')}`,
      )
    })

    // What the frozen ones have does not count any more; they ask for something else.
    for (const { process } of frozen) process.resume()
    const askedAgain = (): boolean =>
      frozen.every(({ marker, step }) =>
        readMarker(marker, step).afterwards.some(({ act }) => act === 'ask'),
      )
    await expect.poll(askedAgain, { timeout: LIMIT_MS }).toBe(true)
    const { afterwards } = readMarker(join(world.folder, 'SIGSTOP'), 'uploaded')
    expect(afterwards).toContainEqual({ act: 'done', counts: false })

    const strikes = [...killed, ...frozen, ...apis].map(
      ({ marker, step }) => readMarker(marker, step).strike,
    )
    expect(strikes.map((strike) => strike?.step)).toEqual([
      ...WORKER_STEPS,
      ...FROZEN_STEPS,
      ...SERVER_STEPS,
    ])
    const found = strikes.filter((strike) => strike !== undefined)
    job.checkRuns(PIPELINE, await job.check(PIPELINE), found)
  })
})
