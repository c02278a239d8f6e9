import { expect, test } from 'vitest'
import { runSeed } from './scenario.ts'
import { systematic } from './systematic.ts'

const SEEDS = Number(process.env['SIMULATION_SEEDS'] ?? 500)

test('the same seed is the same history', async () => {
  for (const seed of [3, 8, 21]) {
    const first = await runSeed(seed)
    const second = await runSeed(seed)
    expect(second).toEqual(first)
    expect(first.faults).toBeGreaterThan(0)
  }
})

test(`${SEEDS} histories with faults keep every promise`, { timeout: 1_200_000 }, async () => {
  const failed: string[] = []
  let faults = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    const outcome = await runSeed(seed)
    faults += outcome.faults
    if (outcome.violations.length > 0)
      failed.push(`seed ${seed}: ${outcome.violations.slice(0, 3).join('; ')}`)
  }
  expect(failed).toEqual([])
  // Too few would mean that nothing was tested.
  expect(faults).toBeGreaterThan(10 * SEEDS)
})

test('one fault at each call of a small history', { timeout: 1_200_000 }, async () => {
  // One kind each, in turn; `run.ts --systematic` does all kinds at all calls.
  const { calls, landed, failed } = await systematic(1)
  expect(failed).toEqual([])
  expect(calls).toBeGreaterThan(150)
  expect(landed).toBe(calls)
})
