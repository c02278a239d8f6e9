import { afterEach, expect, test } from 'vitest'

import { utf8 } from '../../src/base/bytes.ts'
import { Snapshots } from '../../src/log/snapshots.ts'
import { World, codeOf } from './toy.ts'

let world = new World()
afterEach(async () => {
  await world.close()
  world = new World()
})

test('lanes that had nothing to do for a while are let go, and begun anew by a proposal', async () => {
  const p = world.process({ lane: { idleMs: 2_000 } })
  const at = (project: string) =>
    p.propose({ project, ops: [{ op: 'add', key: 'a', by: 1 }] }).then(codeOf)
  const codes = await Promise.all(Array.from({ length: 200 }, (_, i) => at(`project-${i}`)))
  expect(new Set(codes)).toEqual(new Set(['yes']))
  expect(p.writer.lanes).toBe(200)
  for (let i = 0; i < 10; i++) {
    await at('p')
    await world.clock.sleep(500)
  }
  // The one that is used stays.
  expect(p.writer.lanes).toBe(1)
  await world.clock.sleep(4_000)
  expect(p.writer.lanes).toBe(0)
  const again = world.nextId()
  expect(codeOf(await p.add('a', 1, { id: again }))).toBe('yes')
  expect(codeOf(await p.add('a', 1, { id: again }))).toBe('yes')
  expect((await world.check()).length).toBe(11)
})

test('a writer whose appends are always refused reads little for each of them', async () => {
  const p = world.process({ lane: { snapshotMinBytes: 2_000 } })
  const q = world.process({ bus: world.newBus(), lane: { snapshotMinBytes: 2_000 } })
  for (let i = 0; i < 200; i++) await p.add(`k${i % 5}`)
  await q.add('k1')
  let reads = 0
  const { get, scan } = q.tables
  q.tables.get = (table, key, options) => {
    if (table.name === 'log') reads++
    return get(table, key, options)
  }
  q.tables.scan = (table, partition, options) => {
    if (table.name === 'log') reads++
    return scan(table, partition, options)
  }
  for (let i = 0; i < 20; i++) {
    await p.add('k1')
    expect(codeOf(await q.add('k1'))).toBe('yes')
  }
  // A guard, a block, perhaps the bucket after it: whatever the length of the log.
  expect(reads).toBeLessThan(20 * 8)
  // A lane that is not asked for anything does not look at the log at all.
  reads = 0
  for (let i = 0; i < 50; i++) await p.add('k2')
  expect(reads).toBe(0)
  await world.check()
})

test('a young id is sent without a look-up and still decided once; an old one is looked up', async () => {
  const writing = world.process()
  const api = world.process({ idle: true })
  const { get } = api.tables
  let lookedUp = 0
  api.tables.get = (table, key, options) => {
    if (table.name === 'requests') lookedUp++
    return get(table, key, options)
  }
  const id = world.nextId()
  const first = await api.add('a', 1, { id })
  // At once by another one, and by the same once more.
  const again = await Promise.all([writing.add('a', 1, { id }), api.add('a', 1, { id })])
  expect([first, ...again].map((one) => one.kind === 'decided' && one.entry.seq)).toEqual([1, 1, 1])
  expect(lookedUp).toBe(0)
  const other = { id, ops: [{ op: 'add' as const, key: 'a', by: 2 }] }
  expect(codeOf(await api.propose(other))).toBe('KEY_REUSED')
  await world.clock.sleep(6_000)
  expect(codeOf(await api.add('a', 1, { id }))).toBe('yes')
  expect(lookedUp).toBe(1)
  expect((await world.check()).length).toBe(1)
})

test('a snapshot is printed in slices, and others get their turn between them', async () => {
  let turns = 0
  const clock = { ...world.guests().clock, sleep: async () => void turns++ }
  const snapshots = new Snapshots({ ...world.guests(), clock }, 'p', 1)
  const list = Array.from({ length: 3_000 }, (_, i) => ({ name: `n${i}`, pad: 'x'.repeat(500) }))
  const head = { seq: 1, write: 'w', chain: utf8('chain') }
  const state = { none: [], list, few: [1, undefined], not: undefined, empty: {}, deep: { list } }
  const bytes = await snapshots.print({ head, atMs: 1, lineMs: 2, view: 3, state })
  const printed = JSON.parse(Buffer.from(bytes).toString()) as { state: unknown; view: number }
  expect(printed).toMatchObject({ view: 3, atMs: 1, lineMs: 2, write: 'w' })
  expect(JSON.stringify(printed.state)).toBe(JSON.stringify(state))
  expect(turns).toBeGreaterThan(4)
  await snapshots.save(1, bytes)
  expect((await snapshots.load())?.head).toEqual(head)
})
