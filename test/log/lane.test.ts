import { afterEach, expect, test } from 'vitest'

import { encodeSent } from '../../src/log/wire.ts'
import { TOPICS } from '../../src/bus/bus.ts'
import { deferred } from '../../src/base/async.ts'
import { COUNTERS, World, codeOf, gates } from './toy.ts'

let world = new World()
afterEach(async () => {
  await world.close()
  world = new World()
})

const times = <T>(n: number, work: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: n }, (_, i) => work(i)))

test('every proposal is decided once, in few blocks, and can be read when it is answered', async () => {
  const p = world.process()
  const answers = await times(300, (i) => p.add(`k${i % 7}`))
  expect(answers.map(codeOf)).toEqual(Array(300).fill('yes'))
  const entries = await world.check()
  expect(entries.length).toBe(300)
  expect(p.tables.writes).toBeLessThan(30)
  const rows = []
  for await (const row of world.tables.scan(COUNTERS, { project: 'p', view: 1 })) rows.push(row)
  expect(rows.reduce((sum, row) => sum + (row.value ?? 0), 0)).toBe(300)
  const some = await p.client.decisionOf('p', entries[123]!.id)
  expect(some).toEqual(entries[123])
})

test('proposals of one key are decided in the order they arrived, a slow one holds no other key', async () => {
  const p = world.process()
  const gate = deferred<void>()
  gates.set('a', gate.promise)
  const slow = p.propose({ ops: [{ op: 'slow', key: 'a', gate: 'a' }] })
  const behind = p.add('a', 10)
  expect(codeOf(await p.add('b'))).toBe('yes')
  gate.resolve()
  const [first, second] = await Promise.all([slow, behind])
  const seqs = [first, second].map((answer) => answer.kind === 'decided' && answer.entry.seq)
  expect(seqs).toEqual([2, 3])
  await world.check()
})

test('a no stays a no, and every copy hears the same entry', async () => {
  const p = world.process()
  const id = world.nextId()
  const no = { id, ops: [{ op: 'refuse' as const }] }
  const answers = [await p.propose(no), ...(await times(5, () => p.propose(no)))]
  expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
  expect(codeOf(answers[0]!)).toBe('PATH_CONFLICT')
  // A copy that the bus brings late.
  await world.bus.publish(TOPICS.proposals, [
    encodeSent({
      kind: 'propose',
      proposal: { ...p.proposal(no), issuedAtMs: world.clock.nowMs() },
    }),
  ])
  await p.add('a')
  expect((await world.check()).length).toBe(2)
})

test('an id used for another request is refused and the first keeps its answer', async () => {
  const p = world.process()
  const id = world.nextId()
  const [first, other] = await Promise.all([p.add('a', 1, { id }), p.add('b', 2, { id })])
  expect([codeOf(first), codeOf(other)]).toEqual(['yes', 'KEY_REUSED'])
  expect(codeOf(await p.add('c', 2, { id }))).toBe('KEY_REUSED')
  expect((await world.check()).length).toBe(1)
})

test('a lane that meets the decided id of another request says so itself', async () => {
  const p = world.process()
  const id = world.nextId()
  await p.add('a', 1, { id })
  // The requests row cannot be seen, as when it was not yet there.
  const blind = world.process({ idle: true })
  const get = blind.tables.get
  blind.tables.get = (table, key, options) =>
    table.name === 'requests' ? Promise.resolve(undefined) : get(table, key, options)
  expect(codeOf(await blind.add('b', 2, { id }))).toBe('KEY_REUSED')
  expect(codeOf(await blind.add('a', 1, { id }))).toBe('yes')
  expect((await world.check()).length).toBe(1)
})

test('machines are refused by state, without an entry', async () => {
  const p = world.process()
  const step = { ops: [{ op: 'step' as const, key: 'a', from: 0 }], machine: true }
  expect(codeOf(await p.propose(step))).toBe('yes')
  expect(codeOf(await p.propose(step))).toBe('STALE_STATE')
  expect((await world.check()).length).toBe(1)
})

test('what cannot be decided, and what cannot be folded, is recorded as INTERNAL', async () => {
  const p = world.process()
  const answers = await Promise.all([
    p.add('a'),
    p.propose({ ops: [{ op: 'throw' }] }),
    p.add('a'),
    p.propose({ ops: [{ op: 'unfoldable' }] }),
    p.add('a'),
  ])
  expect(answers.map(codeOf)).toEqual(['yes', 'INTERNAL', 'yes', 'INTERNAL', 'yes'])
  expect((await world.check()).length).toBe(5)
})

test('an id of the future is refused by the sender', async () => {
  const p = world.process()
  const time = (world.clock.nowMs() + 61_000).toString(16).padStart(12, '0')
  const id = `${time}${world.nextId().slice(12)}` as ReturnType<typeof world.nextId>
  expect(codeOf(await p.add('a', 1, { id }))).toBe('CLOCK_AHEAD')
})

test('past the line nothing is decided, and giving up is recorded unless there is a decision', async () => {
  const p = world.process()
  const stale = { ...p.proposal({ ops: [{ op: 'add', key: 'a', by: 1 }] }) }
  const sent = { ...stale, issuedAtMs: world.clock.nowMs() }
  await world.clock.sleep(601_000)
  await p.add('b')
  const before = (await world.check()).length
  await world.bus.publish(TOPICS.proposals, [encodeSent({ kind: 'propose', proposal: sent })])
  await p.add('b')
  expect((await world.check()).length).toBe(before + 1)

  const asked = { project: 'p', id: stale.id, principal: 'someone' }
  expect(codeOf(await p.client.definiteAnswer(asked, 10_000))).toBe('EXPIRED')
  expect(codeOf(await p.client.definiteAnswer(asked, 10_000))).toBe('EXPIRED')
  expect(codeOf(await p.client.propose(stale, 10_000))).toBe('EXPIRED')
  // What was decided keeps its decision, whoever gives up on it.
  const [first] = await world.entries()
  const give = { ...p.proposal({ ops: [] }), id: first!.id, issuedAtMs: world.clock.nowMs() }
  await world.bus.publish(TOPICS.proposals, [encodeSent({ kind: 'give-up', proposal: give })])
  await p.add('b')
  expect((await world.check()).length).toBe(before + 3)
})

