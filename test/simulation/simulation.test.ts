import { expect, test } from 'vitest'
import { FAULTS, OneFault } from './faults.ts'
import { runSeed } from './scenario.ts'

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

test('one fault of each kind at each call of a small history', { timeout: 1_200_000 }, async () => {
  const none = new OneFault(-1, 'ok')
  expect((await runSeed(1, { faults: none, small: true })).violations).toEqual([])
  const failed: string[] = []
  // All kinds over all calls, shared out: each run of the tests does every call once.
  for (let at = 0; at < Math.min(none.calls, 700); at++) {
    const fault = FAULTS[at % FAULTS.length] ?? 'fail'
    const { violations } = await runSeed(1, { faults: new OneFault(at, fault), small: true })
    if (violations.length > 0) failed.push(`${fault} at call ${at}: ${violations[0]}`)
  }
  expect(failed).toEqual([])
})
