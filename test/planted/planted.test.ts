// The test of the tests: every planted bug must be found, by a checker that names what is broken.

import { expect, test } from 'vitest'
import { runSeed } from '../simulation/scenario.ts'
import { DEFECTS } from './defects.ts'

/** At most. Those below are found within a hundred. */
const SEEDS = 5_000

const FOUND_BY: Readonly<Record<string, RegExp>> = {
  'double-propagation': /^I9/,
  'tie-at-one-version': /^(assertions: .*two different writes|I4)/,
  'above-the-watermark': /^I1[03]/,
  'finish-racing-put': /^I5/,
  'result-only-on-bus': /^I15/,
  'two-plans': /^I7/,
  'unknown-for-failure': /^I1/,
  'log-time-outrunning': /^log time/,
  'unrecorded-rejection': /^I1/,
  'position-not-compared': /^I6/,
  'view-with-holes': /^I(4|5|10|13)/,
  'told-before-the-pack': /^I(5|10)/,
  'built-on-refused': /^I(6|13)/,
  'any-mac': /^I14/,
}

test('every planted bug has its checker', () => {
  expect(Object.keys(DEFECTS).toSorted()).toEqual(Object.keys(FOUND_BY).toSorted())
})

for (const [name, defect] of Object.entries(DEFECTS))
  test(`${name} is found`, { timeout: 1_200_000 }, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { violations } = await runSeed(seed, { defect })
      if (violations.some((violation) => FOUND_BY[name]?.test(violation))) return
    }
    expect.unreachable(`${SEEDS} seeds did not find it`)
  })
