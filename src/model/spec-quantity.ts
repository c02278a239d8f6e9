// Amounts of CPU, memory and disk as Kubernetes writes them: `500m`, `2`, `256Mi`, `1e3`, `64M`.
// A text is kept as it was written; sums and comparisons use the number.

import type { Fields } from './spec-fields.ts'
import { brief } from './spec-word.ts'

const UNITS: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  K: 1e3, // Pachyderm's documents write it; Kubernetes' own is "k".
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}
const QUANTITY =
  /^(\d{1,18}(?:\.\d{1,9})?|\.\d{1,9})(?:(n|u|m|k|K|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)|[eE](\d{1,2}))?$/

/** What a quantity comes to; undefined when it is none, or below zero. */
export function quantity(text: string): number | undefined {
  const match = QUANTITY.exec(text)
  if (!match) return undefined
  const [, amount = '', unit = '', exponent] = match
  const factor = exponent === undefined ? (UNITS[unit] ?? 1) : 10 ** Number(exponent)
  return Number(amount) * factor
}

export interface Bounds {
  /** What is least and what is most, both allowed; 0 is allowed besides and means none. */
  readonly least: number
  readonly most: number
  /** For the message: `"500m" or "2"`. */
  readonly example: string
}

export const CPU: Bounds = { least: 0.001, most: 4096, example: '"500m" or "2"' }
export const BYTES: Bounds = { least: 1024, most: 2 ** 50, example: '"256Mi" or "2Gi"' }

/** The text of an amount; undefined when it is not given, or 0. @throws VarveError INVALID_SPEC */
export function parseQuantity(fields: Fields, field: string, bounds: Bounds): string | undefined {
  const given = fields.raw(field)
  if (given === undefined) return undefined
  const text = typeof given === 'number' ? String(given) : given
  const value = typeof text === 'string' ? quantity(text) : undefined
  if (typeof text !== 'string' || value === undefined)
    return fields.refuse(
      field,
      `expected an amount such as ${bounds.example}, found ${brief(String(JSON.stringify(given)))}`,
    )
  if (value === 0) return undefined
  if (value < bounds.least || value > bounds.most)
    fields.refuse(field, `${brief(text)} is not between ${bounds.least} and ${bounds.most}`)
  return text.replace(/K$/, 'k')
}
