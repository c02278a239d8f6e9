// Archives as streams: POSIX ustar with pax headers (IEEE Std 1003.1, "pax interchange format").
// Written: regular files only, with a pax header where the name is over 100 bytes or not ASCII or the
// size is over 8 GiB. Read: what tar, bsdtar and Python write; directories and pax globals are passed
// over, anything that is neither a file nor a directory (links, devices) is refused by name.
// Memory: one 512-byte block and one chunk of the source.

import { concat, equalBytes, fromUtf8, utf8 } from '../base/bytes.ts'
import { VarveError } from '../base/errors.ts'

const BLOCK = 512
const MAX_PAX_BYTES = 1 << 20
const MAX_OCTAL_SIZE = 8 ** 11 - 1

export interface TarFile {
  readonly path: string
  readonly sizeBytes: number
  /** To be read whole, or left: what is not read is skipped before the next file. */
  readonly content: AsyncIterable<Uint8Array>
}

/** @throws VarveError INVALID_OPTION when a content is not as long as it said */
export async function* writeTar(files: AsyncIterable<TarFile>): AsyncGenerator<Uint8Array> {
  for await (const file of files) {
    yield* fileHeaders(file)
    let size = 0
    for await (const chunk of file.content) {
      size += chunk.length
      if (chunk.length > 0) yield chunk
    }
    if (size !== file.sizeBytes)
      throw new VarveError(
        'INVALID_OPTION',
        `cannot archive "${file.path}": it has ${size} bytes, ${file.sizeBytes} were announced`,
      )
    yield new Uint8Array(padding(size))
  }
  yield new Uint8Array(2 * BLOCK)
}

function* fileHeaders(file: TarFile): Generator<Uint8Array> {
  const name = utf8(file.path)
  const records: string[] = []
  if (name.length > 100 || name.length !== file.path.length) records.push(pax('path', file.path))
  if (file.sizeBytes > MAX_OCTAL_SIZE) records.push(pax('size', String(file.sizeBytes)))
  if (records.length > 0) {
    const body = utf8(records.join(''))
    yield header(utf8('pax'), body.length, 'x')
    yield body
    yield new Uint8Array(padding(body.length))
  }
  yield header(name.subarray(0, 100), Math.min(file.sizeBytes, MAX_OCTAL_SIZE), '0')
}

/** `<length> key=value\n`, the length counting itself. */
function pax(key: string, value: string): string {
  const rest = utf8(` ${key}=${value}\n`).length
  let length = rest + String(rest).length
  if (String(length).length + rest !== length) length++
  return `${length} ${key}=${value}\n`
}

function header(name: Uint8Array, sizeBytes: number, type: string): Uint8Array {
  const block = new Uint8Array(BLOCK)
  const text = (at: number, value: string): void => block.set(utf8(value), at)
  block.set(name, 0)
  text(100, '0000644\0')
  text(108, '0000000\0')
  text(116, '0000000\0')
  text(124, `${sizeBytes.toString(8).padStart(11, '0')}\0`)
  text(136, '00000000000\0')
  text(148, '        ')
  text(156, type)
  text(257, 'ustar\0')
  text(263, '00')
  text(148, `${checksum(block).toString(8).padStart(6, '0')}\0 `)
  return block
}

/** Sum of all bytes, its own field read as spaces. */
function checksum(block: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : (block[i] as number)
  return sum
}

const padding = (sizeBytes: number): number => (BLOCK - (sizeBytes % BLOCK)) % BLOCK

/** The files of an archive, in order. @throws VarveError INVALID_OPTION on what is no archive */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarFile> {
  const input = new Input(source)
  let long: { path?: string; size?: number } = {}
  try {
    for (;;) {
      const block = await input.block()
      if (!block || block.every((byte) => byte === 0)) return
      const head = parseHeader(block)
      const sizeBytes = long.size ?? head.sizeBytes
      const end = input.at + sizeBytes + padding(sizeBytes)
      switch (head.type) {
        case 'x':
          long = { ...long, ...parsePax(await input.small(head.sizeBytes)) }
          break
        case 'L':
          long = { ...long, path: text(await input.small(head.sizeBytes)) }
          break
        case 'g':
          break
        case '5':
          long = {}
          break
        case '0':
        case '\0':
        case '7': {
          const path = long.path ?? head.path()
          long = {}
          if (!path.endsWith('/')) yield { path, sizeBytes, content: input.content(sizeBytes) }
          break
        }
        default:
          throw refuse(
            `"${long.path ?? head.path()}" is neither a file nor a directory (type "${head.type}")`,
          )
      }
      await input.skipTo(end)
    }
  } finally {
    await input.close()
  }
}

