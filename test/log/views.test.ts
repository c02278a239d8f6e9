import { afterEach, expect, test } from 'vitest'

import { LogClient } from '../../src/log/client.ts'
import type { RebuildStep } from '../../src/log/machine.ts'
import { readMark } from '../../src/log/marks.ts'
import { fillView } from '../../src/log/projection.ts'
import { WATERMARKS } from '../../src/log/tables.ts'
import { putFact } from '../../src/tables/tables.ts'
import { COUNTERS, World, codeOf, toy } from './toy.ts'
import type { Process, ToyFact, ToyOp } from './toy.ts'

let world = new World()
afterEach(async () => {
  await world.close()
  world = new World()
})

async function rebuild(by: Process, check = false, id = world.nextId()): Promise<RebuildStep> {
  const request = { id, principal: 'someone', check }
  const steps = by.client.rebuild('p', toy, request, new AbortController().signal)
  return (await Array.fromAsync(steps)).at(-1)!
}

async function rows(view: number): Promise<unknown[]> {
  const all = []
  for await (const { view: _, ...row } of world.tables.scan(COUNTERS, { project: 'p', view }))
    all.push(row)
  return all
}

test('a rebuilt view takes over while work goes on, and no reader meets a gap', async () => {
  const p = world.process()
  for (let i = 0; i < 40; i++) await p.add(`k${i % 9}`)
  let done = false
  const reading = (async () => {
    let seq = 0
    while (!done) {
      const mark = await p.client.watermark('p')
      expect(mark.seq).toBeGreaterThanOrEqual(seq)
      seq = mark.seq
      // What was heard of can be read in the view the watermark names.
      const row = await world.tables.get(COUNTERS, { project: 'p', view: mark.view, key: 'k0' })
      expect(row?.value).toBeGreaterThan(4)
      await world.clock.sleep(1)
    }
  })()
  const followed = p.follow(60)
  const adding = (async () => {
    for (let i = 0; i < 59; i++) await p.add(`k${i % 9}`)
  })()
  const { phase, view } = await rebuild(p)
  await adding
  done = true
  await reading
  expect({ phase, view }).toEqual({ phase: 'done', view: 2 })
  expect(await p.client.watermark('p')).toEqual({ view: 2, seq: 100 })
  expect((await followed).map(({ seq }) => seq)).toEqual(
    Array.from({ length: 60 }, (_, i) => i + 1),
  )
  const entries = await world.check()
  const at = entries.findIndex((entry) => entry.view === 2)
  // The old rows say for ever what was so before.
  const state = toy.empty('p')
  for (const entry of entries.slice(0, at)) toy.fold(state, entry)
  const old = [...state].map(([key, value]) => ({ project: 'p', key, value }))
  expect(await rows(1)).toEqual(old.toSorted((a, b) => (a.key < b.key ? -1 : 1)))
})

test('a lane that dies anywhere in a switch leaves it to the next one', async () => {
  for (let cutAfter = 0; cutAfter < 7; cutAfter++) {
    const p = world.process()
    for (let i = 0; i < 5; i++) await p.add(`k${i % 3}`)
    // Nobody filled it: the lane does all of it.
    let applies = 0
    p.tables.failApply = () => {
      if (applies++ === cutAfter) p.tables.cut = true
      return false
    }
    const request = p.proposal({ ops: [], view: 7 })
    void p.client.propose(request, 60_000)
    for (let i = 0; i < 3; i++) void p.add('k1')
    for (let i = 0; i < 2_000 && !p.tables.cut; i++) await world.clock.sleep(1)
    p.kill()
    const q = world.process()
    expect(codeOf(await q.client.propose(request, 60_000))).toBe('yes')
    expect(codeOf(await q.add('k2'))).toBe('yes')
    await world.check()
    expect((await readMark(world.tables, 'p')).view).toBe(7)
    await world.close()
    world = new World()
  }
})

test('two lanes switch at once, to one view after another, and a late filler undoes nothing', async () => {
  const p = world.process()
  const q = world.process({ bus: world.newBus() })
  for (let i = 0; i < 20; i++) await (i % 2 ? p : q).add(`k${i % 3}`)
  const { seq } = await readMark(world.tables, 'p')
  const first = await Promise.all([rebuild(p), q.add('a'), p.add('b')])
  expect(first[0].view).toBe(2)
  await q.add('a')
  expect((await rebuild(q)).view).toBe(3)
  await p.add('b')
  // Began before the first switch, and writes its last now.
  const into = fillView(world.tables, toy, world.journal(), 2, seq, new AbortController().signal)
  for await (const _ of into);
  const late = putFact(WATERMARKS, { project: 'p', view: 2, seq }, seq)
  await world.tables.apply([late])
  expect((await readMark(world.tables, 'p')).view).toBe(3)
  await world.check()
})

test('a view below the current one is refused, and a rebuild asked for twice is made once', async () => {
  const p = world.process()
  await p.add('a')
  const id = world.nextId()
  expect((await rebuild(p, false, id)).view).toBe(2)
  await p.add('a')
  expect(await rebuild(p, false, id)).toMatchObject({ phase: 'done', view: 2 })
  expect(await readMark(world.tables, 'p')).toEqual({ view: 2, seq: 3 })
  const lower = p.proposal({ ops: [], view: 2 })
  expect(codeOf(await p.client.propose(lower, 1_000))).toBe('STALE_STATE')
  await world.check()
})

test('whoever last saw a view that was replaced finds what was decided before and since', async () => {
  const p = world.process({ lane: { snapshotMinBytes: 1 } })
  const [old, since] = [world.nextId(), world.nextId()]
  await p.add('a', 1, { id: old })
  const stale = new LogClient<ToyOp, ToyFact>(world.guests())
  expect((await stale.decisionOf('p', old))?.seq).toBe(1)
  await rebuild(p)
  await p.add('a', 1, { id: since })
  // For a second it may look in the view it knows; that one keeps what was decided before.
  expect((await stale.decisionOf('p', old))?.seq).toBe(1)
  await world.clock.sleep(1_001)
  expect((await stale.decisionOf('p', since))?.seq).toBe(3)
  // A lane that begins from a snapshot goes on in the view it names, also when rows were taken away.
  await p.stop()
  await world.tables.remove(WATERMARKS, { project: 'p', view: 1 }, 1_000)
  expect(await stale.watermark('p')).toEqual({ view: 2, seq: 3 })
  const q = world.process()
  expect(codeOf(await q.client.propose(q.proposal({ ops: [], view: 2 }), 1_000))).toBe(
    'STALE_STATE',
  )
  await stale.close()
})

test('a check finds rows that are not what the log says, and changes nothing', async () => {
  const p = world.process()
  for (let i = 0; i < 30; i++) await p.add(`k${i % 5}`)
  let done = false
  const adding = (async () => {
    while (!done) {
      await p.add('busy')
      await world.clock.sleep(1)
    }
  })()
  expect(await rebuild(p, true)).toMatchObject({ phase: 'done', differing: 0, examples: [] })
  const wrong = { project: 'p', view: 1, key: 'k3', value: 77 }
  await world.tables.apply([putFact(COUNTERS, wrong, 1_000_000)])
  const { differing, examples, rows: compared } = await rebuild(p, true)
  done = true
  await adding
  expect(differing).toBe(1)
  expect(examples[0]).toMatch(/^counters .*"k3".*77.*6/)
  expect(compared).toBeGreaterThan(30)
  expect((await p.client.watermark('p')).view).toBe(1)
})
