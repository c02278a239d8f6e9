// Reading packs, and what readers and writers of one engine share: ids, caches, open packs.
//
// No byte leaves here unless it was checked against its id: what does not match is CORRUPT, and so is
// a pack that is missing or too short. (A hint may one day be stale; then this is where it is mended.)

import { assert } from '../base/assert.ts'
import { toHex } from '../base/bytes.ts'
import type { Random } from '../base/random.ts'
import type { BlobStore } from '../blob/blob.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { makeTreeRef } from '../model/tree-ref.ts'
import { corrupt } from './codec.ts'
import type { Frame } from './frame.ts'
import { chunkIn, openFrame } from './frame.ts'
import type { Compute } from './guests.ts'
import type { Ids } from './ids.ts'
import { ID_BYTES, sameId } from './ids.ts'
import { Lru } from './lru.ts'
import type { DirNode, InnerNode, Item } from './node.ts'
import { canonicalPart, decodeDir, decodeList, EMPTY_DIR, encodeDir, nodeWeight } from './node.ts'
import type { Place } from './pack.ts'
import { packKey, PackWriter } from './pack.ts'

/** Neighbouring frames are fetched together up to this much. */
const READ_BYTES = 4 * 1024 * 1024
const RECENT_CHUNKS = 64 * 1024
/**
 * What lies this near the beginning of its pack is fetched with all that lies before it, and kept: of a
 * small pack the root is read first and lies last, so that what is read next has come with it.
 */
const HEAD_BYTES = 32 * 1024

type Cached = DirNode | InnerNode | Item[] | Frame | Uint8Array

export class PackStore {
  readonly ids: Ids
  /** The tree without entries; it is stored nowhere. */
  readonly emptyRef: TreeRef
  readonly #emptyId: Uint8Array
  /** For name-hash.ts. */
  readonly splitSeed: number
  /** Chunks written lately and durable, by id: a writer stores them once. */
  readonly recent = new Lru<Place>(RECENT_CHUNKS)
  readonly #blob: BlobStore
  readonly #random: Random
  readonly #compute: Compute | undefined
  readonly #cache: Lru<Cached>
  readonly #loading = new Map<string, Promise<Cached>>()
  readonly #open = new Map<string, () => Uint8Array>()

  constructor(guests: {
    blob: BlobStore
    random: Random
    compute: Compute | undefined
    ids: Ids
    cacheBytes: number
  }) {
    this.#blob = guests.blob
    this.#random = guests.random
    this.#compute = guests.compute
    this.#cache = new Lru(guests.cacheBytes)
    this.ids = guests.ids
    this.splitSeed = guests.ids.splitSeed()
    this.#emptyId = guests.ids.ofNode(encodeDir(EMPTY_DIR).canonical)
    this.emptyRef = makeTreeRef(toHex(this.#emptyId), { pack: '-', offset: 0, length: 0 })
  }

  openPack(): PackWriter {
    return new PackWriter({
      blob: this.#blob,
      random: this.#random,
      compute: this.#compute,
      open: this.#open,
      written: (pack, bytes) => {
        if (bytes.length <= HEAD_BYTES) this.#keepHead(pack, bytes.slice())
      },
    })
  }

  /** The node of a directory that an item, a branch or a root points at: at once when cached. @throws CORRUPT */
  node(item: Item): DirNode | InnerNode | Promise<DirNode | InnerNode> {
    if (sameId(item.src, item.at, this.#emptyId, 0)) return EMPTY_DIR
    return this.#once(item, async () => {
      const stored = await this.#stored(item)
      const node = decodeDir(stored)
      return [node, nodeWeight(sizeOf(node), stored.length)]
    }) as DirNode | InnerNode | Promise<DirNode | InnerNode>
  }

  /** The chunks of a big file, in order. @throws CORRUPT */
  list(item: Item): Item[] | Promise<Item[]> {
    return this.#once(item, async () => {
      const stored = await this.#stored(item)
      const chunks = decodeList(stored)
      return [chunks, nodeWeight(chunks.length, stored.length)]
    }) as Item[] | Promise<Item[]>
  }

  /** Remembers a node just written. */
  remember(id: string, node: DirNode | InnerNode | Item[], storedBytes: number): void {
    this.#cache.set(id, node, nodeWeight(sizeOf(node), storedBytes))
  }

