// Whether two schemas of one record can read what the other wrote, and whether a schema keeps our own
// rules, which keep it possible to go on that way.

import avsc from 'avsc'
import type { Type } from 'avsc'

export interface AvroField {
  readonly name: string
  readonly type: unknown
  readonly doc?: string
  readonly default?: unknown
}

/** What stands in the way of reading either's data with the other; empty: nothing. */
export function incompatibilities(one: unknown, other: unknown): string[] {
  return [...reading(one, other), ...reading(other, one), ...meanings(one, other, '')]
}

/** Can `reader` read what `writer` wrote? */
function reading(reader: unknown, writer: unknown): string[] {
  try {
    typeOf(reader).createResolver(typeOf(writer))
    return []
  } catch (error) {
    return [(error as Error).message]
  }
}

function typeOf(schema: unknown): Type {
  const own = structuredClone(schema) as avsc.Schema
  return avsc.Type.forSchema(own, { wrapUnions: 'never' })
}

/** The same bytes that mean something else: Avro itself does not look at logical types. */
function meanings(one: unknown, other: unknown, path: string): string[] {
  if (Array.isArray(one) && Array.isArray(other)) return meanings(one.at(-1), other.at(-1), path)
  if (!isObject(one) || !isObject(other)) {
    const [a, b] = [logicalOf(one), logicalOf(other)]
    return a === b ? [] : [`${path}: ${a} is not ${b}`]
  }
  if (logicalOf(one) !== logicalOf(other))
    return [`${path}: ${logicalOf(one)} is not ${logicalOf(other)}`]
  const inner = ['items', 'values'].flatMap((part) => meanings(one[part], other[part], `${path}[]`))
  const others = new Map(fieldsOf(other).map((each) => [each.name, each.type]))
  return fieldsOf(one).reduce(
    (found, { name, type }) =>
      others.has(name) ? [...found, ...meanings(type, others.get(name), `${path}.${name}`)] : found,
    inner,
  )
}

/** Breaches of our rules: documented, evolvable, read alike in every language. */
export function breaches(schema: unknown, path = ''): string[] {
  if (Array.isArray(schema)) {
    const [first, second, ...more] = schema as unknown[]
    if (first !== 'null' || second === undefined || more.length > 0)
      return [`${path}: a union that is not ["null", T]`]
    return breaches(second, path)
  }
  if (!isObject(schema))
    return ['string', 'long', 'boolean'].includes(String(schema)) ||
      /^[A-Z]\w+$/.test(String(schema))
      ? []
      : [`${path}: a type that we do not use, ${JSON.stringify(schema)}`]
  const { type, doc } = schema
  if (type === 'array') return breaches(schema['items'], `${path}[]`)
  if (type === 'map') return breaches(schema['values'], `${path}[]`)
  if (type === 'long')
    return logicalOf(schema) === 'timestamp-micros' ? [] : [`${path}: an unknown logical type`]
  if (type !== 'record') return [`${path}: a type that we do not use, ${JSON.stringify(type)}`]
  return [
    ...(typeof doc === 'string' && doc !== '' ? [] : [`${path}: a record without words`]),
    ...fieldsOf(schema).flatMap((each) => {
      const at = `${path}.${each.name}`
      const isUnion = Array.isArray(each.type)
      return [
        ...(each.doc === undefined || each.doc === '' ? [`${at}: a field without words`] : []),
        ...(isUnion && each.default !== null ? [`${at}: null is not its default`] : []),
        ...(/(Ms|_ms)$/.test(each.name) ? [`${at}: times are microseconds`] : []),
        ...breaches(each.type, at),
      ]
    }),
  ]
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fieldsOf(schema: Readonly<Record<string, unknown>>): readonly AvroField[] {
  return (schema['fields'] ?? []) as readonly AvroField[]
}

function logicalOf(schema: unknown): string {
  const logicalType = isObject(schema) ? schema['logicalType'] : undefined
  return typeof logicalType === 'string' ? logicalType : 'none'
}
