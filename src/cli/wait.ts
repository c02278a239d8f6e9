// Waiting for something to end, by long polls, up to a time.

import { VarveError } from '../base/errors.ts'
import { durationMs } from '../model/spec-fields.ts'
import { CommandFailed, EXIT } from './failure.ts'
import type { Session } from './session.ts'

const POLL_MS = 30_000

/**
 * Asks again until it has ended.
 * @throws CommandFailed with exit code 124 when the time is over, 1 when it ended badly
 */
export async function waitUntil<T>(
  session: Session,
  timeout: string | undefined,
  of: {
    /** `now` is the last answer, so that a branch stays the commit it first meant. */
    readonly ask: (timeoutMs: number, now: T | undefined) => Promise<T>
    readonly ended: (value: T) => boolean
    readonly good: (value: T) => boolean
    readonly words: (value: T) => string
    readonly why: (value: T) => string | undefined
  },
): Promise<T> {
  const limitMs = timeout === undefined ? Infinity : durationMs(timeout)
  if (limitMs === undefined)
    throw new VarveError('INVALID_OPTION', `cannot wait "${timeout}": write a duration such as 30s`)
  const untilMs = session.world.nowMs() + limitMs
  let value: T | undefined
  for (;;) {
    const leftMs = Math.max(0, untilMs - session.world.nowMs())
    value = await of.ask(Math.ceil(Math.min(POLL_MS, leftMs)), value)
    if (of.ended(value)) break
    if (session.world.nowMs() >= untilMs)
      throw new CommandFailed(`timeout after ${timeout}: ${of.words(value)}`, EXIT.timeout)
  }
  if (of.good(value)) return value
  if (!session.output.isText) await session.output.value(value)
  const why = of.why(value)
  throw new CommandFailed(`${of.words(value)}${why === undefined ? '' : `: ${why}`}`)
}
