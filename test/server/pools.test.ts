import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Hindrance, PoolStatus } from '../../src/model/pool-status.ts'
import { jobHindrance, poolOf } from '../../src/server/hindrances.ts'
import { NO_NODE, WAITING, poolWorld } from './pool-world.ts'
import type { PoolWorld } from './pool-world.ts'

let world: PoolWorld
const project = 'default'
const of = { project, pipeline: 'count', job: 'latest' }
const RUNNING: PoolStatus = { ...WAITING, state: 'running', running: 2, cause: null }

beforeAll(async () => {
  world = await poolWorld()
})
afterAll(() => world.close())
beforeEach(() => {
  world.board.pools = [WAITING]
  world.board.reported = true
})

const job = () =>
  world.client.call('GET /projects/:project/pipelines/:pipeline/jobs/:job', { params: of })
const pipeline = () =>
  world.client.call('GET /projects/:project/pipelines/:pipeline', { params: of })
const datum = () =>
  world.client.call('GET /projects/:project/pipelines/:pipeline/jobs/:job/datums/:datum', {
    params: { ...of, datum: '5'.repeat(8) },
  })
const demand = (pool = WAITING.pool) =>
  world.client.call('GET /projects/:project/pools/:pool/demand', { params: { project, pool } })
const node = async () => {
  const graph = await world.client.call('GET /projects/:project/graph', { params: { project } })
  return graph.nodes.find(({ key }) => key === 'pipeline:count')
}

test('of two pools of a pipeline the one with its work is told, in whatever order', () => {
  const idle: PoolStatus = { ...WAITING, pool: 'v-new', state: 'idle', wanted: 0, cause: null }
  for (const pools of [
    [idle, WAITING],
    [WAITING, idle],
  ])
    expect(poolOf({ all: () => pools, reported: true }, project, 'count')?.cause).toBe(NO_NODE)
})

test('a pool that waits says why in pipeline, job, datum and river, and what to try', async () => {
  const all = await world.client.call('GET /projects/:project/pools', { params: { project } })
  expect(all).toEqual({ items: [WAITING], next: null })
  expect(await pipeline()).toMatchObject({
    pool: { pool: WAITING.pool, state: 'waiting', running: 0, replicas: 2, cause: NO_NODE },
    lastJob: { waiting: NO_NODE },
  })
  expect(await job()).toMatchObject({ state: 'running', waiting: NO_NODE })
  expect(await datum()).toMatchObject({ state: 'queued', waiting: NO_NODE })
  const lines = await Array.fromAsync(
    world.client.lines('GET /projects/:project/pipelines/:pipeline/jobs/:job/datums', {
      params: of,
    }),
  )
  // One that a worker holds waits for nothing.
  expect(lines.map(({ state, waiting }) => [state, waiting])).toEqual([
    ['queued', NO_NODE],
    ['running', null],
  ])
  expect(await node()).toMatchObject({
    state: 'waiting: no node',
    cause: { text: NO_NODE.cause, remedy: NO_NODE.remedy },
    pods: { pool: WAITING.pool, running: 0, wanted: 4 },
  })
})

test('once somebody runs the work, only what is queued waits, for those before it', async () => {
  world.board.pools = [RUNNING]
  expect(await job()).toMatchObject({ waiting: null })
  expect(await datum()).toMatchObject({ waiting: { reason: 'WorkersBusy' } })
  expect(await node()).toMatchObject({ state: 'running', cause: null, pods: { running: 2 } })
  // Of a pipeline put anew: the pool of the job before still works, another is led to.
  const address = 'varve-service-count.work.svc:80'
  world.board.pools = [RUNNING, { ...WAITING, pool: 'v-new', wanted: 0, address }]
  expect(await pipeline()).toMatchObject({ pool: { pool: RUNNING.pool, address } })
  expect(await node()).toMatchObject({ address })
  // As many as the budget allows, and more work than that: it runs, and says what is in the way.
  const cause: Hindrance = { reason: 'BudgetReached', cause: 'the budget', remedy: 'raise it' }
  world.board.pools = [{ ...RUNNING, state: 'partly', cause }]
  expect(await job()).toMatchObject({ waiting: null })
  expect(await datum()).toMatchObject({ waiting: cause })
  expect(await node()).toMatchObject({ state: 'running', cause: { remedy: 'raise it' } })
})

