// Leases on a virtual clock: who has it, for how long, and who takes over when.

import { expect, test } from 'vitest'
import { Leases, PATIENCE_MS } from '../../src/tables/lease.ts'
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
