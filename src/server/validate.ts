// Query and body against a route's schemas, with refusals a person can act on.

import { Ajv } from 'ajv'
import type { ErrorObject, ValidateFunction } from 'ajv'
import type { TSchema } from 'typebox'
import { VarveError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'

const queries = new Ajv({ coerceTypes: true, strict: false, useDefaults: true })
const bodies = new Ajv({ strict: false })

export type Check = (value: unknown) => unknown

/** Query values come as text and are made numbers and booleans by the schema. */
export function queryCheck(schema: TSchema | undefined): Check {
  const closed = { type: 'object', properties: {}, ...schema, additionalProperties: false }
  return check(queries.compile(closed), closed, 'query parameter')
}

export function bodyCheck(schema: TSchema): Check {
  const closed = { ...schema, additionalProperties: false }
  return check(bodies.compile(closed), closed, 'field')
}

function check(validate: ValidateFunction, schema: object, noun: string): Check {
  const known = Object.keys((schema as { properties?: object }).properties ?? {})
  return (value) => {
    if (validate(value)) return value
    const [error] = validate.errors ?? []
    throw new VarveError('INVALID_OPTION', words(error, noun, known))
  }
}

function words(error: ErrorObject | undefined, noun: string, known: readonly string[]): string {
  if (!error) return `cannot use a ${noun}`
  const params = error.params as Record<string, unknown>
  if (error.keyword === 'additionalProperties') {
    const name = String(params['additionalProperty'])
    const near = nearest(name, known)
    const hint = near
      ? `did you mean "${near}"?`
      : known.length
        ? `known: ${known.join(', ')}`
        : 'there are none here'
    return `cannot use the ${noun} "${name}"; ${hint}`
  }
  if (error.keyword === 'required')
    return `cannot do without the ${noun} "${String(params['missingProperty'])}"`
  const name = error.instancePath.slice(1).replaceAll('/', '.')
  if (error.keyword === 'enum') {
    const allowed = (params['allowedValues'] as unknown[]).join(', ')
    return `cannot use the ${noun} "${name}": it is one of ${allowed}`
  }
  return name === ''
    ? `cannot use what was sent: it ${error.message ?? 'is wrong'}`
    : `cannot use the ${noun} "${name}": it ${error.message ?? 'is wrong'}`
}
