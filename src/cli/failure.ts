// Errors as a person reads them, and as a shell does.

import { toVarveError } from '../base/errors.ts'
import type { Format, Sink } from './output.ts'
import { clean } from './table.ts'

/** The command did what it was asked, and what it waited for ended badly, or not in time. */
export class CommandFailed extends Error {
  readonly exitCode: number
  constructor(message: string, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

export const EXIT = { ok: 0, error: 1, usage: 2, timeout: 124, interrupted: 130 } as const

/** Says what, why, and what to try. @returns the exit code */
export function reportFailure(error: unknown, stderr: Sink, format: Format): number {
  if (error instanceof CommandFailed) {
    stderr.write(`${clean(error.message)}\n`)
    return error.exitCode
  }
  const known = toVarveError(error)
  const { exit, remedy } = known.spec
  if (format === 'json' || format === 'jsonl') {
    const { code, message, details } = known
    stderr.write(`${JSON.stringify({ error: { code, message, remedy, details } })}\n`)
    return exit
  }
  stderr.write(`error: ${clean(known.message)} (${known.code})\n`)
  stderr.write(`try: ${remedy}\n`)
  return exit
}
