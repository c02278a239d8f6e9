import { afterEach, describe, expect, test } from 'vitest'
import type { Pools } from '../../src/exec/pools.ts'

export interface PoolsWorld {
  readonly pools: Pools
  /** Workers of a pool that are alive now, counted by themselves. */
  alive(pool: string): number
}

export function poolsContract(name: string, open: () => Promise<PoolsWorld>): void {
  describe(`pools: ${name}`, () => {
    let world: PoolsWorld
    afterEach(() => world.pools.close())

    const running = (id: string): number | undefined =>
      world.pools.status().find((status) => status.id === id)?.running

    test('a pool has the size that was asked for last', async () => {
      world = await open()
      for (const size of [2, 2, 5, 1, 0, 3]) {
        await world.pools.apply({ id: 'a', size })
        await expect.poll(() => world.alive('a')).toBe(size)
        expect(running('a')).toBe(size)
      }
    })

    test('pools are apart, and removing one ends its workers', async () => {
      world = await open()
      await world.pools.apply({ id: 'a', size: 2 })
      await world.pools.apply({ id: 'b', size: 1 })
      await world.pools.remove('a')
      await expect.poll(() => world.alive('a')).toBe(0)
      await expect.poll(() => world.alive('b')).toBe(1)
      expect(world.pools.status().map((status) => status.id)).toEqual(['b'])
      await world.pools.remove('a')
    })
  })
}
