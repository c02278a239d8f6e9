// Rules of retention as options and in words.

import type { Command } from 'commander'
import { VarveError } from '../base/errors.ts'
import type { KeepRule } from '../model/keep.ts'
import { durationMs } from '../model/spec-fields.ts'

export interface KeepOptions {
  readonly last?: number
  readonly younger?: string
  readonly all?: boolean
}

export function addKeepOptions(command: Command): Command {
  return command
    .option('--last <n>', 'keep so many, the newest', Number)
    .option('--younger <duration>', 'and all that ended less than this ago: 36h, 30d')
    .option('--all', 'keep all')
}

/** Undefined: none of the options was given. @throws VarveError INVALID_OPTION */
export function keepOf({ last, younger, all }: KeepOptions): KeepRule | undefined {
  if (all) {
    if (last === undefined && younger === undefined) return 'all'
    throw new VarveError(
      'INVALID_OPTION',
      'cannot keep all and only some: leave --all, or the rest',
    )
  }
  if (last === undefined && younger === undefined) return undefined
  if (last !== undefined && !(Number.isSafeInteger(last) && last >= 1))
    throw new VarveError(
      'INVALID_OPTION',
      'cannot keep the last few: --last is a whole number from 1',
    )
  const youngerThanMs = younger === undefined ? null : durationMs(younger)
  if (youngerThanMs === undefined)
    throw new VarveError('INVALID_OPTION', `cannot read "${younger}" as a duration such as 30d`)
  return { last: last ?? null, youngerThanMs: youngerThanMs && Math.ceil(youngerThanMs) }
}

/** `the last 100 commits and those younger than 30d`. */
export function keepText(rule: KeepRule): string {
  if (rule === 'all') return 'all commits'
  const { last, youngerThanMs } = rule
  const newest = last === null ? [] : [last === 1 ? 'the last commit' : `the last ${last} commits`]
  const young = youngerThanMs === null ? [] : [`those younger than ${spanText(youngerThanMs)}`]
  return [...newest, ...young].join(' and ')
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const

function spanText(ms: number): string {
  for (const [unit, size] of UNITS) if (ms % size === 0) return `${ms / size}${unit}`
  return `${ms}ms`
}
