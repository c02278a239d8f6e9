// From variables and flags to values; a flag wins over a variable, a variable over the default.

import { VarveError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import { OPTIONS } from './options.ts'
import type { OptionName, OptionSpec, Options } from './options.ts'

const SPECS = Object.entries(OPTIONS) as [OptionName, OptionSpec][]

/** Variables of the command line that share our prefix. */
const FOREIGN_ENV = ['VARVE_SERVER', 'VARVE_PROJECT']
/** And those of the tests, whose servers are real ones. */
const TEST_ENV = 'VARVE_TEST_'

/**
 * @param flags by option name, as a command-line parser gives them; undefined means not given
 * @throws VarveError INVALID_OPTION on a value that does not fit, or a name nobody knows
 */
export function parseOptions(
  env: Readonly<Record<string, string | undefined>>,
  flags: Readonly<Record<string, string | number | boolean | undefined>>,
): Options {
  refuseUnknown(env, flags)
  const values: Record<string, string | number | boolean | undefined> = {}
  for (const [name, spec] of SPECS) {
    const flag = flags[name]
    const variable = env[spec.env]
    if (flag !== undefined) values[name] = readValue(spec, spec.flag, String(flag))
    else if (variable !== undefined && variable !== '')
      values[name] = readValue(spec, spec.env, variable)
    else values[name] = spec.default
  }
  return values as Options
}

function refuseUnknown(env: object, flags: object): void {
  for (const name of Object.keys(flags))
    if (!Object.hasOwn(OPTIONS, name)) throw unknown(name, Object.keys(OPTIONS))
  const known = [...SPECS.map(([, spec]) => spec.env), ...FOREIGN_ENV]
  for (const name of Object.keys(env))
    if (name.startsWith('VARVE_') && !name.startsWith(TEST_ENV) && !known.includes(name))
      throw unknown(name, known)
}

function unknown(name: string, known: readonly string[]): VarveError {
  const near = nearest(name, known)
  const hint = near ? `did you mean "${near}"?` : `known: ${known.join(', ')}`
  return new VarveError('INVALID_OPTION', `cannot use the option "${name}"; ${hint}`)
}

function readValue(spec: OptionSpec, source: string, text: string): string | number | boolean {
  const refuse = (why: string): never => {
    const shown = spec.secret ? 'the value' : `"${text}"`
    throw new VarveError('INVALID_OPTION', `cannot use ${shown} for ${source}: ${why}`)
  }
  switch (spec.type) {
    case 'text':
      return text
    case 'choice':
      return spec.choices?.includes(text)
        ? text
        : refuse(`it is one of ${spec.choices?.join(', ') ?? ''}`)
    case 'boolean':
      if (/^(?:true|yes|1|on)$/i.test(text)) return true
      return /^(?:false|no|0|off)$/i.test(text) ? false : refuse('it is true or false')
    case 'port':
      return inRange(wholeNumber(text), 0, 65_535, refuse)
    case 'integer':
      return inRange(wholeNumber(text), spec.min ?? 0, spec.max ?? Infinity, refuse)
    case 'bytes':
      return inRange(parseBytes(text), spec.min ?? 0, spec.max ?? Infinity, refuse)
  }
}

const wholeNumber = (text: string): number => (/^\d+$/.test(text) ? Number(text) : NaN)

function inRange(value: number, min: number, max: number, refuse: (why: string) => never): number {
  if (!Number.isSafeInteger(value)) return refuse('it is not a whole number')
  if (value >= min && value <= max) return value
  return refuse(max === Infinity ? `it is at least ${min}` : `it lies between ${min} and ${max}`)
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
}

/** `512MiB`, `1 TiB`, `1048576`; NaN when it is none. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?i?b?)$/i.exec(text.trim())
  const unit = UNITS[match?.[2]?.toLowerCase() ?? '-']
  return match && unit !== undefined ? Number(match[1]) * unit : NaN
}
