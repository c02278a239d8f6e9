// Several processes of one role over one store: each thing is done by one of them, and by another soon
// after that one stops.

import { expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import { Ownership } from '../../src/main/ownership.ts'
import { openWorkspace } from '../../src/main/settings.ts'
import { OwnedShare } from '../../src/pipelines/share.ts'
import { MemoryTables } from '../../src/tables/adapters/memory.ts'

/** A hundred times as fast. */
const clock: Clock = {
  nowMs: () => systemClock.nowMs(),
  monotonicMs: () => systemClock.monotonicMs() * 100,
  sleep: (ms, signal) => systemClock.sleep(ms / 100, signal),
}
const PROJECTS = Array.from({ length: 200 }, (_, i) => `project-${i}`)

async function until(holds: () => boolean): Promise<void> {
  for (const endMs = Date.now() + 20_000; !holds();) {
    if (Date.now() > endMs) throw new Error('it did not come about within 20 s')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

test('projects are shared out: never two planners for one, all of them planned, and taken over', async () => {
  const tables = new MemoryTables()
  const start = (owner: string, seed: number) => {
    const random = seededRandom(seed)
    const ownership = new Ownership({ tables, clock, random, owner })
    const share = new OwnedShare(ownership.of('scheduler'))
    const stop = new AbortController()
    let changes = 0
    share.listen(() => changes++)
    const running = share.run(stop.signal)
    const held = (): string[] => PROJECTS.filter((name) => share.has(name))
    return { ownership, held, changed: () => changes, stop: () => (stop.abort(), running) }
  }
  const [a, b] = [start('a', 1), start('b', 2)]
  await until(() => a.held().length + b.held().length === PROJECTS.length)
  expect(a.held().filter((name) => b.held().includes(name))).toEqual([])
  expect(a.ownership.held + b.ownership.held).toBe(8)
  const before = b.changed()
  await a.stop()
  expect(a.held()).toEqual([])
  await until(() => b.held().length === PROJECTS.length)
  expect(b.changed()).toBeGreaterThanOrEqual(before)
  await b.stop()
})

test('processes that start at once agree on one workspace and one store key, for ever', async () => {
  const tables = new MemoryTables()
  const open = (seed: number) => openWorkspace({ tables, clock, random: seededRandom(seed) })
  const all = await Promise.all([open(1), open(2), open(3)])
  for (const one of all) expect(one).toEqual(all[0])
  expect(await open(4)).toEqual(all[0])
  expect(all[0]?.storeKey).toHaveLength(32)
})
