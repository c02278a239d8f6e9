// How records become lines of a file and lines become records. A format is a pair of pure functions.

import { fromUtf8, utf8 } from '../base/bytes.ts'
import type { SourceRecord } from './contract.ts'

export type FormatName = 'raw' | 'ndjson' | 'envelope'

const NEWLINE = 0x0a

/** The line, without its newline; or why the record cannot be one. */
export type Line = { readonly line: Uint8Array } | { readonly poison: string }

/**
 * - `raw`: the value as it is, refused when it holds a newline or is not UTF-8.
 * - `ndjson`: as `raw`, and it must be JSON.
 * - `envelope`: `{key, value, headers, timestamp, part, position}`; bytes that are not UTF-8 are
 *   base64 under `keyBase64` or `valueBase64`, so nothing is refused.
 */
export function toLine(format: FormatName, record: SourceRecord, part: string): Line {
  if (format === 'envelope') return { line: envelope(record, part) }
  if (record.value === null) return { poison: 'it is a tombstone: it has no value' }
  if (record.value.includes(NEWLINE)) return { poison: 'its value holds a newline' }
  const text = decode(record.value)
  if (text === undefined) return { poison: 'its value is not UTF-8' }
  if (format === 'ndjson' && !isJson(text)) return { poison: 'its value is not JSON' }
  return { line: record.value }
}

function envelope(record: SourceRecord, part: string): Uint8Array {
  return utf8(
    JSON.stringify({
      ...field('key', record.key),
      ...field('value', record.value),
      headers: record.headers,
      timestamp: record.timestampMs,
      part,
      position: record.ordinal,
    }),
  )
}

function field(name: string, bytes: Uint8Array | null): Record<string, string | null> {
  if (bytes === null) return { [name]: null }
  const text = decode(bytes)
  return text === undefined ? { [`${name}Base64`]: base64(bytes) } : { [name]: text }
}

/** Splits a stream of bytes at newlines; the last line counts without one. Memory: one line. */
export async function* lines(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array[] = []
  for await (const chunk of content) {
    let begin = 0
    for (;;) {
      const end = chunk.indexOf(NEWLINE, begin)
      if (end < 0) break
      const piece = chunk.subarray(begin, end)
      yield rest.length === 0 ? piece : join([...rest, piece])
      rest = []
      begin = end + 1
    }
    if (begin < chunk.length) rest.push(chunk.subarray(begin))
  }
  if (rest.length > 0) yield join(rest)
}

/**
 * What a JSON pointer (RFC 6901) names inside a line, as the bytes of a key: a text as it is,
 * anything else as JSON. Null when the line is not JSON or has no such place.
 */
export function keyAt(pointer: string, line: Uint8Array): Uint8Array | null {
  let value: unknown
  try {
    value = JSON.parse(fromUtf8(line))
  } catch {
    return null
  }
  for (const token of pointer.split('/').slice(1)) {
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return null
    value = (value as Record<string, unknown>)[name]
  }
  if (value === null || value === undefined) return null
  return utf8(typeof value === 'string' ? value : JSON.stringify(value))
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return fromUtf8(bytes)
  } catch {
    return undefined
  }
}

function base64(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
