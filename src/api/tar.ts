// Archives as streams: POSIX ustar with pax headers (IEEE Std 1003.1, "pax interchange format").
// Written: regular files only, with a pax header where the name is over 100 bytes or not ASCII or the
// size is over 8 GiB. Read: what tar, bsdtar and Python write; directories and pax globals are passed
// over, anything that is neither a file nor a directory (links, devices, sparse files) is refused by
// name, and so is an archive without its end mark: it may have been cut short between two files.
// Memory: a few pieces of GATHER_BYTES and one chunk of the source.

import { concat, fromUtf8, utf8 } from '../base/bytes.ts'
import { VarveError } from '../base/errors.ts'

const BLOCK = 512
const MAX_PAX_BYTES = 1 << 20
const MAX_OCTAL_SIZE = 8 ** 11 - 1
/** What is written goes out in pieces of about so much. */
const GATHER_BYTES = 128 * 1024
/** A file up to this size is handed out in one piece. */
const WHOLE_BYTES = 64 * 1024

export interface TarFile {
  readonly path: string
  readonly sizeBytes: number
  /** A stream is to be read whole, or left: what is not read is skipped before the next file. */
  readonly content: Uint8Array | AsyncIterable<Uint8Array>
}

/** @throws VarveError INVALID_OPTION when a content is not as long as it said */
export async function* writeTar(files: AsyncIterable<TarFile>): AsyncGenerator<Uint8Array> {
  let gathered = new Gathered()
  for await (const file of files) {
    gathered.add(tarHead(file.path, file.sizeBytes))
    let size = 0
    if (file.content instanceof Uint8Array) {
      size = file.content.length
      gathered.add(file.content)
    } else {
      for await (const chunk of file.content) {
        size += chunk.length
        gathered.add(chunk)
        if (!gathered.isFull) continue
        yield gathered.whole()
        gathered = new Gathered()
      }
    }
    if (size !== file.sizeBytes)
      throw new VarveError(
        'INVALID_OPTION',
        `cannot archive "${file.path}": it has ${size} bytes, ${file.sizeBytes} were announced`,
      )
    gathered.add(new Uint8Array(tarPadding(size)))
    if (!gathered.isFull) continue
    yield gathered.whole()
    gathered = new Gathered()
  }
  gathered.add(TAR_END)
  yield gathered.whole()
}

class Gathered {
  readonly #parts: Uint8Array[] = []
  #sizeBytes = 0

  add(part: Uint8Array): void {
    if (part.length > 0) this.#parts.push(part)
    this.#sizeBytes += part.length
  }

  get isFull(): boolean {
    return this.#sizeBytes >= GATHER_BYTES
  }

