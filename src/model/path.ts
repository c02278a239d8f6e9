import { utf8 } from '../base/bytes.ts'
import { VarveError } from '../base/errors.ts'

/** A path inside a repo: no leading slash, valid by `parsePath`; the empty path is the root. */
export type Path = string & { readonly __brand: 'Path' }

export const ROOT: Path = '' as Path

/** Most paths: nothing about them can be wrong but their length. */
const PLAIN = /^\w[\w.-]*(?:\/\w[\w.-]*)*$/

const MAX_PATH_BYTES = 1024
const MAX_PART_BYTES = 255

/**
 * Accepts one leading and one trailing slash.
 * @throws VarveError INVALID_PATH on an empty, "." or ".." part, NUL, over 1,024 bytes (255 a part),
 * lone surrogates, or text that is not NFC (refused, never renamed).
 */
export function parsePath(text: string): Path {
  if (text.length <= MAX_PART_BYTES && PLAIN.test(text)) return text as Path
  const refuse = (why: string): never => {
    throw new VarveError('INVALID_PATH', `cannot use ${JSON.stringify(text)} as a path: ${why}`)
  }
  const path = text.replace(/^\//, '').replace(/\/$/, '')
  if (path === '') return ROOT
  if (!path.isWellFormed()) refuse('it is not valid Unicode')
  if (path.normalize('NFC') !== path) refuse('it is not in Unicode normal form NFC')
  if (path.includes('\0')) refuse('it holds a NUL character')
  if (isLonger(path, MAX_PATH_BYTES)) refuse(`it is over ${MAX_PATH_BYTES} bytes`)
  for (const part of path.split('/')) {
    if (part === '') refuse('a part is empty')
    if (part === '.' || part === '..') refuse(`a part is "${part}"`)
    if (isLonger(part, MAX_PART_BYTES)) refuse(`a part is over ${MAX_PART_BYTES} bytes`)
  }
  return path as Path
}

/** In UTF-8, where a unit of a string has three bytes at most. */
function isLonger(text: string, bytes: number): boolean {
  return text.length * 3 > bytes && utf8(text).length > bytes
}

/** @throws VarveError INVALID_PATH also on the root, which is not a file. */
export function parseFilePath(text: string): Path {
  const path = parsePath(text)
  if (path === ROOT) throw new VarveError('INVALID_PATH', 'cannot use "/" as the path of a file')
  return path
}

export function joinPath(parent: Path, name: string): Path {
  return (parent === ROOT ? name : `${parent}/${name}`) as Path
}
