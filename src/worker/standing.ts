// Code that does not end by itself: a service, a spout. It runs until the signal is aborted, and nothing
// else ends it.
//
// - However it ends, it is started again: after 1 s, then after twice as long each time, up to 60 s. One
//   that ran for 60 s had found its feet: the next wait is 1 s again.
// - Its files are laid out once; each start finds /pfs/out empty, and nothing of it is ever taken.
// - What is nobody's code's fault (the server is away, the container is gone) is thrown: the chunk goes
//   back, and whoever claims it starts the code anew.

import type { Claim, WorkerLine } from '../api/worker.ts'
import type { Exit } from '../exec/runner.ts'
import type { PlannedDatum } from '../model/datum.ts'
import { runCommand } from './attempt.ts'
import type { Bench } from './attempt.ts'

const FIRST_MS = 1_000
const MAX_MS = 60_000
/** Code that ran so long is not failing to start. */
const STEADY_MS = 60_000

/** Before it is started again, having ended `ends` times in a row; from 1. */
export function restartMs(ends: number): number {
  return Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(ends - 1, 30))
}

/**
 * Returns when the signal is aborted and the code is dead.
 * @param tell how often in a row it ended by itself
 */
export async function keepRunning(
  bench: Bench & { readonly tell: (ends: number) => void },
  claim: Claim,
  datum: PlannedDatum,
  signal: AbortSignal,
): Promise<void> {
  const { clock, layout } = bench
  let attempt = 0
  let ends = 0
  const say = (text: string, stream: WorkerLine['stream']): Promise<void> | void =>
    bench.line({
      atMs: clock.nowMs(),
      datum: datum.id,
      attempt,
      stream,
      text: withoutToken(text, claim),
    })
  while (!signal.aborted) {
    await layout.lay(claim, datum, false)
    attempt++
    const startedMs = clock.monotonicMs()
    const ended = new AbortController()
    if (ends > 0)
      void clock.sleep(STEADY_MS, AbortSignal.any([signal, ended.signal])).then(() => {
        if (!signal.aborted && !ended.signal.aborted) bench.tell(0)
      })
    let exit: Exit | null
    try {
      exit = await runCommand(bench, claim, datum, claim.spec.transform, signal, (line) =>
        say(line.text, line.stream),
      )
    } finally {
      ended.abort()
    }
    if (signal.aborted) return
    ends = clock.monotonicMs() - startedMs >= STEADY_MS ? 1 : ends + 1
    const waitMs = restartMs(ends)
    bench.tell(ends)
    await say(`${endWords(exit)}; it is started again in ${waitMs / 1_000} s`, 'varve')
    await clock.sleep(waitMs, signal)
  }
}

function endWords(exit: Exit | null): string {
  if (!exit) return 'the code could not be started'
  if (exit.code !== null) return `the code ended with exit code ${exit.code}`
  return `the code was ended by ${exit.signal ?? 'a signal'}`
}

/** Code that shows its environment, or its commands, would leave the token where many can read it. */
function withoutToken(text: string, { writes }: Claim): string {
  return writes ? text.replaceAll(writes.token, '[VARVE_TOKEN]') : text
}
