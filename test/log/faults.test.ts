import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import fc from 'fast-check'
import { afterEach, expect, onTestFinished, test } from 'vitest'

import { deferred } from '../../src/base/async.ts'
import { TOPICS } from '../../src/bus/bus.ts'
import { encodeNotices } from '../../src/log/wire.ts'
import { BadBus, World, codeOf, gates } from './toy.ts'
import type { Fate } from './toy.ts'

let world = new World()
afterEach(async () => {
  await world.close()
  world = new World()
})

/** One after another, alternating, so that each writer finds the other's blocks. */
test('two writers at once lose nothing, decide nothing twice and never give up', async () => {
  const gaveUp: unknown[] = []
  const hear = (what: unknown): void => void gaveUp.push(what)
  subscribe('varve:log:stopped', hear)
  onTestFinished(() => void unsubscribe('varve:log:stopped', hear))
  const p = world.process()
  const q = world.process({ bus: world.newBus() })
  const id = world.nextId()
  const answers = await Promise.all([
    ...Array.from({ length: 60 }, (_, i) => (i % 2 ? p : q).add(`k${i % 3}`)),
    p.add('same', 1, { id }),
    q.add('same', 1, { id }),
  ])
  expect(answers.map(codeOf)).toEqual(Array(62).fill('yes'))
  for (let i = 0; i < 20; i++) expect(codeOf(await (i % 2 ? p : q).add('a'))).toBe('yes')
  const entries = await world.check()
  expect(entries.length).toBe(81)
  expect(entries.findLast(({ decision }) => 'yes' in decision)?.decision).toEqual({
    yes: [{ key: 'a', value: 20 }],
  })
  expect(gaveUp).toEqual([])
})

for (const fate of ['lost', 'done-unanswered', 'late'] satisfies Fate[])
  test(`an append whose answer is unknown (${fate}) is settled before the next`, async () => {
    const p = world.process()
    p.tables.fate = (n) => (n % 3 === 2 ? 'ok' : fate)
    for (let i = 0; i < 12; i++) expect(codeOf(await p.add('a'))).toBe('yes')
    const entries = await world.check()
    expect(entries.length).toBe(12)
    expect(p.tables.writes).toBeGreaterThan(12)
  })

test('an append in doubt that landed below another writer counts as mine', async () => {
  const p = world.process()
  const q = world.process({ bus: world.newBus() })
  await p.add('a')
  await q.add('a')
  // p writes, hears nothing; q builds on it before p asks again.
  let other: Promise<unknown> = Promise.resolve()
  p.tables.fate = (n) => {
    if (n !== 1) return 'ok'
    other = q.add('b')
    return 'done-unanswered'
  }
  // p's second write is the first that follows its own knowledge: refused by q's first.
  const answers = [await p.add('a'), await p.add('a')]
  await other
  expect(answers.map(codeOf)).toEqual(['yes', 'yes'])
  expect((await world.check()).length).toBe(5)
})

test('what was appended by a writer that died is projected and told by the next', async () => {
  const p = world.process()
  await p.add('a')
  p.tables.cutBeforeApply = true
  const id = world.nextId()
  void p.add('a', 1, { id })
  while (!p.tables.cut) await world.clock.sleep(1)
  p.kill()
  expect((await world.entries()).length).toBe(2)
  const q = world.process()
  // Nobody proposes: the follower finds the log above its watermark and rings.
  const entries = await q.follow(2)
  expect(entries.map(({ seq }) => seq)).toEqual([1, 2])
  expect(codeOf(await q.add('a', 1, { id }))).toBe('yes')
  expect((await world.check()).length).toBe(2)
})

test('projections that fail half way are made whole, and nothing is told before', async () => {
  const p = world.process()
  p.tables.failApply = (n) => n % 3 !== 2
  const followed = p.follow(30)
  for (let i = 0; i < 30; i++) await p.add(`k${i % 4}`)
  const entries = await followed
  expect(entries.map(({ seq }) => seq)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1))
  expect(await world.check()).toEqual(entries)
})

