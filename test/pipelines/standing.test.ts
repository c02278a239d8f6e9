// Pipelines whose code does not end: a newer version takes the place of the one that runs. What a worker
// does with them is not the matter here: the one of these tests holds what it claims until it is told
// that it lost it.

import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Claim } from '../../src/api/worker.ts'
import { systemClock as clock } from '../../src/base/clock.ts'
import { isVarveError } from '../../src/base/errors.ts'
import type { Program } from '../../src/exec/adapters/inline/runner.ts'
import type { Commit, Job } from '../../src/model/entities.ts'
import type { Op } from '../../src/model/ops.ts'
import type { World } from './world.ts'
import { PROJECT, inlineWorld, spec } from './world.ts'

const none: Program = { version: '1', run: () => 0 }
const abilities = {
  runs: 'pods',
  root: false,
  labelKeys: [],
  serviceTypes: ['ClusterIP'],
  prices: false,
} as const

let world: World
let programs: Map<string, Program>
let ending: AbortController
let holding: Promise<void>
/** All there ever were, the newest last, and how many of them are over. */
let claims: Claim[]
let over: number

beforeEach(async () => {
  const made = await inlineWorld({ none }, { workers: 0, abilities })
  world = made.world
  programs = made.runner.programs
  ending = new AbortController()
  claims = []
  over = 0
  holding = hold(ending.signal)
  await world.repo('in')
})

afterEach(async () => {
  ending.abort()
  await holding
  await world.close()
  expect(world.troubles).toEqual([])
})

async function hold(signal: AbortSignal): Promise<void> {
  let beat = 0
  while (!signal.aborted) {
    const claim = await world.desk.claim('w-0', 200, signal)
    if (!claim) continue
    claims.push(claim)
    let lost: readonly Claim[] = []
    while (lost.length === 0 && !signal.aborted) {
      await clock.sleep(2, signal)
      lost = await world.desk.beat('w-0', ++beat, [claim])
    }
    over += lost.length
  }
}

/** A pipeline of Pachyderm's documents that has an image, as pods need one. */
const service = (more: object = {}, input: object = { repo: 'in' }): Record<string, unknown> => ({
  ...spec('board', 'in', ['none'], { transform: { image: 'board:1' } }),
  input: { pfs: input },
  service: { internal_port: 8080 },
  ...more,
})
const spout = (more: object = {}): Record<string, unknown> => ({
  pipeline: { name: 'mail' },
  transform: { cmd: ['none'], image: 'mail:1' },
  spout: {},
  ...more,
})

/** The nth claim, once it is held and all before it are over. */
async function runs(nth: number): Promise<Claim> {
  await expect.poll(() => [claims.length, over], { timeout: 10_000 }).toEqual([nth, nth - 1])
  return claims[nth - 1] as Claim
}

async function propose(...ops: Op[]): Promise<void> {
  await world.core.versions.propose(PROJECT, ops, { id: world.core.ids(), principal: 'user:test' })
}

const jobOf = (claim: Claim): Promise<Job | undefined> =>
  world.core.versions.job(PROJECT, claim.pipeline, claim.job)

async function tip(repo: string, branch = 'master'): Promise<Commit | undefined> {
  const { versions } = world.core
  const id = (await versions.branch(PROJECT, { repo, branch }))?.tip?.id
  return id && versions.commit(PROJECT, { repo, branch, id })
}

test('a service runs over the newest commit, once, and ends for a newer one, an update and a stop', async () => {
  await world.put(service())
  const one = await world.commit('in', { a: '1', b: '2' })
  const first = await runs(1)
  expect(first.inputs).toMatchObject([{ commit: one.id, glob: '/' }])
  expect(first.datums).toMatchObject([{ inputs: [{ name: 'in', path: '', kind: 'dir' }] }])
  expect(await jobOf(first)).toMatchObject({
    state: 'running',
    standing: true,
    planned: { run: 1, reuse: 0, total: 1 },
  })
  expect(await tip('board')).toMatchObject({ state: 'running', standing: true })
  world.desk.progress(first, 0, 3)
  const { pipelines } = world
  await expect
    .poll(() => pipelines.waitingFor(PROJECT, 'board'))
    .toBe('running: its code ended 3 times in a row, and is started again')

  const two = await world.commit('in', { a: '2' })
  const second = await runs(2)
  expect(second.inputs).toMatchObject([{ commit: two.id }])
  const cause = { code: 'STOPPED', text: `a newer version took its place: ${second.job}` }
  expect(await jobOf(first)).toMatchObject({ state: 'stopped', cause })

  await world.put(service({ description: 'with other words' }))
  const third = await runs(3)
  expect(third.inputs).toMatchObject([{ commit: two.id }])
  await world.put(service({ description: 'with other words' }))

  await propose({ op: 'pipeline.stop', name: 'board' })
  await expect.poll(async () => (await jobOf(third))?.cause?.text).toBe('it was stopped')
  await world.commit('in', { a: '3' })
  await propose({ op: 'pipeline.start', name: 'board' })
  const fourth = await runs(4)
  expect(fourth.inputs).toMatchObject([{ commit: (await tip('in'))?.id }])

  await propose({ op: 'pipeline.delete', name: 'board' })
  await expect.poll(() => over).toBe(4)
  // Nobody holds a chunk of it any more, whatever its worker believes.
  await expect.poll(async () => (await world.rows.get(fourth))?.state).toBe('closed')
})

