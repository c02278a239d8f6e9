// One pack, checked from its own bytes: footer and checksum, every frame opens, every chunk and node has
// the id its frame says. Memory: a few megabytes, or one frame where that is larger.

import { equalBytes, toHex } from '../../base/bytes.ts'
import { isVarveError } from '../../base/errors.ts'
import { passed } from '../../base/passing.ts'
import type { BlobStore } from '../../blob/blob.ts'
import { corrupt } from '../packs/codec.ts'
import type { Frame, FrameHead } from '../packs/frame.ts'
import { openFrame, PREFIX_BYTES, RAW, readHead } from '../packs/frame.ts'
import type { Compute } from '../guests.ts'
import type { Ids } from '../ids.ts'
import { ID_BYTES } from '../ids.ts'
import { decodeListNode } from '../files/list-node.ts'
import { decodeDir } from '../trees/node.ts'
import { canonicalPart } from '../trees/node-bytes.ts'
import { PACK_MAGIC, packKey, PackSum, readFrames } from '../packs/pack-footer.ts'
import type { PackFrames } from '../packs/pack-footer.ts'

/** Frames are read together up to this much. */
const READ_BYTES = 4 * 1024 * 1024
/** Of the damaged frames of one pack, and of the ids of one frame, so many are told. */
const TOLD = 16

export interface PackGuests {
  readonly blob: BlobStore
  readonly ids: Ids
  readonly compute: Compute | undefined
  /** Awaited before so many bytes are read. */
  readonly pace: (sizeBytes: number) => Promise<void>
}

/** What of a pack is not as it was written. */
export interface PackFault {
  readonly why: string
  /** In the pack, of the frame; undefined: it is not of one frame. */
  readonly offset?: number
  readonly length?: number
  readonly holds?: 'node' | 'chunks'
  /** The first 8 bytes of the ids of what lies there, in hex, where that can be told. */
  readonly ids?: readonly string[]
}

export interface CheckedPack {
  readonly nodes: number
  readonly chunks: number
  readonly faults: readonly PackFault[]
  /** More than are told. */
  readonly moreFaults: number
}

/** undefined: there is no such pack any more. @throws VarveError UNAVAILABLE */
export async function checkPack(
  guests: PackGuests,
  pack: string,
  sizeBytes: number,
): Promise<CheckedPack | undefined> {
  const checking = new PackChecking(guests, pack, sizeBytes)
  return (await checking.run()) ? checking : undefined
}

class PackChecking implements CheckedPack {
  nodes = 0
  chunks = 0
  readonly faults: PackFault[] = []
  moreFaults = 0
  readonly #guests: PackGuests
  readonly #pack: string
  readonly #sizeBytes: number
  readonly #sum = new PackSum()

  constructor(guests: PackGuests, pack: string, sizeBytes: number) {
    this.#guests = guests
    this.#pack = pack
    this.#sizeBytes = sizeBytes
  }

  /** @returns whether the pack is there */
  async run(): Promise<boolean> {
    const frames = await this.#frames()
    if (!frames || frames === 'none') return frames !== 'none'
    const beginning = await this.#read(0, PACK_MAGIC.length)
    if (!beginning) return false
    if (!equalBytes(beginning, PACK_MAGIC))
      this.#fault({ why: 'it does not begin as a pack does', offset: 0, length: PACK_MAGIC.length })
    for (let first = 0; first < frames.count;) {
      const start = frames.offset(first)
      let end = first
      while (end < frames.count && frames.offset(end + 1) - start <= READ_BYTES) end++
      end = Math.max(end, first + 1)
      const bytes = await this.#read(start, frames.offset(end) - start)
      if (!bytes) return false
      for (; first < end; first++) {
        const at = frames.offset(first) - start
        await this.#frame(frames, first, bytes.subarray(at, at + frames.length(first)))
      }
    }
    const footer = await this.#read(frames.framesEnd, this.#sizeBytes - frames.framesEnd)
    if (!footer) return false
    const table = footer.subarray(0, -ID_BYTES)
    const found = this.#sum.end(this.#guests.ids, this.#pack, table)
    if (this.faults.length === 0 && !equalBytes(found, footer.subarray(-ID_BYTES)))
      this.#fault({ why: 'its checksum is not that of its bytes' })
    return true
  }

