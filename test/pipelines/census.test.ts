// Workers that come and go with the work: each pool does its own, what the census says is what there is.

import { afterEach, expect, test } from 'vitest'
import { systemClock as clock } from '../../src/base/clock.ts'
import { deferred } from '../../src/base/async.ts'
import type { Program } from '../../src/exec/adapters/inline/runner.ts'
import { workerName } from '../../src/model/worker-name.ts'
import { Agent } from '../../src/worker/agent.ts'
import type { Runner } from '../../src/exec/runner.ts'
import type { World } from './world.ts'
import { inlineWorld, spec } from './world.ts'

const named = { input: { pfs: { repo: 'in', glob: '/*' } }, datumSetSpec: { number: 1 } }
let world: World
let runner: Runner
const ended: Promise<void>[] = []
const counting = new AbortController()

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
