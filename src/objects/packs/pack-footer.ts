// The end of a pack: which frames it has, which of them hold a node, and a checksum of it all, so that
// a pack can be read, checked and rewritten from its own bytes alone.
//
//   varint frames · for each: varint length × 2 + 1 if it holds a node, + 0 if it holds chunks
//   u32 (little-endian) size of the line above · `varvepkE`
//   32 bytes checksum: BLAKE3(store key ‖ BLAKE3(list) ‖ the pack's name ‖ 0x02)
//   list: for each frame its head · BLAKE3 of its body; then the two lines above the checksum
//
// The checksum covers every byte but itself and the 8 at the beginning, which are always the same, and the
// name: one pack in the place of another is found. Of most large frames the body is one chunk as it is, whose
// BLAKE3 its id was made of, so that the checksum costs next to nothing.

import { assert } from '../../base/assert.ts'
import { equalBytes, utf8 } from '../../base/bytes.ts'
import { isVarveError } from '../../base/errors.ts'
import type { BlobStore } from '../../blob/blob.ts'
import { ByteReader, ByteWriter, corrupt, varintBytes } from './codec.ts'
import type { Ids } from '../ids.ts'
import { readHead } from './frame.ts'
import { ID_BYTES } from '../ids.ts'

export const PACK_MAGIC: Uint8Array = utf8('varvepk1')
const END_MAGIC = utf8('varvepkE')
const TRAILER_BYTES = 4 + END_MAGIC.length + ID_BYTES
/** Of the end of a pack that is read at once: the whole footer of nearly every pack. */
const TAIL_BYTES = 16 * 1024

export function packKey(pack: string): string {
  return `packs/${pack}`
}

/** The name of the pack under this key; undefined: no pack is called so. */
export function packOfKey(key: string): string | undefined {
  return /^packs\/([0-9a-f]{32})$/.exec(key)?.[1]
}

/** What the checksum of a pack is made of, frame by frame in their order. */
export class PackSum {
  readonly #list = new ByteWriter(1024)

  /** @param bodyHash BLAKE3 of its body */
  frame(head: Uint8Array, bodyHash: Uint8Array): void {
    this.#list.copy(head, 0, head.length)
    this.#list.copy(bodyHash, 0, bodyHash.length)
  }

  /** @param footer all of it but the checksum */
  end(ids: Ids, pack: string, footer: Uint8Array): Uint8Array {
    this.#list.copy(footer, 0, footer.length)
    return ids.ofPack(pack, this.#list.done())
  }
}

/** The footer of a pack, while that is written. */
export class PackFooter {
  readonly #sum = new PackSum()
  readonly #rows = new ByteWriter(64)
  #count = 0

  add(frame: {
    readonly head: Uint8Array
    readonly bodyHash: Uint8Array
    readonly length: number
    readonly isNode: boolean
  }): void {
    this.#sum.frame(frame.head, frame.bodyHash)
    this.#rows.varint(frame.length * 2 + (frame.isNode ? 1 : 0))
    this.#count++
  }