  whole(): Uint8Array {
    return concat(this.#parts)
  }
}

/** What stands before a file's content. */
export function tarHead(path: string, sizeBytes: number): Uint8Array {
  if (isPlain(path, sizeBytes)) return header(path, sizeBytes, FILE)
  const records = [pax('path', path)]
  if (sizeBytes > MAX_OCTAL_SIZE) records.push(pax('size', String(sizeBytes)))
  const plain = path.replaceAll(/[^\x20-\x7e]/g, '_').slice(0, 100)
  const own = header(plain, Math.min(sizeBytes, MAX_OCTAL_SIZE), '0')
  const body = utf8(records.join(''))
  const padding = new Uint8Array(tarPadding(body.length))
  return concat([header('pax', body.length, 'x'), body, padding, own])
}

/** Writes `tarHead` at this place. @returns how long it is */
export function writeTarHead(
  bytes: Uint8Array,
  at: number,
  path: string,
  sizeBytes: number,
): number {
  if (isPlain(path, sizeBytes)) {
    bytes.set(BLANK, at)
    fillHeader(bytes, at, path, sizeBytes, FILE)
    return BLOCK
  }
  const head = tarHead(path, sizeBytes)
  bytes.set(head, at)
  return head.length
}

/** Whether one block says it all. */
function isPlain(path: string, sizeBytes: number): boolean {
  return path.length <= 100 && sizeBytes <= MAX_OCTAL_SIZE && isAscii(path)
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false
  return true
}

/** How many zeros stand behind a content. */
export const tarPadding = (sizeBytes: number): number => (BLOCK - (sizeBytes % BLOCK)) % BLOCK

/** What stands behind the last file. */
export const TAR_END: Uint8Array = new Uint8Array(2 * BLOCK)

/** `<length> key=value\n`, the length counting itself. */
function pax(key: string, value: string): string {
  const rest = utf8(` ${key}=${value}\n`).length
  let length = rest + String(rest).length
  if (String(length).length + rest !== length) length++
  return `${length} ${key}=${value}\n`
}

const SIZE_AT = 124
const CHECKSUM_AT = 148
const TYPE_AT = 156
const FILE = '0'

/** A header without name, size, type and checksum. */
const BLANK = ((): Uint8Array => {
  const block = new Uint8Array(BLOCK)
  const text = (at: number, value: string): void => block.set(utf8(value), at)
  text(100, '0000644\0')
  text(108, '0000000\0')
  text(116, '0000000\0')
  text(136, '00000000000\0')
  text(257, 'ustar\0')
  text(263, '00')
  return block
})()

/** @param name ASCII, at most 100 characters */
function header(name: string, sizeBytes: number, type: string): Uint8Array {
  const block = BLANK.slice()
  fillHeader(block, 0, name, sizeBytes, type)
  return block
}

/** Of a blank one. */
function fillHeader(
  bytes: Uint8Array,
  at: number,
  name: string,
  sizeBytes: number,
  type: string,
): void {
  let sum = BLANK_SUM + type.charCodeAt(0)
  for (let i = 0; i < name.length; i++) sum += bytes[at + i] = name.charCodeAt(i)
  sum += setOctal(bytes, at + SIZE_AT, 11, sizeBytes)
  bytes[at + TYPE_AT] = type.charCodeAt(0)
  setOctal(bytes, at + CHECKSUM_AT, 6, sum)
  bytes[at + CHECKSUM_AT + 7] = 32
}

/** @returns the sum of the bytes */
function setOctal(bytes: Uint8Array, at: number, digits: number, value: number): number {
  let sum = 0
  for (let i = at + digits - 1, left = value; i >= at; i--, left = Math.floor(left / 8))
    sum += bytes[i] = 48 + (left % 8)
  return sum
}

const BLANK_SUM = checksum(BLANK)

/** Sum of all bytes, its own field read as spaces. */
function checksum(block: Uint8Array): number {
  let sum = 8 * 32
  for (let i = 0; i < CHECKSUM_AT; i++) sum += block[i] as number
  for (let i = CHECKSUM_AT + 8; i < BLOCK; i++) sum += block[i] as number
  return sum
}

/**
 * The files of an archive, in order; a later one of the same name replaces the earlier. The source is
 * read to its end. @throws VarveError INVALID_OPTION on what is no archive, or not a whole one
 */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarFile> {
  const input = new Input(source)
  let long: { path?: string; size?: number } = {}
  try {
    for (;;) {
      const block = input.ready(BLOCK) ?? (await input.exactly(BLOCK))
      if (!block) throw refuse('it ends without its end mark; it may have been cut short')
      if (block[0] === 0 && block.every((byte) => byte === 0)) {
        await input.drain()
        return
      }
      const head = parseHeader(block)
      const sizeBytes = long.size ?? head.sizeBytes
      const end = input.at + sizeBytes + tarPadding(sizeBytes)
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
          if (path.endsWith('/')) break
          const content =
            sizeBytes > WHOLE_BYTES
              ? input.content(sizeBytes)
              : (input.ready(sizeBytes) ?? (await input.small(sizeBytes)))
          yield { path, sizeBytes, content }
          break
        }
        default:
          throw refuse(
            `"${long.path ?? head.path()}" is neither a file nor a directory (type "${head.type}")`,
          )
      }
      if (!input.skipped(end)) await input.skipTo(end)
    }
  } finally {
    await input.close()
  }
}

const USTAR = utf8('ustar\0')

