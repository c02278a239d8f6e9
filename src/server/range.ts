// Parts of a file (RFC 9110 §14), and headers under which bytes somebody put are safe to show.

import { utf8 } from '../base/bytes.ts'
import { VarveError } from '../base/errors.ts'
import type { Sent } from './call.ts'
import { problemOf } from './respond.ts'

interface Part {
  readonly offset: number
  readonly length: number
}

/**
 * What a Range header asks for: undefined means the whole (no header, or one we need not heed: other
 * units, several parts), null that there is no such part.
 */
export function parseRange(header: string | undefined, sizeBytes: number): Part | null | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '')
  if (!match || (match[1] === '' && match[2] === '')) return undefined
  if (match[1] === '') {
    const length = Math.min(Number(match[2]), sizeBytes)
    return length === 0 ? null : { offset: sizeBytes - length, length }
  }
  const offset = Number(match[1])
  const last = match[2] === '' ? sizeBytes - 1 : Math.min(Number(match[2]), sizeBytes - 1)
  if (match[2] !== '' && Number(match[2]) < offset) return undefined
  return offset >= sizeBytes ? null : { offset, length: last - offset + 1 }
}

export function sendRange(file: {
  readonly sizeBytes: number
  readonly etag: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly extra: Readonly<Record<string, string>>
  readonly read: (range?: Part) => AsyncIterable<Uint8Array>
}): Sent {
  const { sizeBytes, etag } = file
  const { 'content-type': contentType = 'application/octet-stream', ...extra } = file.extra
  const headers = { ...extra, etag, 'accept-ranges': 'bytes' }
  if (matches(file.headers['if-none-match'], etag))
    return { content: nothing(), contentType, status: 304, headers }
  const ifRange = file.headers['if-range']
  const stale = ifRange !== undefined && ifRange !== etag
  const part = stale ? undefined : parseRange(file.headers['range'], sizeBytes)
  if (part === undefined) return { content: file.read(), contentType, sizeBytes, headers }
  if (part === null) return unsatisfiable(sizeBytes)
  const { offset, length } = part
  const range = `bytes ${offset}-${offset + length - 1}/${sizeBytes}`
  return {
    content: file.read(part),
    contentType,
    sizeBytes: length,
    status: 206,
    headers: { ...headers, 'content-range': range },
  }
}

function matches(header: string | undefined, etag: string): boolean {
  const tags = (header ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return tags.includes(etag) || tags.includes('*')
}

function unsatisfiable(sizeBytes: number): Sent {
  const error = new VarveError(
    'INVALID_OPTION',
    `cannot send that range: the file has ${sizeBytes} bytes`,
  )
  const body = utf8(JSON.stringify(problemOf(error, 416)))
  return {
    content: once(body),
    contentType: 'application/problem+json; charset=utf-8',
    sizeBytes: body.length,
    status: 416,
    headers: { 'content-range': `bytes */${sizeBytes}` },
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

const SHOWN: Readonly<Record<string, string>> = {
  csv: 'text/csv; charset=utf-8',
  gif: 'image/gif',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  json: 'application/json; charset=utf-8',
  jsonl: 'application/x-ndjson; charset=utf-8',
  log: 'text/plain; charset=utf-8',
  md: 'text/plain; charset=utf-8',
  ndjson: 'application/x-ndjson; charset=utf-8',
  png: 'image/png',
  txt: 'text/plain; charset=utf-8',
  webp: 'image/webp',
}

/** Files are somebody's bytes on our own origin: never guessed at, never run. */
export function contentHeaders(path: string, download: boolean): Record<string, string> {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const extension = name.slice(name.lastIndexOf('.') + 1).toLowerCase()
  const type = name.includes('.') ? SHOWN[extension] : undefined
  const disposition = download || !type ? 'attachment' : 'inline'
  return {
    'content-type': type ?? 'application/octet-stream',
    'content-disposition': `${disposition}; filename*=UTF-8''${encodeURIComponent(name)}`,
    'content-security-policy': "default-src 'none'; sandbox",
    'x-content-type-options': 'nosniff',
  }
}