  /** The size of the footer after one frame more of this length. */
  bytesWith(length: number): number {
    return (
      varintBytes(this.#count + 1) + this.#rows.at + varintBytes(length * 2 + 1) + TRAILER_BYTES
    )
  }

  end(ids: Ids, pack: string): Uint8Array {
    const footer = new ByteWriter(this.#rows.at + TRAILER_BYTES + 8)
    footer.varint(this.#count)
    footer.copy(this.#rows.bytes, 0, this.#rows.at)
    const tableBytes = footer.at
    for (let shift = 0; shift < 32; shift += 8) footer.u8((tableBytes >>> shift) & 0xff)
    footer.copy(END_MAGIC, 0, END_MAGIC.length)
    footer.copy(this.#sum.end(ids, pack, footer.done()), 0, ID_BYTES)
    return footer.done()
  }
}

/** The frames of a pack, in their order; they lie back to back. */
export class PackFrames {
  readonly pack: string
  /** Of the whole pack. */
  readonly sizeBytes: number
  readonly #ends: Float64Array
  readonly #nodes: Uint8Array

  constructor(pack: string, sizeBytes: number, ends: Float64Array, nodes: Uint8Array) {
    this.pack = pack
    this.sizeBytes = sizeBytes
    this.#ends = ends
    this.#nodes = nodes
  }

  get count(): number {
    return this.#ends.length
  }

  /** Where the footer begins. */
  get framesEnd(): number {
    return this.offset(this.count)
  }

  offset(frame: number): number {
    return frame === 0 ? PACK_MAGIC.length : (this.#ends[frame - 1] as number)
  }

  length(frame: number): number {
    return (this.#ends[frame] as number) - this.offset(frame)
  }

  isNode(frame: number): boolean {
    return this.#nodes[frame] === 1
  }

  /** Which frame lies exactly there; −1: none. */
  find(offset: number, length: number): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.offset(middle) < offset) low = middle + 1
      else high = middle
    }
    return low < this.count && this.offset(low) === offset && this.length(low) === length ? low : -1
  }
}

/** The frames of a pack, of which the whole is given. Its checksum is not looked at. @throws CORRUPT */
export function framesOf(pack: string, bytes: Uint8Array): PackFrames {
  return parseTail(pack, bytes, bytes.length) as PackFrames
}

/** Whether a whole pack is what was written under this name, to the last bit. */
export function packIsWhole(ids: Ids, pack: string, bytes: Uint8Array): boolean {
  try {
    const frames = framesOf(pack, bytes)
    if (!equalBytes(bytes.subarray(0, PACK_MAGIC.length), PACK_MAGIC)) return false
    const sum = new PackSum()
    for (let i = 0; i < frames.count; i++) {
      const frame = bytes.subarray(frames.offset(i), frames.offset(i) + frames.length(i))
      const { headBytes } = readHead(frame)
      sum.frame(frame.subarray(0, headBytes), ids.hash(frame.subarray(headBytes)))
    }
    const end = bytes.length - ID_BYTES
    const found = sum.end(ids, pack, bytes.subarray(frames.framesEnd, end))
    return equalBytes(found, bytes.subarray(end))
  } catch (error) {
    if (isVarveError(error, 'CORRUPT')) return false
    throw error
  }
}

/**
 * The frames of a pack by reading its end only, unchecked; undefined: there is no such pack.
 * @param sizeBytes where the caller knows it, which saves a question
 * @throws VarveError CORRUPT
 */
export async function readFrames(
  blob: BlobStore,
  pack: string,
  sizeBytes?: number,
): Promise<PackFrames | undefined> {
  const key = packKey(pack)
  const size = sizeBytes ?? (await blob.head(key))
  if (size === undefined) return undefined
  let wanted = Math.min(size, TAIL_BYTES)
  for (;;) {
    const tail = await blob.get(key, { offset: size - wanted, length: wanted })
    if (!tail) return undefined
    if (tail.length !== wanted) throw corrupt('it is too short', `pack ${pack}`)
    const parsed = parseTail(pack, tail, size)
    if (typeof parsed !== 'number') return parsed
    assert(parsed > wanted, 'only what was not read is asked for')
    wanted = parsed
  }
}

/** @returns a number: so many bytes of the end are needed */
function parseTail(pack: string, tail: Uint8Array, sizeBytes: number): PackFrames | number {
  const what = `pack ${pack}`
  const trailer = tail.length - TRAILER_BYTES
  if (trailer < 0) throw corrupt('it is too short', what)
  if (!equalBytes(tail.subarray(trailer + 4, trailer + 4 + END_MAGIC.length), END_MAGIC))
    throw corrupt('it does not end as a pack does', what)
  let tableBytes = 0
  for (let i = 3; i >= 0; i--) tableBytes = tableBytes * 256 + (tail[trailer + i] as number)
  if (tableBytes > sizeBytes - TRAILER_BYTES - PACK_MAGIC.length)
    throw corrupt('its table of frames is larger than it', what)
  if (tableBytes > trailer) return tableBytes + TRAILER_BYTES
  const reader = new ByteReader(tail.subarray(trailer - tableBytes, trailer))
  const count = reader.varint()
  if (count > tableBytes) throw corrupt('its table of frames is too short', what)
  const ends = new Float64Array(count)
  const nodes = new Uint8Array(count)
  let end = PACK_MAGIC.length
  for (let i = 0; i < count; i++) {
    const row = reader.varint()
    nodes[i] = row % 2
    end += Math.floor(row / 2)
    ends[i] = end
  }
  reader.end()
  if (end !== sizeBytes - TRAILER_BYTES - tableBytes)
    throw corrupt('its frames do not fill it', what)
  return new PackFrames(pack, sizeBytes, ends, nodes)
}