/** The name is read only when it counts: writers cut long ones, also in the middle of a character. */
function parseHeader(block: Uint8Array): { path: () => string; sizeBytes: number; type: string } {
  const stated = octal(block, CHECKSUM_AT, 8)
  if (stated !== checksum(block)) throw refuse('a header has a wrong checksum')
  return {
    path: () => {
      const ustar = USTAR.every((byte, i) => block[257 + i] === byte)
      const prefix = ustar && block[345] !== 0 ? text(block.subarray(345, 500)) : ''
      const name = text(block.subarray(0, 100))
      return prefix === '' ? name : `${prefix}/${name}`
    },
    sizeBytes: octal(block, SIZE_AT, 12),
    type: String.fromCharCode(block[TYPE_AT] as number),
  }
}

const SPACE = 32

/** Octal text, or GNU's base-256 when the first bit is set. */
function octal(block: Uint8Array, from: number, length: number): number {
  const end = from + length
  if (((block[from] as number) & 0x80) !== 0) return base256(block, from, end)
  let at = from
  while (at < end && block[at] === SPACE) at++
  let value = 0
  for (; at < end; at++) {
    const digit = (block[at] as number) - 48
    if (digit < 0 || digit > 7) break
    value = value * 8 + digit
  }
  if (at < end && block[at] !== 0 && block[at] !== SPACE)
    throw refuse('a number in a header is not octal')
  return value
}

function base256(block: Uint8Array, from: number, end: number): number {
  let value = (block[from] as number) & 0x7f
  for (let at = from + 1; at < end; at++) value = value * 256 + (block[at] as number)
  if (!Number.isSafeInteger(value)) throw refuse('a size is too large')
  return value
}

function parsePax(body: Uint8Array): { path?: string; size?: number } {
  const found: { path?: string; size?: number } = {}
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(32, at)
    const length = Number(text(body.subarray(at, Math.max(at, space))))
    if (space < 0 || !Number.isInteger(length) || length <= space - at || at + length > body.length)
      throw refuse('a pax header is malformed')
    const [key, ...value] = allText(body.subarray(space + 1, at + length - 1)).split('=')
    if (key?.startsWith('GNU.sparse.')) throw refuse('it holds a sparse file; write it without -S')
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
  return allText(end < 0 ? bytes : bytes.subarray(0, end))
}

function allText(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes)
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
  /** What has come, of which the bytes before `#from` are handed out. */
  #come: Uint8Array = new Uint8Array(0)
  #from = 0
  readonly #source: AsyncIterator<Uint8Array>

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** At most `limit` bytes, at least one; undefined at the end. */
  async #some(limit: number): Promise<Uint8Array | undefined> {
    while (this.#from === this.#come.length) {
      const { done, value } = await this.#source.next()
      if (done) return undefined
      // A view of a Buffer is a Buffer, which is made several times as slowly.
      this.#come = new Uint8Array(value.buffer, value.byteOffset, value.length)
      this.#from = 0
    }
    return this.#handOut(Math.min(limit, this.#come.length - this.#from))
  }

  #handOut(size: number): Uint8Array {
    const bytes = this.#come.subarray(this.#from, this.#from + size)
    this.#from += size
    this.at += size
    return bytes
  }

  /** So many bytes if they are at hand. */
  ready(size: number): Uint8Array | undefined {
    return this.#come.length - this.#from < size ? undefined : this.#handOut(size)
  }

  /** Undefined at the end. */
  async exactly(size: number): Promise<Uint8Array | undefined> {
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

  async small(size: number): Promise<Uint8Array> {
    if (size > MAX_PAX_BYTES) throw refuse('a header is too long')
    if (size === 0) return new Uint8Array(0)
    const bytes = await this.exactly(size)
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

  /** Whether what is at hand reaches so far; then it is passed over. */
  skipped(end: number): boolean {
    const size = end - this.at
    if (size < 0 || this.#come.length - this.#from < size) return false
    this.#from += size
    this.at = end
    return true
  }

  async skipTo(end: number): Promise<void> {
    while (this.at < end)
      if (!(await this.#some(end - this.at))) throw refuse('it ends in the middle')
  }

  /** Reads what is behind, and forgets it. */
  async drain(): Promise<void> {
    while (await this.#some(Infinity));
  }

  async close(): Promise<void> {
    await this.#source.return?.()
  }
}
