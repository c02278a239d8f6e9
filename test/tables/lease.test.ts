// Leases on a virtual clock: who has it, for how long, and who takes over when.

import { expect, test } from 'vitest'
import { Leases, PATIENCE_MS, answerTo } from '../../src/tables/lease.ts'
import { MemoryTables } from '../../src/tables/adapters/memory.ts'
import type { CallOutcome, Faults } from '../simulation/faults.ts'
import { SimTables, Wire } from '../simulation/ports.ts'
import { Life, World } from '../simulation/world.ts'

interface Held {
  readonly owner: string
  readonly token: number
  readonly fromMs: number
  toMs: number
}

/** `outcome` may be changed while it runs. */
class Weather implements Faults {
  outcomes = new Map<string, CallOutcome>()
  landed = 0
  outcome(process: string): CallOutcome {
    return this.outcomes.get(process) ?? 'ok'
  }
  bus() {
    return { lost: false, copies: 1, delayMs: 1 }
  }
  shares(): boolean {
    return false
  }
}

function setUp() {
  const world = new World(5)
  const store = new MemoryTables()
  const weather = new Weather()
  const held: Held[] = []
  const contend = (name: string, workMs: number): Life => {
    const life: Life = new Life(world, name, 0, () => {
      for (const one of held)
        if (one.owner === name && one.toMs === Infinity) one.toMs = world.nowMs
    })
    const tables = new SimTables(new Wire(life, weather), store)
    const leases = new Leases({ tables, clock: life.clock, random: life.random, owner: name })
    void leases.keep('job', new AbortController().signal, async (token, signal) => {
      const one = { owner: name, token, fromMs: world.nowMs, toMs: Infinity }
      held.push(one)
      await life.clock.sleep(workMs, signal)
      one.toMs = world.nowMs
    })
    return life
  }
  const until = (ms: number): Promise<boolean> => world.run(() => false, ms)
  return { world, weather, held, contend, until }
}

test('one at a time, and what is given up is taken at once', async () => {
  const { held, contend, until } = setUp()
  contend('a', 20_000)
  contend('b', 20_000)
  await until(60_000)
  expect(held.length).toBe(2)
  const [first, second] = held
  expect(second?.token).toBe((first?.token ?? 0) + 1)
  // A kept lease stays, however long the other waits; then no patience is needed.
  expect(first?.toMs).toBeGreaterThanOrEqual(20_000)
  expect(second?.fromMs).toBeGreaterThanOrEqual(first?.toMs ?? 0)
  expect((second?.fromMs ?? 0) - (first?.toMs ?? 0)).toBeLessThan(3_000)
})

test('a dead owner is replaced after the patience of who waits, not before', async () => {
  const { held, contend, until } = setUp()
  const a = contend('a', 1e9)
  await until(5_000)
  contend('b', 1e9)
  await until(30_000)
  expect(held.map(({ owner }) => owner)).toEqual(['a'])
  a.crash()
  await until(60_000)
  expect(held.map(({ owner, token }) => [owner, token])).toEqual([
    ['a', 1],
    ['b', 2],
  ])
  const waitedMs = (held[1]?.fromMs ?? 0) - 30_000
  expect(waitedMs).toBeGreaterThan(PATIENCE_MS - 3_000)
  expect(waitedMs).toBeLessThan(PATIENCE_MS + 5_000)
})

test('an owner cut off from the store stops before another begins, and waits again', async () => {
  const { weather, held, contend, until } = setUp()
  contend('a', 1e9)
  await until(3_000)
  contend('b', 1e9)
  await until(20_000)
  weather.outcomes.set('a', 'fail')
  await until(60_000)
  expect(held.map(({ owner }) => owner)).toEqual(['a', 'b'])
  expect(held[0]?.toMs).toBeLessThan(held[1]?.fromMs ?? 0)
  weather.outcomes.clear()
  await until(100_000)
  expect(held.length).toBe(2)
})

test('what an owner answers to an ask', () => {
  expect(answerTo({ owned: 3, asking: 2, isLeavingOne: false })).toBe('refuse')
  expect(answerTo({ owned: 3, asking: 1, isLeavingOne: false })).toBe('leave')
  expect(answerTo({ owned: 3, asking: 1, isLeavingOne: true })).toBe('later')
})

/** Several processes that all want all of `names`; work that is told to end takes `endMs` to do so. */
function share(names: readonly string[], endMs: number) {
  const { world, weather, until } = setUp()
  const store = new MemoryTables()
  const kept = new Map<string, Set<string>>(names.map((name) => [name, new Set()]))
  const changes: number[] = []
  let together = 0
  const join = (owner: string) => {
    const life: Life = new Life(world, owner, 0, () => {
      for (const owners of kept.values()) owners.delete(owner)
    })
    const tables = new SimTables(new Wire(life, weather), store)
    const leases = new Leases({ tables, clock: life.clock, random: life.random, owner })
    const stop = new AbortController()
    for (const name of names) {
      const owners = kept.get(name) as Set<string>
      void leases.keep(name, stop.signal, async (_token, signal) => {
        owners.add(owner)
        changes.push(world.nowMs)
        together = Math.max(together, owners.size)
        await life.clock.sleep(1e9, signal)
        await life.clock.sleep(endMs)
        owners.delete(owner)
      })
    }
    return { life, stop: () => stop.abort() }
  }
  const count = (owner: string): number =>
    [...kept.values()].filter((owners) => owners.has(owner)).length
  const changedSince = (ms: number): number => changes.filter((atMs) => atMs > ms).length
  return { join, count, until, changedSince, together: () => together }
}

const LEASES_OF_25 = Array.from({ length: 25 }, (_, n) => `thing-${n}`)

test.each([0, 4_000])('late comers get their part, one by one (ends in %i ms)', async (endMs) => {
  const { join, count, until, changedSince, together } = share(LEASES_OF_25, endMs)
  join('a')
  await until(20_000)
  expect(count('a')).toBe(25)
  join('b')
  await until(240_000)
  expect([count('a'), count('b')].toSorted((x, y) => x - y)).toEqual([12, 13])
  expect(changedSince(0)).toBe(25 + 12)
  join('c')
  await until(480_000)
  const all = ['a', 'b', 'c'].map(count)
  expect(all.toSorted((x, y) => x - y)).toEqual([8, 8, 9])
  // Nobody moves any more.
  await until(900_000)
  expect(['a', 'b', 'c'].map(count)).toEqual(all)
  expect(changedSince(480_000)).toBe(0)
  expect(together()).toBe(1)
})

test('who ends or dies leaves its part to the others, and an ask of the dead costs little', async () => {
  const { join, count, until, together } = share(LEASES_OF_25, 0)
  const [a, b] = [join('a'), join('b')]
  join('c')
  await until(240_000)
  a.stop()
  await until(360_000)
  expect([count('a'), count('b') + count('c')]).toEqual([0, 25])
  b.life.crash()
  await until(420_000)
  expect(count('c')).toBe(25)
  const d = join('d')
  await until(429_000)
  d.life.crash()
  await until(480_000)
  expect(count('c')).toBe(25)
  expect(together()).toBe(1)
})