  /** undefined: the footer is damaged; 'none': there is no pack. */
  async #frames(): Promise<PackFrames | undefined | 'none'> {
    try {
      return (await readFrames(this.#guests.blob, this.#pack, this.#sizeBytes)) ?? 'none'
    } catch (error) {
      if (!isVarveError(error, 'CORRUPT')) throw error
      this.#fault({ why: `its footer cannot be read: ${reason(error)}` })
      return undefined
    }
  }

  async #read(offset: number, length: number): Promise<Uint8Array | undefined> {
    await this.#guests.pace(length)
    const bytes = await this.#guests.blob.get(packKey(this.#pack), { offset, length })
    passed(length)
    if (bytes && bytes.length !== length) {
      this.#fault({ why: 'it became shorter', offset, length })
      return new Uint8Array(length)
    }
    return bytes
  }

  async #frame(frames: PackFrames, i: number, bytes: Uint8Array): Promise<void> {
    const { ids } = this.#guests
    const holds = frames.isNode(i) ? 'node' : 'chunks'
    let head: FrameHead | undefined
    try {
      head = readHead(bytes)
      const body = bytes.subarray(head.headBytes)
      const hash = ids.hash(body)
      this.#sum.frame(bytes.subarray(0, head.headBytes), hash)
      const frame = await openFrame(bytes, (packed, size) => this.#decompress(packed, size), head)
      if (holds === 'node') this.#node(frame)
      else this.#chunks(frame, head.codec === RAW && frame.chunks.length === 1 ? hash : undefined)
    } catch (error) {
      if (!isVarveError(error, 'CORRUPT')) throw error
      const [offset, length] = [frames.offset(i), frames.length(i)]
      this.#fault({ why: reason(error), offset, length, holds, ...(head && { ids: idsOf(head) }) })
    }
  }

  #node(frame: Frame): void {
    this.nodes++
    const [only] = frame.chunks
    if (!only || frame.chunks.length !== 1) throw corrupt('it holds no node, or several')
    const id = this.#guests.ids.ofNode(canonicalPart(frame.raw))
    if (!hasPrefix(only.table, only.id, id)) throw corrupt('a node does not match its id')
    if (!isNode(frame.raw)) throw corrupt('a node cannot be understood')
  }

  #chunks(frame: Frame, hash: Uint8Array | undefined): void {
    const { ids } = this.#guests
    for (const { id, table, start, sizeBytes } of frame.chunks) {
      this.chunks++
      const bytes = frame.raw.subarray(start, start + sizeBytes)
      if (!hasPrefix(table, id, hash ? ids.ofHash(hash) : ids.ofChunk(bytes)))
        throw corrupt('a chunk does not match its id')
    }
  }

  #decompress(bytes: Uint8Array, sizeBytes: number): Promise<Uint8Array> {
    const { compute } = this.#guests
    if (!compute) throw corrupt('it is compressed, and there is no compressor')
    return compute.decompress(bytes, sizeBytes)
  }

  #fault(fault: PackFault): void {
    if (this.faults.length < TOLD) this.faults.push(fault)
    else this.moreFaults++
  }
}

/** Whether these bytes are a node, of whatever kind. */
function isNode(stored: Uint8Array): boolean {
  for (const decode of [decodeDir, decodeListNode])
    try {
      decode(stored)
      return true
    } catch (error) {
      if (!isVarveError(error, 'CORRUPT')) throw error
    }
  return false
}

/** Why, without what: that is said beside it. */
export function reason({ message }: Error): string {
  return message.replace(/^cannot read [^:]*: /, '')
}

function hasPrefix(table: Uint8Array, at: number, id: Uint8Array): boolean {
  for (let i = 0; i < PREFIX_BYTES; i++) if (table[at + i] !== id[i]) return false
  return true
}

function idsOf(head: FrameHead): string[] {
  return head.chunks
    .slice(0, TOLD)
    .map(({ table, id }) => toHex(table.subarray(id, id + PREFIX_BYTES)))
}
