// Every fault at every call of one small history: what chance may take long to find.

import { FAULTS, OneFault } from './faults.ts'
import { runSeed } from './scenario.ts'

export interface Systematic {
  /** Port calls of the history without faults. */
  readonly calls: number
  readonly runs: number
  readonly landed: number
  readonly failed: readonly string[]
}

/** `kinds`: how many of the kinds each call gets, in turn; all of them by default. */
export async function systematic(kinds = FAULTS.length): Promise<Systematic> {
  const none = new OneFault(-1, 'ok')
  const sound = await runSeed(1, { faults: none, small: true })
  const failed = sound.violations.map((violation) => `without faults: ${violation}`)
  let runs = 0
  let landed = 0
  for (let at = 0; at < none.calls; at++)
    for (let kind = 0; kind < kinds; kind++) {
      const fault = FAULTS[(at + kind) % FAULTS.length] ?? 'fail'
      const faults = new OneFault(at, fault)
      const { violations } = await runSeed(1, { faults, small: true })
      runs++
      landed += faults.landed
      if (violations.length > 0) failed.push(`${fault} at call ${at}: ${violations[0]}`)
    }
  return { calls: none.calls, runs, landed, failed }
}
