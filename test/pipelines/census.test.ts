// Workers that come and go with the work: each pool does its own, what the census says is what there is.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock as clock } from '../../src/base/clock.ts'
import { deferred } from '../../src/base/async.ts'
import type { Program } from '../../src/exec/adapters/inline/runner.ts'
import { MemoryBus } from '../../src/bus/adapters/memory.ts'
import type { Job } from '../../src/model/entities.ts'
import type { Id } from '../../src/model/id.ts'
import type { Objects } from '../../src/objects/objects.ts'
import { ring } from '../../src/pipelines/bell.ts'
import { Census } from '../../src/pipelines/census.ts'
import type { WorkRows } from '../../src/pipelines/work.ts'
import type { Versions } from '../../src/versions/versions.ts'
import { workerName } from '../../src/model/worker-name.ts'
import { Agent } from '../../src/worker/agent.ts'
import type { Runner } from '../../src/exec/runner.ts'
import type { World } from './world.ts'
import { inlineWorld, spec } from './world.ts'

const named = { input: { pfs: { repo: 'in', glob: '/*' } }, datumSetSpec: { number: 1 } }
let world: World
let runner: Runner
const ended: Promise<void>[] = []
let counting: AbortController

beforeEach(() => {
  counting = new AbortController()
})

afterEach(async () => {
  counting.abort()
  await Promise.all(ended)
  await world.close()
  expect(world.troubles).toEqual([])
})

/** A pod with one worker; `leave` ends it as a pod that is asked to go. */
function pod(host: string, pool: string): { leave(): Promise<void> } {
  const stop = new AbortController()
  const worker = `${workerName(host, world.core.ids(), 0)}@default/${pool}/i`
  const { desk: api, scratch } = world
  const running = new Agent({ api, runner, scratch, clock, worker }).run(stop.signal)
  return {
    leave: () => {
      stop.abort()
      return running
    },
  }
}

test('each pool does its own work, a retired host gets none, the census counts to 0', async () => {
  const hold = deferred<void>()
  const ran: string[] = []
  const held: Program = {
    version: '1',
    run: async ({ list, request }) => {
      ran.push(`${request.env['VARVE_PIPELINE_NAME']} ${list('in').join()}`)
      await hold.promise
      return 0
    },
  }
  const made = await inlineWorld(
    { held },
    { workers: 0, poolOf: (_project, { pipeline }) => `varve-${pipeline.name}` },
  )
  world = made.world
  runner = made.runner
  let changes = 0
  ended.push(world.census.run(() => changes++, counting.signal))
  await world.repo('in')
  for (const name of ['a', 'b']) await world.put(spec(name, 'in', ['held'], named))
  const of = async (name: string): Promise<unknown> => {
    const { pipelines, busy } = await world.census.demand()
    const own = pipelines.filter((one) => one.spec.pipeline.name === name)
    const [queued, running] = [own.map((one) => one.queued), own.map((one) => one.running)]
    const sum = (all: number[]): number => all.reduce((left, right) => left + right, 0)
    return { queued: sum(queued), running: sum(running), busy: [...busy].toSorted() }
  }
  expect(await of('a')).toEqual({ queued: 0, running: 0, busy: [] })

  await world.commit('in', { x: '1', y: '2', z: '3' })
  await expect.poll(() => of('a')).toEqual({ queued: 3, running: 0, busy: [] })
  expect(changes).toBeGreaterThan(0)
  const one = pod('one', 'varve-a')
  const two = pod('two', 'varve-a')
  await expect.poll(() => of('a')).toEqual({ queued: 1, running: 2, busy: ['one', 'two'] })
  expect(ran.every((text) => text.startsWith('a '))).toBe(true)

  // Both hold work: none may go. Then the first to end gets no more.
  expect(await world.book.retire('varve-a', ['two'])).toEqual(new Set())
  hold.resolve()
  await world.ended('a')
  expect(await world.book.retire('varve-a', ['two'])).toEqual(new Set(['two']))
  expect(await of('a')).toEqual({ queued: 0, running: 0, busy: [] })
  expect(await of('b')).toEqual({ queued: 3, running: 0, busy: [] })
  await two.leave()

  const three = pod('three', 'varve-b')
  await world.ended('b')
  expect(await of('b')).toEqual({ queued: 0, running: 0, busy: [] })
  expect(ran).toHaveLength(6)
  await Promise.all([one.leave(), three.leave()])
})

test('rows are read together, and what the bell tells meanwhile is newer than what was read', async () => {
  const none: Program = { version: '1', run: () => Promise.resolve(0) }
  const made = await inlineWorld({ none }, { workers: 0 })
  world = made.world
  await world.repo('in')
  await world.put(spec('a', 'in', ['none'], named))
  await world.commit('in', { x: '1', y: '2', z: '3' })
  const job = (): Job | undefined => world.board.project('default')?.jobs.values().next().value
  await expect.poll(() => job()?.chunks).toBe(3)
  const chunks = [0, 1, 2].map((n) => {
    return { project: 'default', pipeline: 'a', job: job()?.commit.id as Id, n }
  })
  for (const chunk of chunks) {
    await world.rows.claim(chunk, 'w', undefined)
  }
  const answer = deferred<void>()
  let asked = 0
  const get: WorkRows['get'] = async (key) => {
    const row = await world.rows.get(key)
    asked++
    await answer.promise
    return row
  }
  const rows = Object.assign(Object.create(world.rows) as WorkRows, { get })
  const bus = new MemoryBus({ clock })
  const { board } = world
  const { versions } = world.core
  const census = new Census({ board, versions, rows, bus, clock })
  let heard = 0
  ended.push(census.run(() => heard++, counting.signal))
  const told = census.demand()
  await expect.poll(() => asked).toBe(3)
  for (const chunk of chunks.slice(1)) await ring(bus, { kind: 'done', chunk })
  await expect.poll(() => heard).toBeGreaterThanOrEqual(2)
  answer.resolve()
  expect((await told).pipelines).toMatchObject([{ running: 0 }, { queued: 0, running: 1 }])
})

test('a job whose plan cannot be read is no work, is told once, and counts when it can be read', async () => {
  const none: Program = { version: '1', run: () => Promise.resolve(0) }
  const made = await inlineWorld({ none }, { workers: 0 })
  world = made.world
  await world.repo('in')
  for (const name of ['a', 'b']) await world.put(spec(name, 'in', ['none'], named))
  await world.commit('in', { x: '1' })
  const jobs = (): Job[] => [...(world.board.project('default')?.jobs.values() ?? [])]
  await expect.poll(() => jobs().length).toBe(2)
  let lost = jobs().find(({ pipeline }) => pipeline === 'a')?.plan
  const { board, rows } = world
  const { objects } = world.core
  const stat: Objects['stat'] = (root, path) =>
    root === lost ? Promise.reject(new Error('the plan is gone')) : objects.stat(root, path)
  const readable = { stat, readEntry: (entry) => objects.readEntry(entry) } as Objects
  const versions = { objects: readable } as Versions
  const census = new Census({ board, versions, rows, bus: new MemoryBus({ clock }), clock })
  const queued = async (): Promise<unknown[]> =>
    (await census.demand()).pipelines
      .filter((one) => one.queued > 0)
      .map((one) => one.spec.pipeline.name)
  expect(await queued()).toEqual(['b'])
  expect(await queued()).toEqual(['b'])
  expect(world.troubles.splice(0)).toMatchObject([{ message: 'the plan is gone' }])
  lost = undefined
  expect((await queued()).toSorted()).toEqual(['a', 'b'])
})