test('a follower that lags, begins late or begins inside a block sees every entry once', async () => {
  const p = world.process()
  await Promise.all(Array.from({ length: 100 }, (_, i) => p.add(`k${i}`)))
  const late = p.follow(150, 37)
  for (let i = 0; i < 50; i++) await p.add('a')
  expect((await late).map(({ seq }) => seq)).toEqual(Array.from({ length: 113 }, (_, i) => i + 38))
})

test('what is appended and not yet projected is told to nobody', async () => {
  const p = world.process()
  p.tables.cutBeforeApply = true
  const id = world.nextId()
  void p.add('a', 1, { id })
  while (!p.tables.cut) await world.clock.sleep(1)
  p.kill()
  const q = world.process()
  q.tables.failApply = () => true
  expect(codeOf(await q.add('a', 1, { id, deadline: 3_000 }))).toBe('pending')
  q.tables.failApply = () => false
  expect(codeOf(await q.add('a', 1, { id }))).toBe('yes')
  expect((await world.check()).length).toBe(1)
})

test('a follower misses nothing that the bus loses, repeats or brings in disorder', async () => {
  const p = world.process({ bus: new BadBus(world.clock, 7) })
  const followed = p.follow(60)
  for (let i = 0; i < 60; i++) await p.add('a')
  expect((await followed).map(({ seq }) => seq)).toEqual(
    Array.from({ length: 60 }, (_, i) => i + 1),
  )
})

test('what was being prepared when an append was refused is prepared again, in its order', async () => {
  const p = world.process()
  const q = world.process({ bus: world.newBus() })
  await p.add('z')
  await q.add('z')
  const [a, b] = [deferred<void>(), deferred<void>()]
  gates.clear()
  gates.set('b', b.promise)
  let refused = false
  p.tables.fate = () => {
    gates.set('a', a.promise)
    refused = true
    return 'ok'
  }
  const first = p.propose({ ops: [{ op: 'slow', key: 'k', gate: 'a' }] })
  const second = p.propose({ ops: [{ op: 'slow', key: 'k', gate: 'b' }] })
  while (!refused) await world.clock.sleep(1)
  await world.clock.sleep(1)
  b.resolve()
  await world.clock.sleep(1)
  a.resolve()
  const seqs = (await Promise.all([first, second])).map(
    (one) => one.kind === 'decided' && one.entry.seq,
  )
  expect(seqs).toEqual([3, 4])
  await world.check()
})

test('a notice answers every copy of the send it is about, and no other send', async () => {
  const p = world.process()
  const q = world.process({ idle: true })
  await p.add('k')
  const gate = deferred<void>()
  gates.set('n', gate.promise)
  const slow = p.propose({ ops: [{ op: 'slow', key: 'k', gate: 'n' }] })
  const step = p.proposal({ ops: [{ op: 'step', key: 'k', from: 0 }], machine: true })
  const one = p.client.propose(step, 900)
  await world.clock.sleep(5)
  const other = q.client.propose(step, 900)
  await world.clock.sleep(5)
  const { id, fingerprint } = step
  const stray = { id, fingerprint, issuedAtMs: [1], code: 'QUOTA' as const, message: 'stray' }
  await world.bus.publish(TOPICS.log, [encodeNotices('p', [stray])])
  gate.resolve()
  const codes = (await Promise.all([slow, one, other])).map(codeOf)
  expect(codes).toEqual(['yes', 'STALE_STATE', 'STALE_STATE'])
})

