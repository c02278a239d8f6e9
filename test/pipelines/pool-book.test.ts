// A host that is said to be idle holds nothing, and gets nothing, whatever others do at the same time.

import { describe, expect, test } from 'vitest'
import { systemClock as clock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { ChunkKey } from '../../src/model/datum.ts'
import { idSource } from '../../src/model/id.ts'
import { workerName } from '../../src/model/worker-name.ts'
import { PoolBook } from '../../src/pipelines/pool-book.ts'
import { WorkRows } from '../../src/pipelines/work.ts'
import type { Lease } from '../../src/pipelines/work.ts'
import { MemoryTables } from '../../src/tables/adapters/memory.ts'
import type { Tables } from '../../src/tables/tables.ts'

const POOL = 'varve-a'
const ids = idSource(clock, systemRandom)
const JOB = ids()

function chunk(n: number): ChunkKey {
  return { project: 'default', pipeline: 'p', job: JOB, n }
}

/** Every call waits for a number of turns that `next` says. */
function jittered(tables: Tables, next: () => number): Tables {
  const turns = async (): Promise<void> => {
    for (let left = next(); left > 0; left--) await Promise.resolve()
  }
  return new Proxy(tables, {
    get(target, name: keyof Tables) {
      const own = target[name] as (...args: unknown[]) => unknown
      if (name === 'scan')
        return async function* (...args: unknown[]) {
          await turns()
          yield* own.apply(target, args) as AsyncIterable<unknown>
        }
      return async (...args: unknown[]) => {
        await turns()
        const answer = await own.apply(target, args)
        await turns()
        return answer
      }
    },
  })
}

function world(tables: Tables = new MemoryTables()): { book: PoolBook; rows: WorkRows } {
  const rows = new WorkRows({ tables, clock, random: systemRandom })
  return { rows, book: new PoolBook({ tables, rows, clock, random: systemRandom, ids }) }
}

function owner(host: string, pool = POOL): string {
  return `${workerName(host, ids(), 0)}@default/${pool}/i1`
}

/** What a server does to give a chunk away; whether the worker keeps it. */
async function give(
  { book, rows }: { book: PoolBook; rows: WorkRows },
  who: string,
  key: ChunkKey,
): Promise<Lease | undefined> {
  const [lease] = await Promise.all([rows.claim(key, who, undefined), book.note(who, key, 1)])
  if (lease === undefined || 'state' in lease) return undefined
  if (await book.mayKeep(who)) return lease as Lease
  await rows.reopen(key, lease as Lease)
  return undefined
}

describe('pool book', () => {
  test('who is retired and said to be idle keeps no chunk, in every order of steps', async () => {
    let seed = 1
    const next = (): number => {
      seed = (seed * 48_271) % 2_147_483_647
      // Now and then one call takes longer than several others together.
      return seed % (seed % 5 === 0 ? 200 : 23)
    }
    let idle = 0
    let kept = 0
    for (let run = 0; run < 500; run++) {
      const tables = new MemoryTables()
      const givers = [world(jittered(tables, next)), world(jittered(tables, next))]
      const retirer = world(jittered(tables, next))
      const later = async (): Promise<void> => {
        for (let turns = 10 * next(); turns > 0; turns--) await Promise.resolve()
      }
      const [retired, leases] = await Promise.all([
        later().then(() => retirer.book.retire(POOL, ['h1'])),
        Promise.all(
          givers.map((giver, n) => later().then(() => give(giver, owner('h1'), chunk(n)))),
        ),
      ])
      const holds = leases.some((lease) => lease !== undefined)
      if (retired.has('h1')) expect(holds, `run ${run}`).toBe(false)
      idle += Number(retired.has('h1'))
      kept += Number(holds)
    }
    // Both happen, or this showed nothing.
    expect(idle).toBeGreaterThan(20)
    expect(kept).toBeGreaterThan(20)
  })

  test('others of the pool still get work, and who is not named any more gets it again', async () => {
    const one = world()
    expect(await one.book.retire(POOL, ['h1'])).toEqual(new Set(['h1']))
    expect(await give(one, owner('h1'), chunk(0))).toBeUndefined()
    expect(await give(one, owner('h2'), chunk(1))).toBeDefined()
    expect(await one.book.retire(POOL, ['h2'])).toEqual(new Set())
    expect(await give(one, owner('h1'), chunk(2))).toBeDefined()
  })

  test('who is let in again while a lease is on its way holds what came of it', async () => {
    const one = world()
    const who = owner('h1')
    await one.book.note(who, chunk(0), 1)
    expect(await one.book.retire(POOL, ['h1'])).toEqual(new Set(['h1']))
    await one.book.retire(POOL, [])
    expect(await one.rows.claim(chunk(0), who, undefined)).not.toHaveProperty('state')
    expect(await one.book.mayKeep(who)).toBe(true)
    expect(await one.book.retire(POOL, ['h1'])).toEqual(new Set())
  })

  test('to ask again that nobody be retired costs nothing', async () => {
    const tables = new MemoryTables()
    let calls = 0
    const counted = jittered(tables, () => (calls++, 0))
    const one = world(counted)
    await one.book.open(POOL)
    await one.book.retire(POOL, ['h1'])
    await one.book.retire(POOL, [])
    const before = calls
    for (let again = 0; again < 100; again++) await one.book.retire(POOL, [])
    expect(calls).toBe(before)
    expect(await world(tables).book.mayTry(owner('h1'))).toBe(true)
  })

  test('what is done or given back holds nobody, with its note struck or left', async () => {
    const one = world()
    const [done, back] = [owner('h1'), owner('h2')]
    const first = (await give(one, done, chunk(0))) as Lease
    await one.rows.done(chunk(0), first, 'r' as never)
    const second = (await give(one, back, chunk(1))) as Lease
    await one.rows.reopen(chunk(1), second)
    await one.book.strike(chunk(1), second)
    expect(await one.book.retire(POOL, ['h1', 'h2'])).toEqual(new Set(['h1', 'h2']))
  })

  test('who begins where another ended opens what that one held, and nothing else', async () => {
    const one = world()
    const [dead, other] = [owner('h1'), owner('h2')]
    const lost = (await give(one, dead, chunk(0))) as Lease
    const kept = (await give(one, other, chunk(1))) as Lease
    expect(await one.book.inherit(owner('h1'))).toEqual([chunk(0)])
    expect(await one.rows.done(chunk(0), lost, 'r' as never)).toBe(false)
    expect(await one.rows.done(chunk(1), kept, 'r' as never)).toBe(true)
    // Its own chunks stay its own.
    const me = owner('h1')
    await give(one, me, chunk(2))
    expect(await one.book.inherit(me)).toEqual([])
  })

  test('a token opens while its pool is kept, and never again', async () => {
    const one = world()
    const first = await one.book.open(POOL)
    expect(await one.book.open(POOL)).toBe(first)
    expect(await one.book.isOpen(POOL, first)).toBe(true)
    expect(await one.book.isOpen('varve-b', first)).toBe(false)
    await one.book.forget(POOL)
    const second = await one.book.open(POOL)
    expect(second).not.toBe(first)
    const elsewhere = world()
    expect(await elsewhere.book.isOpen(POOL, '')).toBe(false)
    expect(await one.book.isOpen(POOL, second)).toBe(true)
    expect(await one.book.isOpen(POOL, first)).toBe(false)
  })

  test('workers without a pool are no concern of it', async () => {
    const one = world()
    const loop = `${ids()}-embedded-0`
    expect(await give(one, loop, chunk(0))).toBeDefined()
    expect(await one.book.mayTry(loop)).toBe(true)
  })
})
