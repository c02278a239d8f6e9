// One datum, tried until it succeeds or its tries are used up; then errCmd has a say.
//
//   success     an exit code of 0 or an accepted one, and an output that can be taken
//   recovered   no success, but errCmd succeeded: no output, and it is tried again in the next job
//   failed      neither
//
// Code of a standing pipeline is no attempt at anything: standing.ts keeps it running.

import type { Claim, OutputWriter, WorkerLine } from '../api/worker.ts'
import type { Clock } from '../base/clock.ts'
import { EMPTY, utf8 } from '../base/bytes.ts'
import { isVarveError } from '../base/errors.ts'
import type { Exit, OutputLine, RunRequest, Runner } from '../exec/runner.ts'
import type { ScratchFolder } from '../exec/scratch.ts'
import type { DatumResult, PlannedDatum } from '../model/datum.ts'
import { durationMs } from '../model/spec-fields.ts'
import { environmentOf } from './environment.ts'
import type { Layout } from './layout.ts'
import { uploadOutput } from './upload.ts'

const LAST_LINES = 20
const LAST_LINE_CHARS = 1_000

export interface Bench {
  readonly runner: Runner
  readonly clock: Clock
  readonly folder: ScratchFolder
  readonly layout: Layout
  readonly output: OutputWriter
  /** Where code that writes over the API finds it. */
  readonly server?: string
  line(line: WorkerLine): Promise<void> | void
}

/** @throws what is nobody's code's fault: the server is away, the disk is full */
export async function runDatum(
  bench: Bench,
  claim: Claim,
  datum: PlannedDatum,
  signal: AbortSignal,
): Promise<DatumResult> {
  const { transform, datumTries } = claim.spec
  const times = { layoutMs: 0, runMs: 0, uploadMs: 0 }
  let last: string[] = []
  let exit: Exit | null = null
  let attempt = 0
  const run = async (
    cmd: readonly string[],
    stdin: readonly string[] | undefined,
  ): Promise<boolean> => {
    last = []
    exit = await timed(bench.clock, times, 'runMs', () =>
      runCommand(bench, claim, datum, { cmd, stdin }, signal, (line) =>
        say(line.text, line.stream),
      ),
    )
    return exit !== null && accepted(exit, transform.acceptReturnCode)
  }
  const say = (text: string, stream: WorkerLine['stream']): Promise<void> | void => {
    last.push(text.slice(0, LAST_LINE_CHARS))
    if (last.length > LAST_LINES) last.shift()
    return bench.line({ atMs: bench.clock.nowMs(), datum: datum.id, attempt, stream, text })
  }
  const result = (state: DatumResult['state'], files: number): DatumResult => ({
    ...datum,
    state,
    attempts: attempt,
    exit,
    lastLines: state === 'success' ? [] : last,
    times: { ...times },
    files,
  })

  while (attempt < datumTries && !signal.aborted) {
    attempt++
    await timed(bench.clock, times, 'layoutMs', () => bench.layout.lay(claim, datum, attempt > 1))
    if (!(await run(transform.cmd, transform.stdin))) continue
    try {
      const files = await timed(bench.clock, times, 'uploadMs', () =>
        uploadOutput(datum, bench.folder, bench.output),
      )
      return result('success', files)
    } catch (error) {
      if (!isVarveError(error, 'INVALID_PATH') && !isVarveError(error, 'NOT_FOUND_PATH'))
        throw error
      await bench.output.drop(datum.id)
      exit = null
      await say(error.message, 'varve')
    }
  }
  if (signal.aborted || !transform.errCmd) return result('failed', 0)
  const failure = { exit, last }
  const recovered = await run(transform.errCmd, transform.errStdin)
  if (recovered) return result('recovered', 0)
  // What is kept is why the code failed, not why errCmd did.
  exit = failure.exit
  last = failure.last
  return result('failed', 0)
}

/** Runs one command of the pipeline to its end. Null when the program could not be started. */
export async function runCommand(
  bench: Bench,
  claim: Claim,
  datum: PlannedDatum,
  what: { readonly cmd: readonly string[]; readonly stdin?: readonly string[] | undefined },
  signal: AbortSignal,
  line: (line: { text: string; stream: WorkerLine['stream'] }) => Promise<void> | void,
): Promise<Exit | null> {
  const { runner, folder } = bench
  const { transform, datumTimeout, resourceLimits } = claim.spec
  const mounted = runner.mountsPfs
  const root = mounted ? '/pfs' : folder.path
  const request: RunRequest = {
    cmd: what.cmd,
    stdin: what.stdin && (what.stdin.length === 0 ? EMPTY : utf8(`${what.stdin.join('\n')}\n`)),
    env: environmentOf(claim, datum, { root, mounted }, bench.server),
    cwd: transform.workingDir,
    pfs: folder.path,
    limits: { timeoutMs: datumTimeout === undefined ? undefined : durationMs(datumTimeout) },
  }
  try {
    const exit = await runner.run(request, (each: OutputLine) => line(each), signal)
    if (exit.timedOut)
      await line({ text: `killed: over its time of ${datumTimeout}`, stream: 'varve' })
    else if (exit.signal === 'SIGKILL' && !signal.aborted)
      await line({ text: killedWords(resourceLimits?.memory), stream: 'varve' })
    return exit
  } catch (error) {
    if (!isVarveError(error, 'CODE_FAILED')) throw error
    await line({ text: error.message, stream: 'varve' })
    return null
  }
}

function killedWords(memory: string | undefined): string {
  return memory === undefined
    ? 'killed from outside: by somebody, or because the machine ran out of memory'
    : `killed from outside: most likely it took more memory than its limit of ${memory}`
}

function accepted(exit: Exit, codes: readonly number[] | undefined): boolean {
  return exit.code === 0 || (exit.code !== null && codes?.includes(exit.code) === true)
}

async function timed<T, K extends string>(
  clock: Clock,
  times: Record<K, number>,
  name: K,
  work: () => Promise<T>,
): Promise<T> {
  const before = clock.monotonicMs()
  try {
    return await work()
  } finally {
    times[name] += Math.round(clock.monotonicMs() - before)
  }
}
