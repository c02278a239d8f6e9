// What fails on the way to a worker costs that one try, and nobody else anything.

import { afterEach, expect, test, vi } from 'vitest'
import { VarveError } from '../../src/base/errors.ts'
import type { Claim } from '../../src/api/worker.ts'
import type { Job } from '../../src/model/entities.ts'
import { workerName } from '../../src/model/worker-name.ts'
import type { Program } from '../../src/exec/adapters/inline/runner.ts'
import type { World } from './world.ts'
import { inlineWorld, spec } from './world.ts'

const none: Program = { version: '1', run: () => Promise.resolve(0) }
const AWAY = new VarveError('UNAVAILABLE', 'cannot read: it is away')
let world: World

afterEach(async () => {
  vi.restoreAllMocks()
  await world.close()
  expect(world.troubles).toEqual([])
})

/** A job of one chunk of each pipeline, and a worker that asks once for either. */
async function begin(...names: string[]): Promise<() => Promise<Claim | undefined>> {
  const made = await inlineWorld({ none }, { workers: 0, poolOf: () => 'varve-a' })
  world = made.world
  await world.repo('in')
  for (const name of names)
    await world.put(spec(name, 'in', ['none'], { input: { pfs: { repo: 'in', glob: '/*' } } }))
  await world.commit('in', { x: '1' })
  await expect.poll(() => jobs().length).toBe(names.length)
  const worker = `${workerName('one', world.core.ids(), 0)}@default/varve-a/i`
  return () => world.desk.claim(worker, 0, new AbortController().signal)
}

function jobs(): Job[] {
  return [...(world.board.project('default')?.jobs.values() ?? [])]
}

test('a claim that fails after the lease was taken gives it back at once', async () => {
  const claim = await begin('a')
  vi.spyOn(world.book, 'mayKeep').mockRejectedValueOnce(AWAY)
  await expect(claim()).rejects.toThrow(AWAY)
  expect(await claim()).toMatchObject({ pipeline: 'a', token: 2 })
})

test('a job whose plan cannot be read keeps nobody from the others', async () => {
  const claim = await begin('a', 'b')
  const { objects } = world.core
  const lost = jobs()[0]
  const stat = objects.stat.bind(objects)
  vi.spyOn(objects, 'stat').mockImplementation((root, path) =>
    root === lost?.plan ? Promise.reject(AWAY) : stat(root, path),
  )
  await expect(claim()).rejects.toThrow(AWAY)
  expect(await claim()).toMatchObject({ pipeline: jobs()[1]?.pipeline })
})

test('what waits and what is held is counted, until it is done', async () => {
  const claim = await begin('a', 'b')
  expect(world.queue.count()).toEqual({ queued: 2, running: 0 })
  const one = (await claim()) as Claim
  expect(world.queue.count()).toEqual({ queued: 1, running: 1 })
  const two = (await claim()) as Claim
  expect(world.queue.count()).toEqual({ queued: 0, running: 2 })
  await world.desk.giveBack(one)
  expect(world.queue.count()).toEqual({ queued: 1, running: 1 })
  const output = world.desk.output(two)
  const results = two.datums.map((datum) => ({
    ...datum,
    state: 'success' as const,
    attempts: 1,
    exit: null,
    lastLines: [],
    times: { layoutMs: 0, runMs: 0, uploadMs: 0 },
    files: 0,
  }))
  expect(await world.desk.done(two, await output.finish(results))).toBe(true)
  await expect.poll(() => world.queue.count()).toEqual({ queued: 1, running: 0 })
})
