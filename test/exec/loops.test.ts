import { expect, test } from 'vitest'
import { LoopPools } from '../../src/exec/adapters/loops/pools.ts'
import { poolsContract } from '../contract/pools.ts'

poolsContract('loops', () => {
  const alive = new Map<string, number>()
  const add = (pool: string, n: number): void => void alive.set(pool, (alive.get(pool) ?? 0) + n)
  const pools = new LoopPools({
    start: async (pool, _index, signal) => {
      add(pool, 1)
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      add(pool, -1)
    },
  })
  return Promise.resolve({ pools, alive: (pool) => alive.get(pool) ?? 0 })
})

test('a worker that fails leaves its cause, and the next apply starts another', async () => {
  let starts = 0
  const pools = new LoopPools({
    start: (_pool, _index, signal) =>
      ++starts === 1
        ? Promise.reject(new Error('no disk'))
        : new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
  })
  await pools.apply({ id: 'a', size: 1 })
  await expect.poll(() => pools.status()[0]?.running).toBe(0)
  expect(pools.status()[0]?.cause).toContain('no disk')
  await pools.apply({ id: 'a', size: 1 })
  expect(pools.status()[0]?.running).toBe(1)
  await pools.close()
})
