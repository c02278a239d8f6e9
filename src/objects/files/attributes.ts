// What a file carries beside its content, for clients that ask for it again. It is part of the entry, so
// of every digest above it, but not of the file's own.
//
// Canonical: varint count · for each, in byte order of the names: text name · text value.

import { compareUtf8 } from '../../base/bytes.ts'
import { VarveError } from '../../base/errors.ts'
import { ByteReader, ByteWriter, corrupt } from '../packs/codec.ts'

export interface FileAttributes {
  readonly contentType?: string
  /** Of the content, 32 hex digits, as its author gave it. */
  readonly md5?: string
  /** The author's own, by name. */
  readonly user?: Readonly<Record<string, string>>
}

const MAX_BYTES = 4 * 1024
const USER = 'user.'

/** Undefined where there is nothing to say. @throws VarveError TOO_LARGE */
export function encodeAttributes({
  contentType,
  md5,
  user = {},
}: FileAttributes): Uint8Array | undefined {
  const all = Object.entries(user).map(([name, value]) => [USER + name, value] as const)
  if (contentType !== undefined) all.push(['content-type', contentType])
  if (md5 !== undefined) all.push(['md5', md5])
  if (all.length === 0) return undefined
  all.sort(([a], [b]) => compareUtf8(a, b))
  const out = new ByteWriter()
  out.varint(all.length)
  for (const [name, value] of all) {
    out.text(name)
    out.text(value)
  }
  if (out.at <= MAX_BYTES) return out.done()
  throw new VarveError(
    'TOO_LARGE',
    `cannot keep ${out.at} bytes of attributes with a file: at most ${MAX_BYTES} are kept`,
  )
}

/** @throws VarveError CORRUPT */
export function decodeAttributes(bytes: Uint8Array): FileAttributes {
  const reader = new ByteReader(bytes)
  const user: Record<string, string> = {}
  const known: { contentType?: string; md5?: string } = {}
  for (let left = reader.varint(); left > 0; left--) {
    const name = reader.text()
    const value = reader.text()
    if (name === 'content-type') known.contentType = value
    else if (name === 'md5') known.md5 = value
    else if (name.startsWith(USER)) user[name.slice(USER.length)] = value
    else throw corrupt(`a file has the unknown attribute "${name}"`)
  }
  reader.end()
  return Object.keys(user).length > 0 ? { ...known, user } : known
}

/** Of content that was changed since. @throws VarveError CORRUPT */
export function withoutMd5(bytes: Uint8Array): Uint8Array | undefined {
  const { md5, ...others } = decodeAttributes(bytes)
  return md5 === undefined ? bytes : encodeAttributes(others)
}