test('a service goes on while what is newer failed, and runs over an input without files', async () => {
  await world.commit('in', { a: '1' })
  // No datum at all: it needs no worker, and puts nothing out.
  const nothing = { input: { pfs: { repo: 'in', glob: '/none*' } } }
  const up = (cmd: string): Record<string, unknown> =>
    spec('up', 'in', [cmd], { ...nothing, transform: { image: 'up:1' } })
  await world.put(up('none'))
  await world.ended('up')
  await world.put(service({}, { repo: 'up', name: 'data' }))
  const first = await runs(1)
  expect(first.datums).toMatchObject([{ inputs: [{ name: 'data', path: '' }] }])

  await world.put(up('lost'))
  expect(await world.ended('up')).toMatchObject({ state: 'failed' })
  await world.commit('in', { a: '2' })
  await world.ended('up')
  expect(await tip('board')).toMatchObject({ state: 'queued', cause: { code: 'INPUT_FAILED' } })
  expect([claims.length, over]).toEqual([1, 0])
  expect(await jobOf(first)).toMatchObject({ state: 'running' })

  programs.set('lost', none)
  await world.put(up('lost'))
  const second = await runs(2)
  expect(second.inputs).toMatchObject([{ commit: (await tip('up'))?.id }])
  expect(await jobOf(first)).toMatchObject({ state: 'stopped' })
})

test('a service becomes an ordinary pipeline, and its run ends', async () => {
  await world.commit('in', { a: '1' })
  await world.put(service())
  const first = await runs(1)
  await world.put(spec('board', 'in', ['none'], { transform: { image: 'board:1' } }))
  const second = await runs(2)
  expect(await jobOf(first)).toMatchObject({ state: 'stopped' })
  expect((await jobOf(second))?.standing).toBeUndefined()
})

test('a spout runs without input, again when it is updated, and anybody writes where its code does', async () => {
  expect(await world.pipelines.plan(PROJECT, spout())).toEqual({
    total: 1,
    run: 1,
    reuse: 0,
    warnings: [],
  })
  await world.put(spout())
  const first = await runs(1)
  expect(first).toMatchObject({ pipeline: 'mail', inputs: [], datums: [{ inputs: [] }] })
  expect(await tip('mail', 'runs')).toMatchObject({ state: 'running', standing: true })
  expect(await tip('mail')).toBeUndefined()

  await world.commit('mail', { 'inbox/1': 'hello' })
  expect(await world.files('mail')).toEqual({ 'inbox/1': 'hello' })
  await world.put(spout())
  expect([claims.length, over]).toEqual([1, 0])
  await world.put(spout({ description: 'of the whole house' }))
  const second = await runs(2)
  expect((await jobOf(first))?.cause?.text).toContain(second.job)
  expect(await world.files('mail')).toEqual({ 'inbox/1': 'hello' })

  // Stopped as a job, nothing opens another: putting it again does.
  await propose({ op: 'job.stop', commit: { repo: 'mail', branch: 'runs', id: second.job } })
  await expect.poll(async () => (await jobOf(second))?.state).toBe('stopped')
  await world.put(spout({ description: 'of the whole house' }))
  await runs(3)
})

test('what does not end is read by no pipeline, whichever of the two is put first', async () => {
  await world.put(service())
  const reader = spec('reader', 'board', ['none'], { transform: { image: 'reader:1' } })
  expect(await refused(world.put(reader))).toMatch(/cannot read "board@master".*do not end/)
  await world.put(spec('late', 'in', ['none'], { transform: { image: 'late:1' } }))
  await world.put({ ...reader, input: { pfs: { repo: 'late', glob: '/*' } } })
  const late = { ...service(), pipeline: { name: 'late' } }
  expect(await refused(world.put(late))).toMatch(/cannot put "late": "reader" reads "late@master"/)
  await world.put(spout())
  await world.put({ ...reader, input: { pfs: { repo: 'mail', glob: '/*' } } })
})

async function refused(act: Promise<void>): Promise<string> {
  try {
    await act
  } catch (error) {
    if (isVarveError(error, 'INVALID_SPEC')) return error.message
    throw error
  }
  throw new Error('it was accepted')
}