  /** One chunk, verified; the caller may keep and change it. @throws CORRUPT */
  async chunk(item: Item): Promise<Uint8Array> {
    const place = placeOf(item)
    const key = frameKey(place.pack, place.offset)
    try {
      const cached = this.#cache.get(key) as Frame | undefined
      const frame = cached ?? (await this.#frameAt(place))
      const shared = frame.chunks.length > 1
      if (shared && !cached)
        this.#cache.set(key, frame, frame.raw.length + frame.chunks.length * 64)
      const bytes = this.#verified(frame, item)
      return shared ? new Uint8Array(bytes) : bytes
    } catch (error) {
      this.#forget(item)
      throw error
    }
  }

  /** Chunks in order, verified; neighbours are fetched together and the next group ahead. */
  async *chunks(items: readonly Item[]): AsyncGenerator<Uint8Array> {
    const groups = groupNeighbours(items)
    let ahead: Promise<Uint8Array> | undefined
    for (let g = 0; g < groups.length; g++) {
      const group = groups[g] as Group
      const bytes = await (ahead ?? this.#bytes(group.place, group.length))
      const next = groups[g + 1]
      ahead = next && this.#bytes(next.place, next.length)
      // Whoever stops reading early never looks at it.
      ahead?.catch(() => {})
      let frame: Frame | undefined
      let offset = -1
      for (const item of group.items) {
        const place = placeOf(item)
        if (place.offset !== offset || !frame) {
          const start = place.offset - group.place.offset
          frame = await this.#frame(bytes.subarray(start, start + place.length))
          offset = place.offset
        }
        yield this.#verified(frame, item)
      }
    }
  }

  #once(item: Item, load: () => Promise<[Cached, number]>): Cached | Promise<Cached> {
    const id = item.id
    const cached = this.#cache.get(id)
    if (cached) return cached
    const running = this.#loading.get(id)
    if (running) return running
    const loading = load()
      .then(
        ([value, weight]) => {
          this.#cache.set(id, value, weight)
          return value
        },
        (error: unknown) => {
          this.#forget(item)
          throw error
        },
      )
      .finally(() => this.#loading.delete(id))
    this.#loading.set(id, loading)
    return loading
  }

  async #stored(item: Item): Promise<Uint8Array> {
    const place = placeOf(item)
    const frame = await this.#frameAt(place)
    const stored = chunkIn(frame, item.src, item.at)
    if (!stored || !sameId(this.ids.ofNode(canonicalPart(stored)), 0, item.src, item.at))
      throw corrupt('the bytes do not match the id', `node ${item.id} in pack ${place.pack}`)
    return stored
  }

  #verified(frame: Frame, item: Item): Uint8Array {
    const bytes = chunkIn(frame, item.src, item.at)
    if (!bytes || !sameId(this.ids.ofChunk(bytes), 0, item.src, item.at))
      throw corrupt(
        'the bytes do not match the id',
        `chunk ${item.id} in pack ${placeOf(item).pack}`,
      )
    return bytes
  }

  /** Alone, or out of the head of its pack. */
  async #frameAt(place: Place): Promise<Frame> {
    const { pack, offset, length } = place
    const end = offset + length
    if (end > HEAD_BYTES || this.#open.has(pack))
      return this.#frame(await this.#bytes(place, length))
    const kept = this.#cache.get(pack) as Uint8Array | undefined
    const head =
      kept && kept.length >= end ? kept : await this.#bytes({ pack, offset: 0, length: end }, end)
    if (head !== kept) this.#keepHead(pack, head)
    // A copy, which the caller of a chunk may keep and change.
    return this.#frame(head.slice(offset, end))
  }

  /** What was wrong, perhaps only on its way here, is read again the next time. */
  #forget(item: Item): void {
    const { pack, offset } = placeOf(item)
    this.#cache.delete(pack)
    this.#cache.delete(frameKey(pack, offset))
  }

  #keepHead(pack: string, head: Uint8Array): void {
    this.#cache.set(pack, head, head.length)
  }

  #frame(bytes: Uint8Array): Promise<Frame> {
    return openFrame(bytes, (body, sizeBytes) => {
      assert(this.#compute, 'a store with compressed frames is opened with a compressor')
      return this.#compute.decompress(body, sizeBytes)
    })
  }

  async #bytes({ pack, offset }: Place, length: number): Promise<Uint8Array> {
    assert(offset >= 0, 'a chunk is read after its pack was settled')
    const open = this.#open.get(pack)
    const bytes = open
      ? open().subarray(offset, offset + length)
      : await this.#blob.get(packKey(pack), { offset, length })
    if (!bytes) throw corrupt('it is missing', `pack ${pack}`)
    if (bytes.length !== length) throw corrupt('it is too short', `pack ${pack}`)
    return bytes
  }
}

function sizeOf(node: DirNode | InnerNode | Item[]): number {
  if (Array.isArray(node)) return node.length
  return 'branches' in node ? node.branches.length : node.items.length
}

interface Group {
  readonly items: Item[]
  readonly place: Place
  length: number
}

function groupNeighbours(items: readonly Item[]): Group[] {
  const groups: Group[] = []
  let group: Group | undefined
  let last: Place | undefined
  for (const item of items) {
    const place = placeOf(item)
    const same = last && last.pack === place.pack && last.offset === place.offset
    const adjoins = last && last.pack === place.pack && last.offset + last.length === place.offset
    if (group && (same || (adjoins && group.length + place.length <= READ_BYTES))) {
      group.items.push(item)
      if (!same) group.length += place.length
    } else {
      group = { items: [item], place, length: place.length }
      groups.push(group)
    }
    last = place
  }
  return groups
}

function frameKey(pack: string, offset: number): string {
  return `${pack}.${offset}`
}

function placeOf(item: Item): Place {
  assert(item.place && item.src.length >= item.at + ID_BYTES, 'only ids have places')
  return item.place
}
