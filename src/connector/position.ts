import { VarveError } from '../base/errors.ts'
import type { Position } from './contract.ts'

export interface ParsedPosition {
  /** A whole number ≥ 0. */
  readonly ordinal: number
  readonly identity: string | null
}

/** @throws VarveError INVALID_OPTION on anything but `<digits>` or `<digits>@<identity>` */
export function parsePosition(text: Position): ParsedPosition {
  const match = /^(\d{1,16})(?:@(.+))?$/s.exec(text)
  const ordinal = Number(match?.[1])
  if (!match || !Number.isSafeInteger(ordinal))
    throw new VarveError('INVALID_OPTION', `cannot read "${text}" as a position`)
  return { ordinal, identity: match[2] ?? null }
}

export function makePosition(ordinal: number, identity: string | null): Position {
  return identity === null ? String(ordinal) : `${ordinal}@${identity}`
}

/** The ordinal in 20 digits, so that file names sort as positions do. */
export function ordinalDigits(ordinal: number): string {
  return String(ordinal).padStart(20, '0')
}
