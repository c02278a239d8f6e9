// Avro's parsing canonical form, and the fingerprint made of it: two schemas with the same form read
// and write the same bytes, whatever their words, defaults and layout. As the specification of Avro
// 1.12 has them.

import { utf8 } from '../base/bytes.ts'
import type { AvroSchema } from './shape.ts'

const PRIMITIVES = 'null boolean int long float double bytes string'.split(' ')

/** @throws Error on what is no schema */
export function canonicalForm(schema: unknown): string {
  return form(schema, '')
}

/** CRC-64-AVRO of the canonical form: 16 hex digits, the most significant first. */
export function fingerprint(schema: AvroSchema): string {
  return crc64(utf8(canonicalForm(schema)))
    .toString(16)
    .padStart(16, '0')
}

function form(schema: unknown, namespace: string): string {
  if (typeof schema === 'string')
    return JSON.stringify(PRIMITIVES.includes(schema) ? schema : fullName(schema, namespace))
  if (Array.isArray(schema)) return `[${schema.map((each) => form(each, namespace)).join()}]`
  if (typeof schema !== 'object' || schema === null) throw new Error('it is not a schema')
  const {
    type,
    name,
    namespace: own,
    fields,
    symbols,
    size,
    items,
    values,
  } = schema as {
    readonly [attribute: string]: unknown
  }
  if (type === 'array') return `{"type":"array","items":${form(items, namespace)}}`
  if (type === 'map') return `{"type":"map","values":${form(values, namespace)}}`
  if (type !== 'record' && type !== 'enum' && type !== 'fixed') return form(type, namespace)
  if (typeof name !== 'string') throw new Error(`it has a ${type} without a name`)
  const full = fullName(name, typeof own === 'string' ? own : namespace)
  const head = `{"name":${JSON.stringify(full)},"type":"${type}"`
  if (type === 'fixed') return `${head},"size":${Number(size)}}`
  if (type === 'enum') return `${head},"symbols":${JSON.stringify(symbols)}}`
  if (!Array.isArray(fields)) throw new Error(`the record "${full}" has no fields`)
  const inner = full.includes('.') ? full.slice(0, full.lastIndexOf('.')) : ''
  const parts = (fields as readonly { readonly name?: unknown; readonly type?: unknown }[]).map(
    (each) => `{"name":${JSON.stringify(each.name)},"type":${form(each.type, inner)}}`,
  )
  return `${head},"fields":[${parts.join()}]}`
}

function fullName(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
}

const EMPTY = 0xc15d213aa4d7a795n

const TABLE = Array.from({ length: 256 }, (_, i) => {
  let sum = BigInt(i)
  for (let bit = 0; bit < 8; bit++) sum = (sum >> 1n) ^ (sum & 1n ? EMPTY : 0n)
  return sum
})

function crc64(bytes: Uint8Array): bigint {
  let sum = EMPTY
  for (const byte of bytes) sum = (sum >> 8n) ^ (TABLE[Number(sum & 255n) ^ byte] as bigint)
  return sum
}
