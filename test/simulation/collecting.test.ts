import { expect, test } from 'vitest'
import { COLLECTING_DEFECTS } from '../planted/collecting.ts'
import { runCollecting } from './collecting.ts'

/** Each has two collectors beside writers, and some rounds of each. */
const SEEDS = Number(process.env['COLLECTING_SEEDS'] ?? 300)
/** At most. Each is found within twenty. */
const PLANTED_SEEDS = 500

const FOUND_BY: Readonly<Record<string, RegExp>> = {
  'no-second-mark': /^I11/,
  'sessions-not-closed': /^I11/,
  'stages-not-raised': /^I11/,
  'uploads-not-raised': /^(I11|assertions: .*cannot read)/,
  'results-not-raised': /^I11/,
  'names-reused': /^(I11|assertions: .*cannot read)/,
  'forwards-forgotten': /^(I11|assertions: .*cannot read)/,
  'redactions-forgotten': /^(I11|I15|purged|assertions: .*cannot read)/,
}

test('the same seed is the same history', async () => {
  for (const seed of [2, 7]) expect(await runCollecting(seed)).toEqual(await runCollecting(seed))
})

test(
  `${SEEDS} histories of collection lose nothing and keep nothing`,
  { timeout: 1_200_000 },
  async () => {
    const failed: string[] = []
    let faults = 0
    let rounds = 0
    let deleted = 0
    let repacked = 0
    let purged = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      const outcome = await runCollecting(seed)
      faults += outcome.faults
      rounds += outcome.rounds
      deleted += outcome.deleted
      repacked += outcome.repacked
      purged += outcome.purged
      if (outcome.violations.length > 0)
        failed.push(`seed ${seed}: ${outcome.violations.slice(0, 3).join('; ')}`)
    }
    expect(failed).toEqual([])
    // Too few would mean that nothing was tested.
    expect(faults).toBeGreaterThan(10 * SEEDS)
    expect(rounds).toBeGreaterThan(5 * SEEDS)
    expect(deleted).toBeGreaterThan(5 * SEEDS)
    expect(repacked).toBeGreaterThan(SEEDS / 10)
    expect(purged).toBeGreaterThan(SEEDS / 4)
  },
)

test('every planted bug has its checker', () => {
  expect(Object.keys(COLLECTING_DEFECTS).toSorted()).toEqual(Object.keys(FOUND_BY).toSorted())
})

for (const [name, defect] of Object.entries(COLLECTING_DEFECTS))
  test(`${name} is found`, { timeout: 1_200_000 }, async () => {
    for (let seed = 1; seed <= PLANTED_SEEDS; seed++) {
      const { violations } = await runCollecting(seed, { defect: defect() })
      if (violations.some((violation) => FOUND_BY[name]?.test(violation))) return
    }
    expect.unreachable(`${PLANTED_SEEDS} seeds did not find it`)
  })