/** The name is read only when it counts: writers cut long ones, also in the middle of a character. */
function parseHeader(block: Uint8Array): { path: () => string; sizeBytes: number; type: string } {
  const stated = octal(block, 148, 8)
  if (stated !== checksum(block)) throw refuse('a header has a wrong checksum')
  return {
    path: () => {
      const ustar = equalBytes(block.subarray(257, 263), utf8('ustar\0'))
      const prefix = ustar ? text(block.subarray(345, 500)) : ''
      const name = text(block.subarray(0, 100))
      return prefix === '' ? name : `${prefix}/${name}`
    },
    sizeBytes: octal(block, 124, 12),
    type: String.fromCharCode(block[156] as number),
  }
}

/** Octal text, or GNU's base-256 when the first bit is set. */
function octal(block: Uint8Array, at: number, length: number): number {
  const field = block.subarray(at, at + length)
  if (((field[0] as number) & 0x80) !== 0) {
    const value = field
      .slice(1)
      .reduce((sum, byte) => sum * 256 + byte, (field[0] as number) & 0x7f)
    if (!Number.isSafeInteger(value)) throw refuse('a size is too large')
    return value
  }
  const digits = text(field).trim()
  if (!/^[0-7]*$/.test(digits)) throw refuse('a number in a header is not octal')
  return digits === '' ? 0 : Number.parseInt(digits, 8)
}

function parsePax(body: Uint8Array): { path?: string; size?: number } {
  const found: { path?: string; size?: number } = {}
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(32, at)
    const length = Number(text(body.subarray(at, Math.max(at, space))))
    if (space < 0 || !Number.isInteger(length) || length <= space - at || at + length > body.length)
      throw refuse('a pax header is malformed')
    const [key, ...value] = text(body.subarray(space + 1, at + length - 1)).split('=')
    if (key === 'path') found.path = value.join('=')
    if (key === 'size') {
      const size = Number(value.join('='))
      if (!Number.isSafeInteger(size) || size < 0) throw refuse('a pax header is malformed')
      found.size = size
    }
    at += length
  }
  return found
}

/** Up to the first NUL. */
function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  try {
    return fromUtf8(end < 0 ? bytes : bytes.subarray(0, end))
  } catch {
    throw refuse('a name is not UTF-8')
  }
}

function refuse(why: string): VarveError {
  return new VarveError('INVALID_OPTION', `cannot read the tar archive: ${why}`)
}

/** Cuts a source of chunks of any size into what is asked for. */
class Input {
  /** Bytes handed out so far. */
  at = 0
  #rest: Uint8Array = new Uint8Array(0)
  readonly #source: AsyncIterator<Uint8Array>

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** At most `limit` bytes, at least one; undefined at the end. */
  async #some(limit: number): Promise<Uint8Array | undefined> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#source.next()
      if (done) return undefined
      this.#rest = value
    }
    const some = this.#rest.subarray(0, limit)
    this.#rest = this.#rest.subarray(some.length)
    this.at += some.length
    return some
  }

  async #exactly(size: number): Promise<Uint8Array | undefined> {
    const parts: Uint8Array[] = []
    let left = size
    while (left > 0) {
      const part = await this.#some(left)
      if (!part) {
        if (left === size) return undefined
        throw refuse('it ends in the middle')
      }
      parts.push(part)
      left -= part.length
    }
    return concat(parts)
  }

  block(): Promise<Uint8Array | undefined> {
    return this.#exactly(BLOCK)
  }

  async small(size: number): Promise<Uint8Array> {
    if (size > MAX_PAX_BYTES) throw refuse('a header is too long')
    if (size === 0) return new Uint8Array(0)
    const bytes = await this.#exactly(size)
    if (!bytes) throw refuse('it ends in the middle')
    return bytes
  }

  async *content(size: number): AsyncGenerator<Uint8Array> {
    const end = this.at + size
    while (this.at < end) {
      const part = await this.#some(end - this.at)
      if (!part) throw refuse('it ends in the middle')
      yield part
    }
  }

  async skipTo(end: number): Promise<void> {
    while (this.at < end)
      if (!(await this.#some(end - this.at))) throw refuse('it ends in the middle')
  }

  async close(): Promise<void> {
    await this.#source.return?.()
  }
}
