// Which packs have what is being purged, and what of them is carried over.
//
// - Every pack is looked through, not only those that trees point at: what was stored twice, staged and
//   never kept, or dropped and not yet collected goes as well.
// - A frame of chunks goes without those that are purged and that nothing else uses. Nodes go unless the
//   mark has walked them; it walks what stands for the ones that are redacted, not themselves.
// - Ids are compared whole before anything is left out: frames know 8 bytes of them.

import { concat, toHex } from '../../base/bytes.ts'
import { isVarveError } from '../../base/errors.ts'
import { passed } from '../../base/passing.ts'
import type { BlobStore } from '../../blob/blob.ts'
import type { Frame, FrameChunk } from '../packs/frame.ts'
import { frameHead, PREFIX_BYTES, RAW, readHead } from '../packs/frame.ts'
import type { Moves } from '../packs/forwards.ts'
import type { PackFrames } from '../packs/pack-footer.ts'
import { framesOf, packKey } from '../packs/pack-footer.ts'
import type { PackListing } from '../packs/pack-listing.ts'
import type { PackWriter, Place } from '../packs/pack.ts'
import { unlaid } from '../packs/pack.ts'
import type { PackStore } from '../store.ts'
import type { DirNode, Item } from '../trees/item.ts'
import { decodeDir, isInner } from '../trees/node.ts'
import type { InnerNode } from '../trees/node.ts'
import type { Marker } from './mark.ts'
import type { PurgeMap } from './redactions.ts'

const PREFIX_DIGITS = 2 * PREFIX_BYTES

export interface PurgedPacksGuests {
  readonly store: PackStore
  readonly blob: BlobStore
  readonly listing: PackListing
}

export class PurgedPacks {
  readonly #o: PurgedPacksGuests
  /** By the beginning of their ids, chunks and nodes that go. */
  readonly #gone = new Map<string, string>()
  readonly #names: ReadonlySet<string>
  /** Of those, what something else uses. */
  readonly #shared = new Set<string>()
  #marker: Marker | undefined
  /** Packs that cannot be read as what they are: nobody can say what is in them. */
  readonly unreadable: string[] = []

  /** @param map of the purge under way; undefined: there is none */
  constructor(guests: PurgedPacksGuests, map: PurgeMap | undefined) {
    this.#o = guests
    this.#names = map?.names ?? new Set()
    for (const id of [...(map?.gone ?? []), ...(map?.instead.keys() ?? [])])
      this.#gone.set(id.slice(0, PREFIX_DIGITS), id)
  }

  /** Is told by the mark of all that is used. */
  readonly watch = ({ id }: Item): void => {
    if (this.#gone.get(id.slice(0, PREFIX_DIGITS)) === id) this.#shared.add(id)
  }

  /** How many pieces stay because something else uses them. */
  get shared(): number {
    return this.#shared.size
  }

  /** Of the listed packs those that have any of it; reads each once. @param marker which has marked */
  async find(marker: Marker, signal: AbortSignal): Promise<Set<number>> {
    this.#marker = marker
    const { listing, blob } = this.#o
    const found = new Set<number>()
    for (let n = 0; this.#gone.size + this.#names.size > 0 && n < listing.count; n++) {
      signal.throwIfAborted()
      const pack = listing.name(n)
      const bytes = await blob.get(packKey(pack))
      passed(bytes?.length ?? 0)
      if (bytes && (await this.#has(pack, bytes))) found.add(n)
    }
    return found
  }

  /** What of a pack stays, in another one. Undefined: all of it does, where it is. */
  async carryOver(writer: PackWriter, pack: string, bytes: Uint8Array): Promise<Moves | undefined> {
    if (!(await this.#has(pack, bytes))) return undefined
    const { listing } = this.#o
    const n = listing.numberOf(pack)
    const frames = framesOf(pack, bytes)
    const moved = new Map<number, Place>()
    for (let i = 0; i < frames.count; i++) {
      const offset = frames.offset(i)
      if (!listing.isUsedAt(n, offset)) continue
      const frame = frameAt(frames, i, bytes)
      const kept = frames.isNode(i)
        ? this.#isWalked(n, offset) && frame
        : await this.#without(frame)
      if (!kept) continue
      const place = unlaid()
      writer.addFrame(kept, frames.isNode(i), place)
      moved.set(offset, place)
    }
    return moved
  }

  async #has(pack: string, bytes: Uint8Array): Promise<boolean> {
    try {
      const frames = framesOf(pack, bytes)
      const n = this.#o.listing.numberOf(pack)
      for (let i = 0; i < frames.count; i++) {
        const frame = frameAt(frames, i, bytes)
        if (frames.isNode(i)) {
          if (!this.#isWalked(n, frames.offset(i)) && (await this.#saysOf(frame))) return true
        } else if ((await this.#without(frame)) !== frame) return true
      }
      return false
    } catch (error) {
      if (!isVarveError(error, 'CORRUPT')) throw error
      this.unreadable.push(pack)
      return false
    }
  }

  #isWalked(n: number, offset: number): boolean {
    return this.#marker?.has(n, offset) ?? false
  }

  /** Whether a node that nobody uses has a name, or an id, of what goes. */
  async #saysOf(frame: Uint8Array): Promise<boolean> {
    const { raw, chunks } = await this.#o.store.openFrame(frame)
    return chunks.some((chunk) => {
      if (this.#meant(chunk) !== undefined) return true
      try {
        return this.#named(decodeDir(raw.subarray(chunk.start, chunk.start + chunk.sizeBytes)))
      } catch {
        // A list: that would have been known by its id.
        return false
      }
    })
  }

  #named(node: DirNode | InnerNode): boolean {
    if (isInner(node)) return node.branches.some(({ name }) => this.#names.has(name))
    return (
      node.names.some((name) => this.#names.has(name)) ||
      node.items.some(({ rare }) => rare.dir !== undefined && this.#named(rare.dir.node))
    )
  }

  /** A frame of chunks without those that go: itself when none does, undefined when all do. */
  async #without(frame: Uint8Array): Promise<Uint8Array | undefined> {
    if (!readHead(frame).chunks.some((chunk) => this.#meant(chunk) !== undefined)) return frame
    const opened = await this.#o.store.openFrame(frame)
    const kept = opened.chunks.filter((chunk) => !this.#goes(opened, chunk))
    if (kept.length === opened.chunks.length) return frame
    if (kept.length === 0) return undefined
    const ids = kept.map(({ table, id }) => table.subarray(id, id + PREFIX_BYTES))
    const parts = kept.map(({ start, sizeBytes }) => opened.raw.subarray(start, start + sizeBytes))
    return concat([frameHead(RAW, ids, parts), ...parts])
  }

  #goes({ raw }: Frame, chunk: FrameChunk): boolean {
    const meant = this.#meant(chunk)
    if (meant === undefined || this.#shared.has(meant)) return false
    const bytes = raw.subarray(chunk.start, chunk.start + chunk.sizeBytes)
    return toHex(this.#o.store.ids.ofChunk(bytes)) === meant
  }

  #meant({ table, id }: FrameChunk): string | undefined {
    return this.#gone.get(toHex(table.subarray(id, id + PREFIX_BYTES)))
  }
}

function frameAt(frames: PackFrames, i: number, bytes: Uint8Array): Uint8Array {
  return bytes.subarray(frames.offset(i), frames.offset(i) + frames.length(i))
}
