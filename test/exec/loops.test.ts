import { expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import { LoopPools } from '../../src/exec/adapters/loops/pools.ts'
import { poolsContract } from '../contract/pools.ts'
import { VirtualClock } from '../log/toy.ts'

poolsContract('loops', () => {
  const alive = new Map<number, (error: Error) => void>()
  let size = 0
  let pools: LoopPools | undefined
  // The size of loops is given once, so they are made when it is known.
  const made = (): LoopPools =>
    (pools ??= new LoopPools({
      pool: 'a',
      size,
      start: (number, signal) =>
        new Promise<void>((resolve, reject) => {
          alive.set(number, reject)
          signal.addEventListener('abort', () => resolve())
        }).finally(() => alive.delete(number)),
      clock: systemClock,
      random: seededRandom(1),
    }))
  return Promise.resolve({
    pools: {
      run: (signal: AbortSignal) => made().run(signal),
      ring: () => made().ring(),
      status: () => made().status(),
    },
    pool: 'a',
    want: (workers: number) => void (size = workers),
    alive: () => alive.size,
    kill: () => Promise.resolve([...alive.values()][0]?.(new Error('killed'))),
  })
})

test('a worker that fails over and over is tried at growing intervals, never under one number', async () => {
  const clock = new VirtualClock()
  const numbers: number[] = []
  const startsMs: number[] = []
  const pools = new LoopPools({
    pool: 'a',
    size: 1,
    start: (number) => {
      numbers.push(number)
      startsMs.push(clock.monotonicMs())
      return Promise.reject(new Error('no disk'))
    },
    clock,
    // As long a wait as may be drawn.
    random: { next: () => 1, bytes: (size) => new Uint8Array(size) },
  })
  const stop = new AbortController()
  const running = pools.run(stop.signal)
  await clock.sleep(120_000)
  expect(pools.status()).toMatchObject([
    { state: 'waiting', running: 0, wanted: 1, cause: { cause: 'a worker ended: no disk' } },
  ])
  stop.abort()
  await running
  expect(new Set(numbers).size).toBe(numbers.length)
  const waitsMs = startsMs.slice(1).map((atMs, i) => atMs - (startsMs[i] ?? 0))
  expect(waitsMs.slice(0, 4)).toEqual([400, 800, 1_600, 3_200])
  expect(waitsMs.at(-1)).toBe(15_000)
  expect(pools.status()[0]?.state).toBe('idle')
})
