import { afterEach, describe, expect, test } from 'vitest'
import type { PoolStatus } from '../../src/model/pool-status.ts'
import type { Pools } from '../../src/exec/pools.ts'

export interface PoolsWorld {
  readonly pools: Pools
  /** The only pool. */
  readonly pool: string
  /** Asks for so many workers, as the adapter is asked. */
  want(workers: number): void
  /** Workers that are alive now, counted by themselves. */
  alive(): number
  /** Makes one of them end although nobody asked it to. */
  kill(): Promise<void>
  close?(): Promise<void>
}

export function poolsContract(
  name: string,
  open: () => Promise<PoolsWorld>,
  wait: { readonly timeout?: number; readonly interval?: number } = {},
): void {
  describe(`pools: ${name}`, () => {
    let world: PoolsWorld
    let stop: AbortController
    let running: Promise<void>
    const begin = async (workers: number): Promise<void> => {
      world = await open()
      stop = new AbortController()
      world.want(workers)
      running = world.pools.run(stop.signal)
    }
    const status = (): PoolStatus | undefined =>
      world.pools.status().find((one) => one.pool === world.pool)

    afterEach(async () => {
      stop.abort()
      await running
      await world.close?.()
    })

    test('has the workers that are wanted, and says so', async () => {
      await begin(3)
      await expect.poll(() => [world.alive(), status()?.running], wait).toEqual([3, 3])
      await expect.poll(() => status()?.state, wait).toBe('running')
      expect(status()?.pods.map((pod) => pod.state)).toEqual(['running', 'running', 'running'])
    })

    test('a worker that ended is told, and another comes in its place', async () => {
      await begin(2)
      await expect.poll(() => status()?.running, wait).toBe(2)
      const before = new Set(status()?.pods.map((pod) => pod.name))
      await world.kill()
      await expect.poll(() => status()?.ends.length, wait).toBe(1)
      expect(before).toContain(status()?.ends[0]?.pod)
      expect(status()?.ends[0]?.cause.remedy).not.toBe('')
      await expect.poll(() => [world.alive(), status()?.state], wait).toEqual([2, 'running'])
      expect(status()?.cause).toBe(null)
    })

    test('without a worker that is wanted it is idle', async () => {
      await begin(0)
      await expect.poll(() => status()?.state, wait).toBe('idle')
      expect([world.alive(), status()?.wanted]).toEqual([0, 0])
    })
  })
}
