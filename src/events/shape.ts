// What the data of an event may look like, declared once: TypeScript's type of it and its Avro
// schema both come from the declaration. Only what every Avro reader agrees on: no enums (an old
// reader fails on a new symbol), unions with null only, no recursion, every field documented.

export type Shape =
  | 'string'
  | 'long'
  | 'boolean'
  /** Microseconds since 1970-01-01T00:00:00Z. */
  | 'micros'
  | { readonly orNull: Shape }
  | { readonly listOf: Shape }
  | { readonly mapOf: Shape }
  | RecordShape

export interface RecordShape {
  readonly record: string
  readonly doc: string
  readonly fields: Fields
}

export interface Field {
  readonly type: Shape
  readonly doc: string
  /** The version of its schema that first has it; default 1. Later ones must have a default. */
  readonly since?: number
}

export type Fields = Readonly<Record<string, Field>>

export type ValueOf<S> = S extends 'string'
  ? string
  : S extends 'long' | 'micros'
    ? number
    : S extends 'boolean'
      ? boolean
      : S extends { readonly orNull: infer T }
        ? ValueOf<T> | null
        : S extends { readonly listOf: infer T }
          ? readonly ValueOf<T>[]
          : S extends { readonly mapOf: infer T }
            ? Readonly<Record<string, ValueOf<T>>>
            : S extends { readonly fields: infer F }
              ? DataOf<F>
              : never

export type DataOf<F> = {
  readonly [Name in keyof F]: F[Name] extends { readonly type: infer S } ? ValueOf<S> : never
}

/** A field; `since` only when its schema was released without it. */
export function field<const S extends Shape>(
  type: S,
  doc: string,
  since?: number,
): { readonly type: S; readonly doc: string; readonly since?: number } {
  return since === undefined ? { type, doc } : { type, doc, since }
}

export function record<const F extends Fields>(
  name: string,
  doc: string,
  fields: F,
): { readonly record: string; readonly doc: string; readonly fields: F } {
  return { record: name, doc, fields }
}

export type AvroSchema =
  | string
  | readonly AvroSchema[]
  | { readonly type: AvroSchema; readonly [attribute: string]: unknown }

export interface AvroRecord {
  readonly type: 'record'
  readonly name: string
  readonly namespace: string
  readonly doc: string
  readonly fields: readonly {
    readonly name: string
    readonly type: AvroSchema
    readonly doc: string
    readonly default?: unknown
  }[]
  readonly [attribute: string]: unknown
}

/** The Avro schema of a record as it was at `version`. */
export function avroRecord(shape: RecordShape, namespace: string, version: number): AvroRecord {
  const { type, name, doc, fields } = recordSchema(shape, version, new Map())
  return { type, name, namespace, doc, fields }
}

function recordSchema(
  { record: name, doc, fields }: RecordShape,
  version: number,
  known: Map<string, RecordShape>,
): Pick<AvroRecord, 'type' | 'name' | 'doc' | 'fields'> {
  return {
    type: 'record',
    name,
    doc,
    fields: Object.entries(fields)
      .filter(([, { since = 1 }]) => since <= version)
      .map(([fieldName, { type, doc: words }]) => ({
        name: fieldName,
        type: schemaOf(type, version, known),
        doc: words,
        ...defaultOf(type),
      })),
  }
}

function schemaOf(shape: Shape, version: number, known: Map<string, RecordShape>): AvroSchema {
  if (shape === 'micros') return { type: 'long', logicalType: 'timestamp-micros' }
  if (typeof shape === 'string') return shape
  if ('orNull' in shape) return ['null', schemaOf(shape.orNull, version, known)]
  if ('listOf' in shape) return { type: 'array', items: schemaOf(shape.listOf, version, known) }
  if ('mapOf' in shape) return { type: 'map', values: schemaOf(shape.mapOf, version, known) }
  // The second time a record is named: Avro gives a name one meaning in a schema.
  const before = known.get(shape.record)
  if (before === shape) return shape.record
  if (before) throw new Error(`two records are named "${shape.record}"`)
  known.set(shape.record, shape)
  return recordSchema(shape, version, known)
}

/** So that a schema without the field and one with it can read each other. */
function defaultOf(shape: Shape): { default?: unknown } {
  if (typeof shape === 'string') return {}
  if ('orNull' in shape) return { default: null }
  if ('listOf' in shape) return { default: [] }
  if ('mapOf' in shape) return { default: {} }
  return {}
}
