// Options are declared once; validation, did-you-mean and help follow from the declaration.

import { VarveError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'

export interface OptionSpec {
  /**
   * `list`: texts, also written as one text with commas. `secret`: a reference, `{env: NAME}` or
   * `{file: PATH}`, never the secret itself. `json`: an object as it is.
   */
  readonly type: 'text' | 'integer' | 'boolean' | 'list' | 'secret' | 'json'
  readonly help: string
  readonly required?: true
  readonly default?: string | number | boolean
  /** For texts: the only values there are. */
  readonly oneOf?: readonly string[]
  /** For integers. */
  readonly min?: number
  readonly max?: number
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>

interface TypeOf {
  text: string
  integer: number
  boolean: boolean
  list: readonly string[]
  secret: unknown
  json: Readonly<Record<string, unknown>>
}

/** Present when required or defaulted, else maybe undefined. */
export type OptionValues<S extends OptionSpecs> = {
  readonly [K in keyof S]: S[K] extends { required: true } | { default: string | number | boolean }
    ? TypeOf[S[K]['type']]
    : TypeOf[S[K]['type']] | undefined
}

/**
 * Checks what a person wrote against the declaration and fills in defaults.
 * @param where what the options are of, without a dot: `kafka`
 * @throws VarveError INVALID_OPTION with details {option}: what was found, the nearest name
 */
export function readOptions<S extends OptionSpecs>(
  specs: S,
  given: unknown,
  where: string,
): OptionValues<S> {
  if (given !== undefined && !isObject(given))
    throw refuse(where, `it is ${JSON.stringify(given)}, not an object of options`)
  const input = given ?? {}
  for (const name of Object.keys(input)) {
    if (Object.hasOwn(specs, name)) continue
    const near = nearest(name, Object.keys(specs))
    throw refuse(
      `${where}.${name}`,
      `there is no such option${near ? `; did you mean "${near}"?` : ''}`,
    )
  }
  const values: Record<string, unknown> = {}
  for (const [name, spec] of Object.entries(specs)) {
    const value = input[name] ?? spec.default
    if (value === undefined) {
      if (spec.required) throw refuse(`${where}.${name}`, `it is missing: ${spec.help}`)
      continue
    }
    values[name] = readOption(spec, value, `${where}.${name}`)
  }
  return values as OptionValues<S>
}

function readOption(spec: OptionSpec, value: unknown, where: string): unknown {
  const found = JSON.stringify(value)
  switch (spec.type) {
    case 'text':
      if (typeof value !== 'string') throw refuse(where, `it is ${found}, not a text`)
      if (spec.oneOf && !spec.oneOf.includes(value)) {
        const near = nearest(value, spec.oneOf)
        const hint = near ? `; did you mean "${near}"?` : ''
        throw refuse(where, `it is ${found}, not one of ${spec.oneOf.join(', ')}${hint}`)
      }
      return value
    case 'integer': {
      const min = spec.min ?? 0
      const max = spec.max ?? Number.MAX_SAFE_INTEGER
      if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max)
        throw refuse(where, `it is ${found}, not a whole number from ${min} to ${max}`)
      return value
    }
    case 'boolean':
      if (typeof value !== 'boolean') throw refuse(where, `it is ${found}, not true or false`)
      return value
    case 'list': {
      const list = typeof value === 'string' ? value.split(',').map((item) => item.trim()) : value
      if (!Array.isArray(list) || list.length === 0 || !list.every(isText))
        throw refuse(where, `it is ${found}, not a list of texts`)
      return list
    }
    case 'secret': {
      const keys = isObject(value) ? Object.keys(value) : []
      if (keys.length !== 1 || (keys[0] !== 'env' && keys[0] !== 'file'))
        throw refuse(where, 'a secret is given by reference only: {env: NAME} or {file: PATH}')
      return value
    }
    case 'json':
      if (!isObject(value)) throw refuse(where, `it is ${found}, not an object`)
      return value
  }
}

/** One line an option, for help and the reference page. */
export function describeOptions(specs: OptionSpecs): string[] {
  return Object.entries(specs).map(([name, spec]) => {
    const kind = spec.oneOf ? spec.oneOf.join(' | ') : spec.type
    const rest = spec.required
      ? ', required'
      : spec.default === undefined
        ? ''
        : `, ${spec.default}`
    return `${name} (${kind}${rest}): ${spec.help}`
  })
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

/** `where` is `<whose>.<option>`; the option goes into the details too, for a place in a document. */
function refuse(where: string, why: string): VarveError {
  const dot = where.indexOf('.')
  const details = dot < 0 ? {} : { details: { option: where.slice(dot + 1) } }
  return new VarveError('INVALID_OPTION', `cannot use option "${where}": ${why}`, details)
}
