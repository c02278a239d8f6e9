// A frame: what a pack is made of and what one range read fetches.
//
//   u8 codec (0 raw, 1 zstd) · varint chunks · varint raw size
//   for each chunk: first 8 bytes of its id · varint size
//   body: the chunks one after another, encoded
//
// The table holds 8 bytes of an id to find a chunk with; whoever reads it checks all 32.

import { ByteReader, ByteWriter, corrupt } from './codec.ts'

export const RAW = 0
export const ZSTD = 1
export const PREFIX_BYTES = 8
/** More than any chunk or node this engine writes; a frame that claims more is not believed. */
const MAX_RAW_BYTES = 1024 * 1024 * 1024

export interface Frame {
  /** Decoded. */
  readonly raw: Uint8Array
  readonly chunks: readonly FrameChunk[]
}

export interface FrameChunk {
  /** Where the id's prefix lies in `table`. */
  readonly id: number
  readonly table: Uint8Array
  readonly start: number
  readonly sizeBytes: number
}

export function frameHead(
  codec: number,
  ids: readonly Uint8Array[],
  parts: readonly { readonly length: number }[],
): Uint8Array {
  const head = new ByteWriter(16 + ids.length * 12)
  head.u8(codec)
  head.varint(ids.length)
  head.varint(parts.reduce((sum, part) => sum + part.length, 0))
  ids.forEach((id, i) => {
    head.copy(id, 0, PREFIX_BYTES)
    head.varint((parts[i] as { length: number }).length)
  })
  return head.done()
}

/** Of a frame with one chunk. */
export function soleHeadBytes(sizeBytes: number): number {
  return frameHead(RAW, [new Uint8Array(PREFIX_BYTES)], [{ length: sizeBytes }]).length
}

export interface FrameHead {
  readonly codec: number
  readonly rawBytes: number
  readonly chunks: readonly FrameChunk[]
  /** Where the body begins. */
  readonly headBytes: number
}

/** @throws VarveError CORRUPT */
export function readHead(bytes: Uint8Array): FrameHead {
  const reader = new ByteReader(bytes)
  const codec = reader.u8()
  const count = reader.varint()
  const rawBytes = reader.varint()
  if (codec > ZSTD) throw corrupt(`codec ${codec} is unknown`)
  if (rawBytes > MAX_RAW_BYTES) throw corrupt('a frame is impossibly large')
  const chunks: FrameChunk[] = []
  let start = 0
  for (let i = 0; i < count; i++) {
    const id = reader.skip(PREFIX_BYTES)
    const sizeBytes = reader.varint()
    chunks.push({ id, table: bytes, start, sizeBytes })
    start += sizeBytes
  }
  if (start !== rawBytes) throw corrupt('the sizes of a frame do not add up')
  return { codec, rawBytes, chunks, headBytes: reader.at }
}

/** @throws VarveError CORRUPT */
export async function openFrame(
  bytes: Uint8Array,
  decompress: (bytes: Uint8Array, sizeBytes: number) => Promise<Uint8Array>,
  { codec, rawBytes, chunks, headBytes }: FrameHead = readHead(bytes),
): Promise<Frame> {
  const body = bytes.subarray(headBytes)
  if (codec === RAW && body.length !== rawBytes) throw corrupt('a frame has the wrong size')
  if (codec === RAW) return { raw: body, chunks }
  try {
    return { raw: await decompress(body, rawBytes), chunks }
  } catch {
    throw corrupt('a frame does not decompress')
  }
}

/** The bytes of the chunk with this id, unchecked; undefined: not in this frame. */
export function chunkIn(frame: Frame, id: Uint8Array, at: number): Uint8Array | undefined {
  for (const chunk of frame.chunks) {
    let i = 0
    while (i < PREFIX_BYTES && chunk.table[chunk.id + i] === id[at + i]) i++
    if (i === PREFIX_BYTES) return frame.raw.subarray(chunk.start, chunk.start + chunk.sizeBytes)
  }
  return undefined
}
