import { expect, test } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import { Pace } from '../../src/base/pace.ts'

test('so many a second go through, and a pause is not made up for', async () => {
  let nowMs = 5
  const clock: Clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: (ms) => {
      nowMs += ms
      return Promise.resolve()
    },
  }
  const pace = new Pace(clock, 100)
  await pace.spend(1_000)
  expect(nowMs).toBe(5)
  await pace.spend(50)
  expect(nowMs).toBe(10_005)
  await pace.spend(1)
  expect(nowMs).toBe(10_505)
  nowMs += 60_000
  await pace.spend(100)
  await pace.spend(100)
  expect(nowMs).toBe(71_505)
})
