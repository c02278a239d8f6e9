// From variables and flags to values; a flag wins over a variable, a variable over the file that
// `<variable>_FILE` names (secrets only), that over the default.

import { readFileSync } from 'node:fs'
import { VarveError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import { OPTIONS, hasFlag, optionsOf } from './options.ts'
import type { OptionSpec, OptionsOf, Program } from './options.ts'

type Value = string | number | boolean | readonly string[]
type Environment = Readonly<Record<string, string | undefined>>

/** Variables of the command line that share our prefix. */
const FOREIGN_ENV = ['VARVE_SERVER', 'VARVE_PROJECT']
/** And those of the tests, whose servers are real ones. */
const TEST_ENV = 'VARVE_TEST_'
/**
 * Kubernetes tells every container of the services beside it by such variables: those of a service
 * named "varve" are not meant for us, VARVE_PORT=tcp://10.0.0.7:7070 among them.
 */
function isServiceLink(name: string, value: string | undefined): boolean {
  return (
    /_SERVICE_(?:HOST|PORT)|_PORT_\d+_(?:TCP|UDP)/.test(name) || /^(?:tcp|udp):/.test(value ?? '')
  )
}

/**
 * @param flags by option name, as a command-line parser gives them; undefined means not given
 * @throws VarveError INVALID_OPTION on a value that does not fit, a name nobody knows, or what the
 * program needs and was not given, all of it at once
 */
export function parseOptions<P extends Program>(
  program: P,
  env: Environment,
  flags: Readonly<Record<string, string | number | boolean | undefined>>,
): OptionsOf<P> {
  const specs = optionsOf(program)
  const flagged = specs.filter(([, spec]) => hasFlag(spec, program)).map(([name]) => name)
  for (const name of Object.keys(flags))
    if (!flagged.some((known) => known === name)) throw unknown(name, flagged)
  refuseUnknown(env)
  const values: Record<string, Value | undefined> = {}
  const missing: string[] = []
  for (const [name, spec] of specs) {
    const given = flags[name]
    const [source, text] =
      given === undefined ? variable(spec, env) : ([spec.flag, String(given)] as const)
    values[name] = text === undefined ? spec.default : readValue(spec, source, text)
    if (values[name] === undefined && spec.requiredBy?.includes(program))
      missing.push(
        spec.secret ? `${spec.env} (or ${spec.env}_FILE)` : `${spec.env} (or ${spec.flag})`,
      )
  }
  if (missing.length > 0)
    throw new VarveError('INVALID_OPTION', `cannot start without ${missing.join(', ')}`)
  return values as OptionsOf<P>
}

/** Where its value stands, and the value, if it is set. */
function variable(spec: OptionSpec, env: Environment): readonly [string, string | undefined] {
  const direct = env[spec.env]
  if (direct !== undefined && direct !== '' && !isServiceLink(spec.env, direct))
    return [spec.env, direct]
  const fileVariable = `${spec.env}_FILE`
  const file = spec.secret ? env[fileVariable] : undefined
  if (file === undefined || file === '') return [spec.env, undefined]
  try {
    return [fileVariable, readFileSync(file, 'utf8').trimEnd()]
  } catch (cause) {
    const said = `cannot read "${file}" for ${fileVariable}: ${(cause as Error).message}`
    throw new VarveError('INVALID_OPTION', said, { cause })
  }
}

function refuseUnknown(env: Environment): void {
  const known = [
    ...Object.values(OPTIONS).flatMap((spec: OptionSpec) =>
      spec.secret ? [spec.env, `${spec.env}_FILE`] : [spec.env],
    ),
    ...FOREIGN_ENV,
  ]
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('VARVE_') || name.startsWith(TEST_ENV)) continue
    if (!known.includes(name) && !isServiceLink(name, value)) throw unknown(name, known)
  }
}

function unknown(name: string, known: readonly string[]): VarveError {
  const near = nearest(name, known)
  const hint = near ? `did you mean "${near}"?` : `known: ${known.join(', ')}`
  return new VarveError('INVALID_OPTION', `cannot use the option "${name}"; ${hint}`)
}

function readValue(spec: OptionSpec, source: string, text: string): Value {
  const refuse = (why: string): never => {
    const shown = spec.secret ? 'the value' : `"${text}"`
    throw new VarveError('INVALID_OPTION', `cannot use ${shown} for ${source}: ${why}`)
  }
  switch (spec.type) {
    case 'text':
      if (spec.min !== undefined && text.length < spec.min)
        return refuse(`it has at least ${spec.min} characters`)
      return text
    case 'list':
      return readList(spec, text, refuse)
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

function readList(spec: OptionSpec, text: string, refuse: (why: string) => never): string[] {
  const parts = [...new Set(text.split(',').map((part) => part.trim()))].filter((part) => part)
  if (parts.length === 0) return refuse('it names nothing')
  const wrong = parts.find((part) => spec.choices?.includes(part) === false)
  if (wrong === undefined) return parts
  const near = nearest(wrong, spec.choices ?? [])
  return refuse(
    `there is no "${wrong}"; ${near ? `did you mean "${near}"?` : `it is of ${spec.choices?.join(', ')}`}`,
  )
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
