// A cluster whose workers are killed between any two of their steps, and whose API between the row and the
// bell; two workers are frozen past their leases and thawed when others have done their work.

import { randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CHUNK_DATUMS, KilledJob, marked } from '../e2e/killed-job.ts'
import { cassandraAvailable } from '../services/cassandra.ts'
import { kafkaAvailable } from '../services/kafka.ts'
import { killEnv, readMarker, SERVER_STEPS, WORKER_STEPS } from '../services/kill-at.ts'
import type { Step } from '../services/kill-at.ts'
import { freePort } from '../services/process.ts'
import { createBucket, s3Available } from '../services/s3.ts'
import { shared } from '../services/shared.ts'
import { Cluster, clusterEnv, removeLogs } from './cluster.ts'
import type { ClusterOptions } from './cluster.ts'
import { RoleProcess } from './role-process.ts'

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
  const folder = mkdtempSync(join(tmpdir(), 'varve-killed-cluster-'))
  const name = `killed_${process.pid}`
  const secret = randomBytes(32).toString('hex')
  const all: RoleProcess[] = []
  let cluster: Cluster
  let options: ClusterOptions
  let workerToken: string
  let job: KilledJob

  beforeAll(async () => {
    const [kafka, s3] = [await shared('kafka'), await shared('s3')]
    const cassandra = await shared('cassandra')
    await createBucket(s3, name.replaceAll('_', '-'))
    const roles = { api: 1, log: 1, scheduler: 1, spouts: 0, egress: 0, events: 0 }
    options = { kafka, cassandra, s3, name, replication: 1, folder, secret, roles, workers: 0 }
    cluster = await Cluster.start(options)
    workerToken = (await cluster.client.call('POST /worker-tokens', { body: {} })).token
    job = new KilledJob({ client: cluster.client, chunks: CHUNKS, folder })
    for (const args of [
      ['repo', 'create', 'in'],
      ['file', 'put', 'in@master:/', '-r', '-f', job.files],
    ])
      expect((await cluster.cli(args)).stderr).not.toContain('error')
  })

  afterAll(async () => {
    await Promise.all(all.map((one) => one.kill()))
    await cluster?.stop()
    removeLogs(folder)
  })

  function begin(
    name: string,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
    url?: string,
  ): RoleProcess {
    const logFile = join(folder, `${name}.log`)
    const process = new RoleProcess({ name, args, env, logFile, url })
    all.push(process)
    process.start()
    return process
  }

  const hire = (name: string, server: string, env: Readonly<Record<string, string>>): RoleProcess =>
    begin(name, ['work', '--server', server, '--scratch', folder], {
      VARVE_WORKER_TOKEN: workerToken,
      VARVE_WORKERS: '1',
      ...env,
    })

  function doomedWorker(step: Step, signal: Signal): Doomed {
    const marker = join(folder, signal)
    const env = killEnv([{ step, times: timesOf(step, signal) }], { marker, signal })
    return { process: hire(`work-${step}-${signal}`, cluster.url, env), step, marker }
  }

  async function doomedApi(step: Step): Promise<Doomed> {
    const marker = join(folder, 'SIGKILL')
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const env = {
      ...clusterEnv(options),
      VARVE_CLUSTER_SECRET: secret,
      VARVE_TOKEN: cluster.token,
      VARVE_ADVERTISE: url,
      ...killEnv([{ step, times: 1 }], { marker }),
    }
    const args = ['serve', '--roles', 'api', '--host', '127.0.0.1', '--port', String(port)]
    return { process: begin(`api-${step}`, args, env, url), step, marker }
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
        `${error.message}\n${[...others, ...all].map((one) => one.tail()).join('\n')}`,
      )
    })

    // What the frozen ones have does not count any more; they ask for something else.
    for (const { process } of frozen) process.resume()
    const askedAgain = (): boolean =>
      frozen.every(({ marker, step }) =>
        readMarker(marker, step).afterwards.some(({ act }) => act === 'ask'),
      )
    await expect.poll(askedAgain, { timeout: LIMIT_MS }).toBe(true)
    const { afterwards } = readMarker(join(folder, 'SIGSTOP'), 'uploaded')
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
