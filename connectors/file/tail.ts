// Follows one path by lines. Invariants:
// - only whole lines are given out; the last line of a rotated file counts without its newline;
// - a position is `<ordinal>@<file id>+<base>`: the file's own offset is ordinal − base, and the
//   ordinal goes on rising when the path becomes another file, so file names made of it never clash.

import { open, readdir, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { makePosition, parsePosition } from '../../src/connector/mod.ts'
import type { Position, SourceBatch, SourceRecord, Trouble } from '../../src/connector/mod.ts'

const READ_BYTES = 1024 * 1024
const MAX_LINE_BYTES = 16 * 1024 * 1024
const NEWLINE = 0x0a
const NO_HEADERS: Readonly<Record<string, string>> = {}

export class Tail {
  readonly part: string
  readonly #path: string
  #file: FileHandle
  #fileId: string
  #base: number
  #offset: number

  private constructor(
    part: string,
    path: string,
    at: { file: FileHandle; fileId: string; base: number; offset: number },
  ) {
    this.part = part
    this.#path = path
    this.#file = at.file
    this.#fileId = at.fileId
    this.#base = at.base
    this.#offset = at.offset
  }

  /**
   * Opens the path where `position` says, or at its start. Undefined: there is no such file yet. A
   * trouble: what the position speaks of is gone.
   */
  static async open(
    part: string,
    path: string,
    position: Position | undefined,
  ): Promise<Tail | Trouble | undefined> {
    const now = await openFile(path)
    if (position === undefined) return now && new Tail(part, path, { ...now, base: 0, offset: 0 })
    const { ordinal, identity } = parsePosition(position)
    const [fileId = '', base = '0'] = (identity ?? '').split('+')
    const offset = ordinal - Number(base)
    if (now?.fileId === fileId) {
      const tail = new Tail(part, path, { ...now, base: Number(base), offset })
      const trouble = await tail.#truncated()
      if (!trouble) return tail
      await tail.close()
      return trouble
    }
    // Rotated while nobody looked: the rest of the old file is read under its new name first.
    const old = await findFile(dirname(path), fileId)
    if (old) {
      await now?.file.close()
      return new Tail(part, path, { ...old, base: Number(base), offset })
    }
    await now?.file.close()
    if (!now) return undefined
    return {
      kind: 'gap',
      part,
      text: `"${path}" is another file now and the one read before is gone: its unread end is lost`,
      from: position,
      to: makePosition(ordinal, `${now.fileId}+${ordinal}`),
    }
  }

  get fileId(): string {
    return this.#fileId
  }

  get position(): Position {
    return this.#positionAt(this.#offset)
  }

  /** What the path's file ends at. */
  async end(): Promise<Position> {
    const { size } = await this.#file.stat()
    return this.#positionAt(size)
  }

  /** The next lines; a trouble; or undefined: nothing new. */
  async next(): Promise<SourceBatch | Trouble | undefined> {
    const trouble = await this.#truncated()
    if (trouble) return trouble
    // Asked before reading: what is found after a rotation was noticed is the old file's very end.
    const rotated = await this.#rotated()
    for (let size = READ_BYTES; ; size *= 2) {
      const buffer = Buffer.allocUnsafe(size)
      const { bytesRead } = await this.#file.read(buffer, 0, size, this.#offset)
      const bytes = buffer.subarray(0, bytesRead)
      const whole = bytes.lastIndexOf(NEWLINE) + 1
      if (whole > 0) return this.#batch(bytes.subarray(0, whole))
      if (bytesRead < size) {
        if (!rotated) return undefined
        // Read to its end: what is left is a last line without its newline.
        const rest = bytesRead > 0 ? this.#batch(bytes) : undefined
        if (rest) return rest
        await this.#switch()
        return this.next()
      }
      if (size >= MAX_LINE_BYTES)
        return {
          kind: 'fatal',
          text: `"${this.#path}" has a line over ${MAX_LINE_BYTES} bytes at ${this.#offset}`,
        }
    }
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  #batch(bytes: Buffer): SourceBatch {
    const from = this.position
    const records: SourceRecord[] = []
    for (let at = 0; at < bytes.length;) {
      const newline = bytes.indexOf(NEWLINE, at)
      const end = newline < 0 ? bytes.length : newline
      records.push({
        key: null,
        value: bytes.subarray(at, end),
        headers: NO_HEADERS,
        timestampMs: null,
        ordinal: this.#base + this.#offset + at,
      })
      at = end + 1
    }
    this.#offset += bytes.length
    return { kind: 'batch', part: this.part, from, to: this.position, records, bytes: bytes.length }
  }

  async #truncated(): Promise<Trouble | undefined> {
    const { size } = await this.#file.stat()
    if (size >= this.#offset) return undefined
    const ordinal = this.#base + this.#offset
    return {
      kind: 'gap',
      part: this.part,
      text: `"${this.#path}" was cut to ${size} bytes: lines written after the last look are lost`,
      from: this.position,
      to: makePosition(ordinal, `${this.#fileId}+${ordinal}`),
    }
  }

  async #rotated(): Promise<boolean> {
    const now = await idOf(this.#path)
    return now !== undefined && now !== this.#fileId
  }

  async #switch(): Promise<void> {
    const now = await openFile(this.#path)
    if (!now) return
    await this.#file.close()
    this.#base += this.#offset
    this.#offset = 0
    this.#file = now.file
    this.#fileId = now.fileId
  }

  #positionAt(offset: number): Position {
    return makePosition(this.#base + offset, `${this.#fileId}+${this.#base}`)
  }
}

async function openFile(path: string): Promise<{ file: FileHandle; fileId: string } | undefined> {
  try {
    const file = await open(path, 'r')
    return { file, fileId: identity(await file.stat({ bigint: true })) }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function findFile(
  folder: string,
  fileId: string,
): Promise<{ file: FileHandle; fileId: string } | undefined> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    if ((await idOf(path)) === fileId) return openFile(path)
  }
  return undefined
}

/** Undefined: there is none. */
async function idOf(path: string): Promise<string | undefined> {
  try {
    return identity(await stat(path, { bigint: true }))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Inode numbers are used again; together with the time of birth they are not. */
function identity({ ino, birthtimeNs }: { ino: bigint; birthtimeNs: bigint }): string {
  return `${ino.toString(16)}-${birthtimeNs.toString(16)}`
}