test('a start is a state and no trouble; a pipeline of no pool is as it always was', async () => {
  const cause = { reason: 'Starting', cause: 'starting since 2 s', remedy: 'wait a moment' }
  world.board.pools = [{ ...WAITING, state: 'starting', cause }]
  expect(await node()).toMatchObject({ state: 'waiting: starting', cause: null })
  world.board.pools = [{ ...WAITING, pipelines: ['other'] }]
  expect(await pipeline()).toMatchObject({ pool: null, lastJob: { waiting: null } })
  expect(await datum()).toMatchObject({ waiting: null })
  expect(await node()).toMatchObject({ state: 'running', cause: null, pods: null })
})

test('nobody tells of pools: it is said to be unknown, and no number is given to scale by', async () => {
  expect(await demand()).toEqual({ pool: WAITING.pool, wanted: 4, running: 0, replicas: 2 })
  world.board.reported = false
  world.board.pools = []
  expect(await pipeline()).toMatchObject({ pool: { state: 'unknown', pool: null } })
  await expect(demand()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  world.board.pools = [{ ...WAITING, state: 'unknown' }]
  await expect(demand()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  world.board.reported = true
  await expect(demand('v-default-1a2c')).rejects.toMatchObject({
    code: 'NOT_FOUND_POOL',
    message: expect.stringContaining(`did you mean "${WAITING.pool}"`) as string,
  })
  // Another project's pools are not told of.
  world.board.pools = [{ ...WAITING, project: 'other' }]
  await expect(demand()).rejects.toMatchObject({ code: 'NOT_FOUND_POOL' })
})

test('a commit without a job is refused with what it waits for', async () => {
  const [first, second] = world.outputs
  const ask = (id: string) =>
    world.client.call('GET /projects/:project/pipelines/:pipeline/jobs/:job', {
      params: { ...of, job: id },
    })
  await expect(ask(second?.slice(-8) ?? '')).rejects.toMatchObject({
    code: 'NOT_FOUND_JOB',
    message: expect.stringContaining(
      `has no job yet: it is queued behind count@master=${first}, which is running`,
    ) as string,
  })
})

test('the plan says how much may run at once', async () => {
  const route = 'GET /projects/:project/pipelines/:pipeline/plan'
  const plan = await world.client.call(route, { params: of })
  expect(plan).toMatchObject({ run: 1, bound: { pods: 8, costPerHour: 3.2 } })
  const body =
    'pipeline: {name: count}\ninput: {pfs: {repo: in, glob: /*}}\ntransform: {cmd: [x]}\n'
  const applied = await world.client.call('POST /projects/:project/apply', {
    params: { project },
    query: { dryRun: true },
    body,
  })
  expect(applied.items[0]).toMatchObject({ name: 'count', bound: { pods: 8 } })
})

test('a job whose datums are all done waits for no worker', () => {
  const row = {
    state: 'running',
    planned: { run: 4, reuse: 0, total: 4 },
    commit: { repo: 'count', branch: 'master', id: world.outputs[0] as never },
  } as const
  const pool = poolOf({ all: () => [WAITING], reported: true }, project, 'count')
  const progress = { pipeline: 'count', job: row.commit.id, total: 4, toRun: 4, failed: 0 }
  expect(jobHindrance(row, pool, { ...progress, done: 3 })).toBe(NO_NODE)
  expect(jobHindrance(row, pool, { ...progress, done: 4 })).toBe(null)
  expect(jobHindrance({ ...row, planned: { run: 0, reuse: 4, total: 4 } }, pool, undefined)).toBe(
    null,
  )
})
