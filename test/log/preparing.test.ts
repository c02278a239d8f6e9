import { expect, test } from 'vitest'
import { deferred } from '../../src/base/async.ts'
import type { Deferred } from '../../src/base/async.ts'
import { VarveError } from '../../src/base/errors.ts'
import { seededRandom } from '../../src/base/random.ts'
import { Item } from '../../src/log/arrivals.ts'
import type { Proposal } from '../../src/log/machine.ts'
import { Preparing } from '../../src/log/preparing.ts'
import type { Id } from '../../src/model/id.ts'
import { VirtualClock } from './toy.ts'

/** Prepared is the number of the preparation; each waits until the test says how it ends. */
class World {
  readonly asked: { readonly ids: string; readonly ends: Deferred<number | undefined>[] }[] = []
  readonly ready: string[] = []
  readonly items = new Map<string, Item<never, number>>()
  readonly preparing: Preparing<never, object, number>

  constructor() {
    this.preparing = new Preparing<never, object, number>(
      {
        clock: new VirtualClock(),
        random: seededRandom(1),
        machine: {
          prepare: (_, proposals) => {
            const ends = proposals.map(() => deferred<number | undefined>())
            this.asked.push({ ids: proposals.map(({ id }) => id).join(' '), ends })
            return ends.map(({ promise }) => promise)
          },
        },
      },
      ({ proposal, prepared }) =>
        this.ready.push(
          `${proposal.id} ${prepared && 'value' in prepared ? prepared.value : 'no'}`,
        ),
      new AbortController().signal,
    )
    this.preparing.begin([], {})
  }

  /** `a k j`: of this name, with these keys. */
  add(...all: string[]): void {
    for (const one of all) {
      const [id = '', ...keys] = one.split(' ')
      const proposal = { id: id as Id } as Proposal<never>
      const item = new Item<never, number>(this.items.size, { kind: 'propose', proposal }, keys)
      this.items.set(id, item)
      this.preparing.add(item)
    }
  }

  item(id: string): Item<never, number> {
    return this.items.get(id) as Item<never, number>
  }

  get order(): string[] {
    return this.asked.map(({ ids }) => ids)
  }

  /** The n-th preparation ends. */
  async end(n: number, with_: (end: Deferred<number | undefined>, i: number) => void) {
    for (const [i, end] of (this.asked[n]?.ends ?? []).entries()) with_(end, i)
    await new Promise(setImmediate)
  }
}

test('those that wait for one key alone are prepared together, and get ready one after another', async () => {
  const world = new World()
  world.add('a k', 'b k', 'c k', 'd k j', 'e k')
  expect(world.order).toEqual(['a'])
  await world.end(0, (end) => end.resolve(0))
  world.preparing.release(world.item('a'))
  // Not the one with another key, nor who comes after it.
  expect(world.order).toEqual(['a', 'b c'])
  await world.end(1, (end) => end.resolve(1))
  expect(world.ready).toEqual(['a 0', 'b 1'])
  world.preparing.release(world.item('b'))
  expect(world.ready).toEqual(['a 0', 'b 1', 'c 1'])
  world.preparing.release(world.item('c'))
  expect(world.order).toEqual(['a', 'b c', 'd'])
  world.preparing.release(world.item('d'))
  expect(world.order).toEqual(['a', 'b c', 'd', 'e'])
})

test('who is asked for again takes along those prepared on it', async () => {
  const world = new World()
  world.add('x k', 'a k', 'b k')
  world.preparing.release(world.item('x'))
  await world.end(1, (end, i) => i === 0 && end.resolve(1))
  world.preparing.prepare(world.item('a'))
  await world.end(1, (end) => end.resolve(1))
  await world.end(2, (end) => end.resolve(2))
  world.preparing.release(world.item('a'))
  expect(world.order).toEqual(['x', 'a b', 'a b'])
  expect(world.ready).toEqual(['a 1', 'a 2', 'b 2'])
})

test('one that fails in passing is prepared again before those behind it', async () => {
  const world = new World()
  world.add('x k', 'a k', 'b k', 'c k')
  world.preparing.release(world.item('x'))
  const passing = new VarveError('UNAVAILABLE', 'for now')
  await world.end(1, (end, i) =>
    i === 1 ? end.reject(passing) : end.resolve(i === 0 ? 1 : undefined),
  )
  expect(world.ready).toEqual(['a 1'])
  world.preparing.release(world.item('a'))
  expect(world.order).toEqual(['x', 'a b c', 'b c'])
  await world.end(2, (end, i) => (i === 0 ? end.reject(passing) : end.resolve(2)))
  await expect.poll(() => world.order).toEqual(['x', 'a b c', 'b c', 'b c'])
  await world.end(3, (end) => end.reject(new VarveError('PATH_CONFLICT', 'for good')))
  expect(world.ready).toEqual(['a 1', 'b no'])
})

test('what was prepared before the state was made anew is void', async () => {
  const world = new World()
  world.add('x k', 'a k', 'b k')
  world.preparing.release(world.item('x'))
  const items = [world.item('a'), world.item('b')]
  world.preparing.end(items)
  await world.end(1, (end) => end.resolve(1))
  expect(world.ready).toEqual([])
  world.preparing.begin(items, {})
  await world.end(2, (end) => end.resolve(2))
  expect(world.order).toEqual(['x', 'a b', 'a b'])
  expect(world.ready).toEqual(['a 2'])
})
