// node test/simulation/run.ts --seeds N --from S [--planted NAME] [--trace]
//   or --systematic: every fault at every call of a small history
// Runs histories; prints each failing seed, how many a second, and how many faults landed.

import { parseArgs } from 'node:util'
import { DEFECTS } from '../planted/defects.ts'
import { runSeed } from './scenario.ts'
import { systematic } from './systematic.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '500' },
    from: { type: 'string', default: '1' },
    planted: { type: 'string' },
    trace: { type: 'boolean', default: false },
    systematic: { type: 'boolean', default: false },
    /** The pipelines room itself in every seed. */
    real: { type: 'boolean', default: false },
    /** Stop at the first failing seed. */
    first: { type: 'boolean', default: false },
  },
})
const from = Number(values.from)
const seeds = Number(values.seeds)
const defect = values.planted === undefined ? undefined : DEFECTS[values.planted]
if (values.planted !== undefined && !defect)
  throw new Error(`no such planted bug; there are: ${Object.keys(DEFECTS).join(', ')}`)

if (values.systematic) {
  const { calls, runs, landed, failed } = await systematic()
  for (const line of failed) console.log(line)
  console.log(`${calls} calls, ${runs} runs, ${landed} faults landed, ${failed.length} failed`)
  process.exit(failed.length > 0 ? 1 : 0)
}

let failed = 0
let ran = 0
let faults = 0
let crashes = 0
let events = 0
const began = performance.now()
for (let seed = from; seed < from + seeds; seed++) {
  const outcome = await runSeed(seed, {
    ...(defect ? { defect } : {}),
    trace: values.trace,
    ...(values.real ? { real: true } : {}),
  })
  ran++
  faults += outcome.faults
  crashes += outcome.crashes
  events += outcome.events
  if (values.trace) for (const line of outcome.trace ?? []) console.log(line)
  if (outcome.violations.length === 0) continue
  failed++
  console.log(`seed ${seed} failed after ${Math.round(performance.now() - began)} ms:`)
  for (const violation of outcome.violations.slice(0, 5)) console.log(`  ${violation}`)
  if (values.first) break
}
const seconds = (performance.now() - began) / 1000
const perSecond = (n: number): string => (n / seconds).toFixed(1)
console.log(
  `${ran} seeds, ${failed} failed; ${seconds.toFixed(1)} s, ${perSecond(ran)} seeds/s, ` +
    `${events} events, ${faults} faults landed (${perSecond(faults)}/s), ${crashes} crashes`,
)
process.exitCode = failed > 0 ? 1 : 0
