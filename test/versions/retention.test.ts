// Retention over the real log and rows, on memory ports.

import { afterEach, expect, test } from 'vitest'
import { utf8 } from '../../src/base/bytes.ts'
import { systemClock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { Core } from '../../src/main/core.ts'
import type { Commit } from '../../src/model/entities.ts'
import type { KeepRule } from '../../src/model/keep.ts'
import type { Op } from '../../src/model/ops.ts'
import { MOST_DROPPED } from '../../src/model/ops.ts'
import { parseFilePath } from '../../src/model/path.ts'
import { Retention, runRetention } from '../../src/versions/retention.ts'
import { memoryCore } from './core.ts'
import { PLAN, at } from './drive.ts'

const DAY_MS = 86_400_000
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

interface World extends Core {
  propose(...ops: Op[]): Promise<void>
  /** So many commits on a branch, the oldest first. */
  put(name: string, n: number): Promise<Commit[]>
  /** What of a repo is kept, the oldest first. */
  kept(repo: string): Promise<string[]>
}

async function open(): Promise<World> {
  const core = await memoryCore(3)
  const { versions: v, ids } = core
  const stop = new AbortController()
  const writing = core.writeLog(stop.signal)
  closing.push(async () => {
    stop.abort()
    await writing
    await core.close()
  })
  const request = () => ({ id: ids(), principal: 'test' })
  return {
    ...core,
    async propose(...ops) {
      await v.propose('default', ops, request())
    },
    async put(name, n) {
      const made: Commit[] = []
      for (let i = 0; i < n; i++) {
        const id = request()
        const file = parseFilePath(`f${id.id}`)
        const write = async (writer: Parameters<Parameters<typeof v.commitFiles>[2]>[0]) => {
          await writer.put(file, utf8(id.id))
        }
        made.push(await v.commitFiles('default', at(name), write, id))
      }
      return made
    },
    async kept(repo) {
      const all = await Array.fromAsync(v.commits('default', repo))
      return all.flatMap(({ id, dropped }) => (dropped ? [] : [id])).toReversed()
    },
  }
}

const machine = ({ versions, ids }: World, laterMs = 0): Retention =>
  new Retention(
    {
      versions,
      newId: ids,
      clock: { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs },
    },
    'default',
  )
const last = (n: number): KeepRule => ({ last: n, youngerThanMs: null })
const ids = (commits: readonly Commit[]): string[] => commits.map(({ id }) => id)

test('the newest stay, of each branch by its own rule, and the next look goes on from there', async () => {
  const world = await open()
  await world.propose({ op: 'repo.create', name: 'a' })
  const main = await world.put('a', 6)
  const side = await world.put('a@side', 3)
  const retention = machine(world)
  await retention.sweep('a')
  expect(await world.kept('a')).toHaveLength(9)
  await world.propose({ op: 'retention.put', repo: 'a', keep: last(2) })
  await world.propose({ op: 'retention.put', repo: 'a', branch: 'side', keep: 'all' })
  await retention.sweep('a')
  expect(await world.kept('a')).toEqual([...ids(main.slice(4)), ...ids(side)])
  const seq = await world.versions.watermark('default')
  await retention.sweep('a')
  expect(await world.versions.watermark('default')).toBe(seq)
  const more = await world.put('a', 1)
  await retention.sweep('a')
  expect(await world.kept('a')).toEqual([...ids(main.slice(5)), ...ids(side), ...ids(more)])
  await world.propose({ op: 'retention.put', repo: 'a', branch: 'side', keep: null })
  await retention.sweep('a')
  expect(await world.kept('a')).toEqual([
    ...ids(main.slice(5)),
    ...ids(side.slice(1)),
    ...ids(more),
  ])
  // What the rows say is what the log says.
  const request = { id: world.ids(), principal: 'test' }
  const signal = new AbortController().signal
  const steps = await Array.fromAsync(world.versions.rebuild('default', request, true, signal))
  expect(steps.at(-1)).toMatchObject({ phase: 'done', differing: 0 })
})

test('as many as there are go, in entries that fit', async () => {
  const world = await open()
  await world.propose({ op: 'repo.create', name: 'a' })
  const commits = await world.put('a', MOST_DROPPED + 3)
  await world.propose({ op: 'retention.put', repo: 'a', keep: last(1) })
  const seq = await world.versions.watermark('default')
  await machine(world).sweep('a')
  expect(await world.versions.watermark('default')).toBe(seq + 2)
  expect(await world.kept('a')).toEqual(ids(commits.slice(-1)))
})

test('what is young stays until it is old, and what something needs stays until nothing does', async () => {
  const world = await open()
  await world.propose({ op: 'repo.create', name: 'a' })
  const commits = await world.put('a', 2)
  const pipeline = { name: 'b', inputs: [at('a')], outputBranch: 'master', spec: {} }
  // A job for the second, and one for each that comes.
  await world.propose({ op: 'pipeline.put', pipeline: { ...pipeline, backlog: 'every' } })
  const keep = { last: null, youngerThanMs: DAY_MS }
  await world.propose({ op: 'retention.put', repo: 'a', keep })
  await world.put('a', 1)
  await machine(world).sweep('a')
  expect(await world.kept('a')).toHaveLength(3)
  await machine(world, DAY_MS).sweep('a')
  expect(await world.kept('a')).not.toContain(commits[0]?.id)
  expect(await world.kept('a')).toHaveLength(2)
  for await (const commit of world.versions.commits('default', 'b'))
    await world.propose({ op: 'job.stop', commit })
  await machine(world, DAY_MS).sweep('a')
  expect(await world.kept('a')).toEqual([
    (await world.versions.branch('default', at('a')))?.head?.id,
  ])
})

test('a pipeline, too: failed jobs push no result out, and go with the results they are older than', async () => {
  const world = await open()
  await world.propose({ op: 'repo.create', name: 'a' })
  const pipeline = { name: 'b', inputs: [at('a')], outputBranch: 'master', spec: {} }
  await world.propose({ op: 'pipeline.put', pipeline: { ...pipeline, backlog: 'every' } })
  for (const state of ['finished', 'failed', 'finished', 'failed', 'failed'] as const) {
    const [input] = await world.put('a', 1)
    const commit = { ...at('b'), id: (input as Commit).id }
    const planned = { run: 0, reuse: 0, total: 0 }
    const job = { commit, plan: PLAN }
    const counts = { total: 0, ran: 0, reused: 0, failed: 0, recovered: 0, codeChanged: 0 }
    const good = state === 'finished'
    await world.propose({ op: 'job.started', ...job, chunks: 0, codeKey: 'k', planned })
    await world.propose({
      op: 'job.finished',
      ...job,
      state,
      root: good ? ((input as Commit).root ?? null) : null,
      stats: good ? { files: 1, bytes: 1 } : null,
      datumTree: PLAN,
      ownerTree: PLAN,
      counts,
      cause: null,
    })
  }
  await world.propose({ op: 'retention.put', repo: 'b', keep: last(1) })
  await machine(world).sweep('b')
  const rows = await Array.fromAsync(world.versions.commits('default', 'b'))
  expect(rows.map(({ state, dropped }) => [state, dropped !== undefined])).toEqual([
    ['failed', false],
    ['failed', false],
    ['finished', false],
    ['failed', true],
    ['finished', true],
  ])
})

test('the machine hears of a rule and of new commits, wherever they come from', async () => {
  const world = await open()
  await world.propose({ op: 'repo.create', name: 'a' })
  const commits = await world.put('a', 3)
  const stop = new AbortController()
  const guests = { versions: world.versions, random: seededRandom(5) }
  // Rests take no time here.
  const clock = {
    ...systemClock,
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 500, signal),
  }
  const running = runRetention({ ...guests, clock }, stop.signal)
  closing.push(async () => {
    stop.abort()
    await running
  })
  await world.propose({ op: 'retention.put', repo: 'a', keep: last(1) })
  const dropped: string[] = []
  for await (const { decision } of world.versions.follow('default', 0, stop.signal)) {
    const gone = 'yes' in decision ? decision.yes.filter(({ f }) => f === 'commit.dropped') : []
    for (const fact of gone) if ('commit' in fact) dropped.push(fact.commit.id)
    if (gone.length > 0 && dropped.length === 2) await world.put('a', 1)
    if (dropped.length === 3) break
  }
  expect(new Set(dropped)).toEqual(new Set(ids(commits)))
})
