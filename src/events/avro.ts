// Events as bytes: Avro behind Confluent's five bytes, a zero and the id of the schema, which nearly
// every reader of Kafka knows how to follow.

import avsc from 'avsc'
import type { Type } from 'avsc'
import { assert } from '../base/assert.ts'
import { eventTypes, newest } from './catalogue.ts'
import type { SchemaVersion } from './catalogue.ts'

const MAGIC = 0
const PREFIX_BYTES = 5

/** Made when first needed: an embedded server never is. */
const codecs = new Map<number, Type>()

function codecOf({ id, schema }: SchemaVersion): Type {
  let codec = codecs.get(id)
  if (!codec) {
    // A copy: the library may write its own names into what it is given.
    const own = structuredClone(schema) as unknown as avsc.Schema
    codec = avsc.Type.forSchema(own, { wrapUnions: 'never', omitRecordMethods: true })
    codecs.set(id, codec)
  }
  return codec
}

/** The data of an event by a schema. @throws Error naming the field that does not fit */
export function encode(
  version: SchemaVersion,
  data: Readonly<Record<string, unknown>>,
): Uint8Array {
  const body = codecOf(version).toBuffer(data)
  const framed = new Uint8Array(PREFIX_BYTES + body.length)
  new DataView(framed.buffer).setInt32(1, version.id)
  framed[0] = MAGIC
  framed.set(body, PREFIX_BYTES)
  return framed
}

/**
 * What `encode` made, read as the newest version of its type, whichever version wrote it.
 * @throws Error when it is not one of ours
 */
export function decode(bytes: Uint8Array): { readonly type: string; readonly data: unknown } {
  assert(bytes.length > PREFIX_BYTES && bytes[0] === MAGIC, 'an event without its prefix')
  const id = new DataView(bytes.buffer, bytes.byteOffset).getInt32(1)
  for (const one of eventTypes()) {
    const writer = one.versions.find((version) => version.id === id)
    if (!writer) continue
    const reader = codecOf(newest(one))
    const resolver = reader.createResolver(codecOf(writer))
    const body = Buffer.from(
      bytes.buffer,
      bytes.byteOffset + PREFIX_BYTES,
      bytes.length - PREFIX_BYTES,
    )
    return { type: one.type, data: reader.fromBuffer(body, resolver) }
  }
  throw new Error(`there is no schema ${id} of ours`)
}
