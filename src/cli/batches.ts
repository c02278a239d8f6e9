// What is sent of local files, cut into parts: small files in batches, big ones in segments. The same
// files give the same parts, so that an upload that broke off is known again by comparing them.

import { createHash } from 'node:crypto'
import { closeSync, createReadStream, openSync, readSync } from 'node:fs'
import { SEGMENT_BYTES } from '../api/uploads.ts'
import { TAR_END, tarHead, tarPadding, writeTarHead } from '../api/tar.ts'
import { VarveError } from '../base/errors.ts'
import { look, stateOf, unreadable } from './folder.ts'
import type { LocalFile } from './folder.ts'

export interface PartSizes {
  /** A larger file goes in segments of so much. */
  readonly segmentBytes: number
  /** A batch is closed before it has more. */
  readonly batchBytes: number
  readonly batchFiles: number
}

export const PART_SIZES: PartSizes = {
  segmentBytes: SEGMENT_BYTES,
  batchBytes: 32 << 20,
  batchFiles: 16_384,
}

/** Of an archive, made at once and sent in one piece. */
const PIECE_BYTES = 256 * 1024
/** A file up to this size is read at once. */
const WHOLE_BYTES = 128 * 1024
const READ_BYTES = 1 << 20

export type LocalPart =
  | {
      readonly kind: 'batch'
      readonly files: readonly LocalFile[]
      readonly sizeBytes: number
      /** The same exactly when names, sizes and times are. */
      readonly mark: string
    }
  | {
      readonly kind: 'segment'
      readonly file: LocalFile
      readonly offset: number
      readonly sizeBytes: number
    }

export function* partsOf(
  files: Iterable<LocalFile>,
  sizes: PartSizes = PART_SIZES,
): Generator<LocalPart> {
  let batch: LocalFile[] = []
  let sizeBytes = 0
  const closed = (): LocalPart => {
    const part = { kind: 'batch', files: batch, sizeBytes, mark: markOf(batch) } as const
    batch = []
    sizeBytes = 0
    return part
  }
  for (const file of files) {
    if (file.sizeBytes > sizes.segmentBytes) {
      yield* segmentsOf(file, sizes)
      continue
    }
    if (batch.length > 0 && sizeBytes + file.sizeBytes > sizes.batchBytes) yield closed()
    batch.push(file)
    sizeBytes += file.sizeBytes
    if (batch.length >= sizes.batchFiles) yield closed()
  }
  if (batch.length > 0) yield closed()
}

export function* segmentsOf(
  file: LocalFile,
  { segmentBytes }: PartSizes = PART_SIZES,
): Generator<LocalPart> {
  for (let offset = 0; offset < file.sizeBytes; offset += segmentBytes) {
    const sizeBytes = Math.min(segmentBytes, file.sizeBytes - offset)
    yield { kind: 'segment', file, offset, sizeBytes }
  }
}

function markOf(files: readonly LocalFile[]): string {
  const hash = createHash('sha256')
  for (const { path, state } of files) hash.update(`${path}\0${state}\n`)
  return hash.digest('base64url')
}

/** A tar archive of the files as they are when it is made. */
export async function* archiveOf(files: readonly LocalFile[]): AsyncGenerator<Uint8Array> {
  let piece = new Piece()
  for (const one of files) {
    if (one.sizeBytes <= WHOLE_BYTES) {
      piece.addFile(one)
    } else {
      piece.add(tarHead(one.path, one.sizeBytes))
      yield piece.whole()
      piece = new Piece()
      yield* contentOf(one, 0, one.sizeBytes)
      checkUnchanged(one)
      piece.pad(one.sizeBytes)
    }
    if (!piece.isFull) continue
    yield piece.whole()
    piece = new Piece()
  }
  piece.add(TAR_END)
  yield piece.whole()
}

/** Some of an archive, built in place: files are read right to where they go out from. */
class Piece {
  readonly #bytes = Buffer.allocUnsafeSlow(PIECE_BYTES + 2 * WHOLE_BYTES)
  #used = 0

  add(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#used)
    this.#used += bytes.length
  }

  /** In one go: of a file that grows, as much as there was when it was looked at. */
  addFile({ path, file, sizeBytes }: LocalFile): void {
    const at = this.#used
    this.#used += writeTarHead(this.#bytes, at, path, sizeBytes)
    const read = readInto(this.#bytes, this.#used, file, sizeBytes)
    if (read < sizeBytes) writeTarHead(this.#bytes, at, path, read)
    this.#used += read
    this.pad(read)
  }

  pad(sizeBytes: number): void {
    const end = this.#used + tarPadding(sizeBytes)
    this.#bytes.fill(0, this.#used, end)
    this.#used = end
  }

  get isFull(): boolean {
    return this.#used >= PIECE_BYTES
  }

  whole(): Uint8Array {
    return this.#bytes.subarray(0, this.#used)
  }
}

function readInto(bytes: Uint8Array, at: number, file: string, sizeBytes: number): number {
  if (sizeBytes === 0) return 0
  try {
    const descriptor = openSync(file, 'r')
    try {
      return readSync(descriptor, bytes, at, sizeBytes, null)
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    throw unreadable(file, error)
  }
}

/** So many bytes of a file. @throws VarveError INVALID_OPTION when there are fewer */
export async function* contentOf(
  { file }: LocalFile,
  offset: number,
  sizeBytes: number,
): AsyncGenerator<Uint8Array> {
  if (sizeBytes === 0) return
  const range = { start: offset, end: offset + sizeBytes - 1, highWaterMark: READ_BYTES }
  let left = sizeBytes
  try {
    for await (const chunk of createReadStream(file, range) as AsyncIterable<Uint8Array>) {
      left -= chunk.length
      yield chunk
    }
  } catch (error) {
    throw unreadable(file, error)
  }
  if (left > 0) throw hasChanged(file)
}

/** @throws VarveError INVALID_OPTION */
export function checkUnchanged({ file, state }: LocalFile): void {
  if (stateOf(look(file)) !== state) throw hasChanged(file)
}

function hasChanged(file: string): VarveError {
  return new VarveError(
    'INVALID_OPTION',
    `cannot put "${file}": it changed while it was read; put it again when nobody writes to it`,
  )
}