test('a flipped bit in a block is reported and not served', async () => {
  const p = world.process()
  for (let i = 0; i < 3; i++) await p.add('a')
  await p.stop()
  const journal = world.journal()
  const scan = world.tables.scan.bind(world.tables)
  world.tables.scan = async function* (table, partition, options) {
    for await (const row of scan(table, partition, options)) {
      const entries = (row as { entries?: Uint8Array }).entries
      const text = entries && Buffer.from(entries).toString().replace('"value":2', '"value":3')
      yield text ? { ...row, entries: new Uint8Array(Buffer.from(text)) } : row
    }
  }
  await expect(
    (async () => {
      for await (const _ of journal.blocks(0));
    })(),
  ).rejects.toMatchObject({ code: 'CORRUPT' })
})

test('any interleaving of writers, kills, bad buses and fates ends well', async () => {
  const fates: Fate[] = ['ok', 'ok', 'ok', 'lost', 'done-unanswered', 'late']
  const plan = fc.record({
    seed: fc.nat(),
    fates: fc.array(fc.constantFrom(...fates), { minLength: 1, maxLength: 12 }),
    fails: fc.array(fc.boolean(), { minLength: 1, maxLength: 7 }),
    steps: fc.array(
      fc.record({
        what: fc.constantFrom('add', 'add', 'add', 'again', 'refuse', 'step', 'kill', 'wait'),
        by: fc.nat(1),
        n: fc.nat(3),
      }),
      { minLength: 1, maxLength: 40 },
    ),
  })
  await fc.assert(
    fc.asyncProperty(plan, async ({ seed, fates: given, fails, steps }) => {
      const own = new World(seed)
      const buses = [new BadBus(own.clock, seed), new BadBus(own.clock, seed + 1)]
      const start = (i: number) => {
        const process = own.process({ bus: buses[i]!, lane: { snapshotMinBytes: 1_000 } })
        process.tables.fate = (n) => given[n % given.length]!
        process.tables.failApply = (n) => fails.includes(false) && fails[n % fails.length]!
        return process
      }
      // A write is settled in the end.
      if (!given.some((fate) => fate === 'ok' || fate === 'late')) given.push('ok')
      const processes = [start(0), start(1)]
      const asked = new Map<
        string,
        { first: Promise<string>; ops: Parameters<(typeof processes)[0]['propose']>[0] }
      >()
      const told = new Map<string, string>()
      for (const { what, by, n } of steps) {
        const process = processes[by]!
        if (what === 'wait') await own.clock.sleep(n * 20)
        else if (what === 'kill') {
          process.kill()
          processes[by] = start(by)
        } else {
          const old = [...asked.values()][n]
          const given = what === 'again' ? old?.ops : undefined
          const ops = given ?? {
            id: own.nextId(),
            machine: what === 'step',
            ops: [
              what === 'refuse'
                ? { op: 'refuse' as const }
                : what === 'step'
                  ? { op: 'step' as const, key: `m${n}`, from: n }
                  : { op: 'add' as const, key: `k${n}`, by: 1 },
            ],
          }
          const first = process.propose(ops, 400).then((answer) => {
            if (answer.kind === 'decided') {
              const text = JSON.stringify(answer.entry)
              if ((told.get(ops.id!) ?? text) !== text) throw new Error('two answers')
              told.set(ops.id!, text)
            }
            return codeOf(answer)
          })
          first.catch(() => {})
          asked.set(ops.id!, { first, ops })
        }
      }
      // Faults stop: asking again ends in one definite answer.
      for (const process of processes) {
        process.tables.fate = () => 'ok'
        process.tables.failApply = () => false
      }
      for (const { ops } of asked.values()) {
        let code = 'pending'
        for (let i = 0; i < 20 && code === 'pending'; i++)
          code = codeOf(await processes[0]!.propose(ops, 10_000))
        expect(code).not.toBe('pending')
      }
      const decided = await processes[0]!.add('end')
      const entries = await processes[1]!.follow(decided.kind === 'decided' ? decided.entry.seq : 0)
      expect(await own.check()).toEqual(entries)
      for (const [id, text] of told)
        expect(JSON.stringify(entries.find((entry) => entry.id === id))).toBe(text)
      await own.close()
    }),
    { numRuns: 60 },
  )
})
