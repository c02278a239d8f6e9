import { afterEach, expect, test } from 'vitest'
import { must } from '../../src/base/assert.ts'
import { liveEvents } from '../../src/events/live.ts'
import { parseEventId, publicEvents } from '../../src/events/public-events.ts'
import type { PublicEvent } from '../../src/events/public-events.ts'
import { PROJECT, makeWorld } from '../spouts/world.ts'
import type { World } from '../spouts/world.ts'

let world: World | undefined

afterEach(async () => {
  await world?.close()
  world = undefined
})

async function take(count: number, lastEventId?: string): Promise<PublicEvent[]> {
  if (!world) throw new Error('no world')
  const stop = new AbortController()
  const events: PublicEvent[] = []
  for await (const event of liveEvents(world.versions, PROJECT, stop.signal, lastEventId)) {
    events.push(event)
    if (events.length === count) stop.abort()
  }
  return events
}

test('events are the entries told again, the same each time, and resume behind any of them', async () => {
  world = await makeWorld()
  await world.propose({ op: 'repo.create', name: 'r' })
  const commit = await world.put('r', { a: '1\n' })
  await world.put('r', { b: '2\n' })
  const all = await take(4, `${PROJECT}:1:0.0`)
  expect(all.map(({ type }) => type)).toContain('dev.varve.commit.finished.v1')
  const finished = all.find(({ type }) => type === 'dev.varve.commit.finished.v1')
  expect(finished).toMatchObject({
    subject: `${PROJECT}/r@master=${commit}`,
    data: { repo: 'r', branch: 'master', commit, origin: 'user', request: commit },
  })
  for (const [i, { id }] of all.slice(0, -1).entries())
    expect(await take(all.length - 1 - i, id)).toEqual(all.slice(i + 1))
})

test('a commit that was given up is told as one that ended without a result, and why', async () => {
  world = await makeWorld()
  await world.propose({ op: 'repo.create', name: 'r' })
  const branch = { repo: 'r', branch: 'master' }
  await world.propose({ op: 'commit.open', branch, note: null })
  const { id } = must(await world.versions.openCommit(PROJECT, branch), 'the open commit')
  await world.propose({ op: 'commit.abandon', commit: { ...branch, id } })
  const [told] = (await take(4, `${PROJECT}:1:0.0`)).slice(-1)
  expect(told).toMatchObject({
    type: 'dev.varve.commit.failed.v1',
    subject: `${PROJECT}/r@master=${id}`,
    data: { commit: id, state: 'stopped', origin: 'user', why: { code: 'STOPPED' } },
  })
})

test('a rejection has no public event', () => {
  const decision = { no: { code: 'PATH_CONFLICT', message: 'no' } } as const
  const entry = {
    seq: 1,
    id: '0'.repeat(32) as never,
    atMs: 5,
    principal: 'p',
    cause: null,
    fingerprint: '',
    decision,
  }
  expect(publicEvents(PROJECT, entry)).toEqual([])
})

test('an id of another project or generation is no place to resume', () => {
  expect(parseEventId('p', 'p:1:12.3')).toEqual({ seq: 12, n: 3 })
  for (const other of ['q:1:12.3', 'p:2:12.3', 'p:1:12', 'nonsense'])
    expect(parseEventId('p', other)).toBeUndefined()
})