test('the line rises with the rate too, so that no id is forgotten that may still come', async () => {
  const p = world.process({ lane: { keptIds: 8192 } })
  const early = p.proposal({ ops: [{ op: 'add', key: 'early', by: 1 }] })
  const sent = { ...early, issuedAtMs: world.clock.nowMs() }
  await world.clock.sleep(1_000)
  await times(4_200, (i) => p.add(`k${i % 64}`))
  await world.bus.publish(TOPICS.proposals, [encodeSent({ kind: 'propose', proposal: sent })])
  await p.add('last')
  expect((await world.check()).some(({ id }) => id === early.id)).toBe(false)
  // Its sender asks again, with a new stamp.
  expect(codeOf(await p.client.propose(early, 10_000))).toBe('yes')
})

test('log time follows neither a clock that is ahead nor one that is behind', async () => {
  const p = world.process({
    lane: { clock: { ...clockOf(world), nowMs: () => world.clock.nowMs() + 86_400_000 } },
  })
  await p.add('a')
  const q = world.process({
    bus: world.newBus(),
    lane: { clock: { ...clockOf(world), nowMs: () => 0 } },
  })
  await q.add('a')
  const [first, second] = await world.check()
  expect(first!.atMs - world.clock.nowMs()).toBeLessThanOrEqual(60_000)
  expect(second!.atMs).toBe(first!.atMs)
})

test.each([
  ['the lane that decided it', false],
  ['a lane that begins after it', true],
])('what a writer an hour behind decided is still known, to %s', async (_who, again) => {
  const hourBehind = { ...clockOf(world), nowMs: () => world.clock.nowMs() - 3_600_000 }
  const p = world.process({ lane: { clock: hourBehind } })
  const request = p.proposal({ ops: [{ op: 'add', key: 'a', by: 1 }] })
  expect(codeOf(await p.client.propose(request, 10_000))).toBe('yes')
  const copy = { ...request, issuedAtMs: world.clock.nowMs() }
  await p.stop()
  // Log time leaps to the present with the first entry of a writer whose clock is right.
  let q = world.process({ lane: { snapshotMinBytes: 1 } })
  await q.add('b')
  await q.add('b')
  if (again) {
    await q.stop()
    q = world.process()
  }
  await world.bus.publish(TOPICS.proposals, [encodeSent({ kind: 'propose', proposal: copy })])
  await q.add('b')
  expect((await world.check()).length).toBe(4)
})

test('blocks keep to buckets, and big entries go to blobs', async () => {
  const p = world.process()
  for (let round = 0; round < 3; round++)
    await times(900, (i) =>
      p.propose({ ops: [{ op: 'add', key: `k${i}`, by: 1, ...(i % 90 === 0 && { pad: 9000 }) }] }),
    )
  expect((await world.check()).length).toBe(2700)
  const blocks = []
  for await (const block of world.journal().blocks(0)) blocks.push(block)
  for (const { firstSeq, lastSeq } of blocks)
    expect(Math.floor((firstSeq - 1) / 1024)).toBe(Math.floor((lastSeq - 1) / 1024))
  let blobs = 0
  for await (const _ of world.blob.list('log/')) blobs++
  expect(blobs).toBe(30)
  const huge = await p.propose({ ops: [{ op: 'add', key: 'h', by: 1, pad: 5 * 1024 * 1024 }] })
  expect(codeOf(huge)).toBe('TOO_LARGE')
})

test('a block is no bigger than may be written at once', async () => {
  const p = world.process()
  await times(400, (i) => p.propose({ ops: [{ op: 'add', key: `k${i}`, by: 1, pad: 7000 }] }))
  for await (const { bytes } of world.journal().blocks(0))
    expect(bytes.length).toBeLessThanOrEqual(512 * 1024)
  expect((await world.check()).length).toBe(400)
})

test('a new process goes on from a snapshot and still knows the ids before it', async () => {
  const p = world.process({ lane: { snapshotMinBytes: 2_000 } })
  const id = world.nextId()
  await p.add('a', 5, { id })
  for (let i = 0; i < 40; i++) await p.add('a')
  const snapshots = []
  for await (const { key } of world.blob.list('snapshots/')) snapshots.push(key)
  expect(snapshots.length).toBeGreaterThan(0)
  expect(snapshots.length).toBeLessThanOrEqual(2)
  await p.stop()
  const q = world.process()
  await world.bus.publish(TOPICS.proposals, [
    encodeSent({
      kind: 'propose',
      proposal: {
        ...q.proposal({ id, ops: [{ op: 'add', key: 'a', by: 5 }] }),
        issuedAtMs: world.clock.nowMs(),
      },
    }),
  ])
  await q.add('a')
  const entries = await world.check()
  expect(entries.length).toBe(42)
  expect(entries.at(-1)!.decision).toEqual({ yes: [{ key: 'a', value: 46 }] })
})

function clockOf(of: World) {
  const { clock } = of
  return {
    nowMs: () => clock.nowMs(),
    monotonicMs: () => clock.monotonicMs(),
    sleep: (ms: number, signal?: AbortSignal) => clock.sleep(ms, signal),
  }
}
