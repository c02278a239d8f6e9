// Reading packs, and what readers and writers of one engine share: ids, caches, open packs.
//
// No byte leaves here unless it was checked against its id: what does not match is CORRUPT, and so is
// a pack that is missing or too short. (A hint may one day be stale; then this is where it is mended.)

import { assert } from '../base/assert.ts'
import { concat, toHex } from '../base/bytes.ts'
import { isVarveError, VarveError } from '../base/errors.ts'
import { passed } from '../base/passing.ts'
import type { Random } from '../base/random.ts'
import type { BlobStore } from '../blob/blob.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { makeTreeRef } from '../model/tree-ref.ts'
import type { Tables } from '../tables/tables.ts'
import { corrupt } from './packs/codec.ts'
import { Condemned } from './upkeep/condemned.ts'
import type { Frame } from './packs/frame.ts'
import { chunkIn, openFrame } from './packs/frame.ts'
import type { Compute, Cutting } from './guests.ts'
import type { Ids } from './ids.ts'
import { ID_BYTES, sameId } from './ids.ts'
import type { ListNode } from './files/list-node.ts'
import { decodeListNode } from './files/list-node.ts'
import { Lru } from './lru.ts'
import { itemOfRef } from './trees/entries.ts'
import { Redactions } from './upkeep/redactions.ts'
import { Forwards } from './packs/forwards.ts'
import { CHUNK } from './trees/item.ts'
import type { DirNode, Item } from './trees/item.ts'
import type { InnerNode } from './trees/node.ts'
import { decodeDir, EMPTY_DIR, encodeDir, nodeWeight } from './trees/node.ts'
import { canonicalPart } from './trees/node-bytes.ts'
import type { Place } from './packs/pack.ts'
import { PackWriter } from './packs/pack.ts'
import { PackBuffers } from './packs/pack-buffers.ts'
import { packKey } from './packs/pack-footer.ts'

/** Neighbouring frames are fetched together up to this much: what a heap gives again without new pages. */
const READ_BYTES = 1024 * 1024
/** Of one reader, on their way or waiting for it. */
const READ_AHEAD_BYTES = 8 * 1024 * 1024
const RECENT_CHUNKS = 64 * 1024
/**
 * What lies this near the beginning of its pack is fetched with all that lies before it, and kept: of a
 * small pack the root is read first and lies last, so that what is read next has come with it.
 */
const HEAD_BYTES = 32 * 1024

export type StoredNode = DirNode | InnerNode | ListNode
type Cached = NodeAt | Frame | Uint8Array

/** A node, and the copy of it that was read: another copy names other places. */
interface NodeAt {
  /** As it is stored, until somebody asks for it. */
  readonly node: StoredNode | Uint8Array
  readonly place: Place
}

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
  readonly cutting: Cutting | undefined
  readonly #cache: Lru<Cached>
  readonly #loading = new Map<string, Promise<StoredNode>>()
  readonly #redacted = new WeakSet<StoredNode>()
  /** Packs that are not to be built upon any more. */
  readonly condemned: Condemned
  /** Where what was in packs that are gone lies now. */
  readonly forwards: Forwards
  /** What is read for nodes that held what was purged. */
  readonly redactions: Redactions
  readonly #open = new Map<string, () => Uint8Array>()
  readonly #buffers = new PackBuffers()

  constructor(guests: {
    blob: BlobStore
    random: Random
    compute: Compute | undefined
    ids: Ids
    cacheBytes: number
    tables?: Tables | undefined
  }) {
    this.forwards = new Forwards(guests.tables, guests.blob)
    this.redactions = new Redactions(guests.tables, (ref) => this.chunk(itemOfRef(ref, CHUNK)))
    this.condemned = new Condemned(guests.tables, {
      forgetChunks: () => this.recent.clear(),
      forgetPack: (pack) => this.#blob.forget?.(packKey(pack)),
      also: async () => {
        if (await this.redactions.load()) this.#cache.clear()
      },
    })
    this.#blob = guests.blob
    this.#random = guests.random
    this.#compute = guests.compute
    this.cutting = guests.compute?.cutting
    this.#cache = new Lru(guests.cacheBytes)
    this.ids = guests.ids
    this.splitSeed = guests.ids.splitSeed()
    this.#emptyId = guests.ids.ofNode(encodeDir(EMPTY_DIR).canonical)
    this.emptyRef = makeTreeRef(toHex(this.#emptyId), { pack: '-', offset: 0, length: 0 })
  }

  openPack(): PackWriter {
    return new PackWriter({
      buffers: this.#buffers,
      blob: this.#blob,
      random: this.#random,
      compute: this.#compute,
      ids: this.ids,
      open: this.#open,
      written: (pack, bytes) => {
        if (bytes.length <= HEAD_BYTES) this.#keepHead(pack, bytes.slice())
      },
    })
  }

  /** The node of a directory that an item, a branch or a root points at: at once when cached. @throws CORRUPT */
  node(item: Item): DirNode | InnerNode | Promise<DirNode | InnerNode> {
    if (item.rare.dir) return item.rare.dir.node
    if (sameId(item.src, item.at, this.#emptyId, 0)) return EMPTY_DIR
    return this.#once(item, decodeDir) as DirNode | InnerNode | Promise<DirNode | InnerNode>
  }

  /** Whether it stands for one that was purged of something: what equals that one is not stored there. */
  isRedacted(node: StoredNode): boolean {
    return this.#redacted.has(node)
  }

  /** What is read for a node, if it is being purged of something; otherwise itself. */
  instead(item: Item): Item {
    const ref = this.redactions.underWay?.instead.get(item.id)
    return ref === undefined ? item : itemOfRef(ref, item.kind)
  }

  /** Where what is missing at its place lies now, in steps; of a node perhaps another in its stead. */
  async *elsewhere(item: Item): AsyncGenerator<Place> {
    yield* this.forwards.from(placeOf(item))
    const ref = await this.redactions.find(item.id)
    if (!ref) return
    const place = placeOf(itemOfRef(ref))
    yield place
    yield* this.forwards.from(place)
  }

  /** A node of a big file's list: at once when cached. @throws CORRUPT */
  listNode(item: Item): ListNode | Promise<ListNode> {
    return this.#once(item, decodeListNode) as ListNode | Promise<ListNode>
  }

  /** Remembers a node just written; the bytes are kept. Many are never read: who reads it first decodes it. */
  remember(item: Item, stored: Uint8Array): void {
    this.#cache.set(item.id, { node: stored, place: placeOf(item) }, stored.length)
  }

  #keepNode(item: Item, node: StoredNode, storedBytes: number): void {
    this.#cache.set(item.id, { node, place: placeOf(item) }, weightOf(node, storedBytes))
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
      this.#forget(item, error)
      throw await this.#explained(item, error)
    }
  }

  /** Chunks in order, verified; the caller may keep and change them. @throws CORRUPT */
  async *chunks(items: Iterable<Item> | AsyncIterable<Item>): AsyncGenerator<Uint8Array> {
    for await (const { group, bytes } of this.#fetched(items)) {
      let frame: Frame | undefined
      let offset = -1
      for (const item of group.items) {
        const place = placeOf(item)
        let chunk: Uint8Array
        try {
          if (place.offset !== offset || !frame) {
            const start = place.offset - group.place.offset
            frame = await this.openFrame(bytes.subarray(start, start + place.length))
            offset = place.offset
          }
          chunk = this.#verified(frame, item)
        } catch (error) {
          this.#forget(item, error)
          throw await this.#explained(item, error)
        }
        yield chunk
      }
    }
  }

  /** Neighbours are fetched together, and what comes after them meanwhile. */
  async *#fetched(
    items: Iterable<Item> | AsyncIterable<Item>,
  ): AsyncGenerator<{ readonly group: Group; readonly bytes: Uint8Array }> {
    const groups = groupNeighbours(items)
    const coming: { readonly group: Group; readonly bytes: Promise<Uint8Array> }[] = []
    let comingBytes = 0
    for (let ended = false; ;) {
      while (!ended && comingBytes < READ_AHEAD_BYTES) {
        const { value: group, done } = await groups.next()
        ended = done === true
        if (!group) break
        const bytes = this.#together(group)
        // Whoever stops reading early never looks at it.
        bytes.catch(() => {})
        coming.push({ group, bytes })
        comingBytes += group.length
      }
      const first = coming.shift()
      if (!first) return
      yield { group: first.group, bytes: await first.bytes }
      comingBytes -= first.group.length
    }
  }

  #once(item: Item, decode: (stored: Uint8Array) => StoredNode): StoredNode | Promise<StoredNode> {
    const { id } = item
    const place = placeOf(item)
    const cached = this.#cache.get(id) as NodeAt | undefined
    if (cached?.place.offset === place.offset && cached.place.pack === place.pack) {
      if (!(cached.node instanceof Uint8Array)) return cached.node
      const node = decode(cached.node)
      this.#keepNode(item, node, cached.node.length)
      return node
    }
    const key = `${id}.${frameKey(place.pack, place.offset)}`
    const running = this.#loading.get(key)
    if (running) return running
    const { generation } = this.redactions
    const loading = this.#stored(item)
      .then(({ bytes, redacted }) => {
        const node = decode(bytes)
        if (redacted) this.#redacted.add(node)
        // What was read before a purge is not kept past its end.
        if (generation === this.redactions.generation) this.#keepNode(item, node, bytes.length)
        return node
      })
      .catch((error: unknown) => {
        this.#forget(item, error)
        throw error
      })
      .finally(() => this.#loading.delete(key))
    this.#loading.set(key, loading)
    return loading
  }

  async #stored(item: Item): Promise<Stored> {
    const masked = this.redactions.underWay?.instead.get(item.id)
    if (masked) return this.#storedInstead(masked, item)
    const place = placeOf(item)
    try {
      const frame = await this.#frameAt(place)
      const bytes = chunkIn(frame, item.src, item.at)
      if (!bytes || !sameId(this.ids.ofNode(canonicalPart(bytes)), 0, item.src, item.at))
        throw corrupt('the bytes do not match the id', `node ${item.id} in pack ${place.pack}`)
      return { bytes, redacted: false }
    } catch (error) {
      const ref = isMissing(error) && (await this.redactions.find(item.id))
      if (!ref) throw await this.#explained(item, error)
      return this.#storedInstead(ref, item)
    }
  }

  async #storedInstead(ref: TreeRef, { kind }: Item): Promise<Stored> {
    const { bytes } = await this.#stored(itemOfRef(ref, kind))
    return { bytes, redacted: true }
  }

  /** Why something cannot be read: perhaps it was meant to go. */
  async #explained(item: Item, error: unknown): Promise<unknown> {
    if (!isMissing(error)) return error
    const isPurged = (await this.redactions.find(item.id)) === ''
    return isPurged ? new VarveError('NOT_FOUND_PATH', 'cannot read it: it was purged') : error
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
    if (end > HEAD_BYTES || this.#open.has(pack)) return this.openFrame(await this.#alone(place))
    const kept = this.#cache.get(pack) as Uint8Array | undefined
    const head =
      kept && kept.length >= end ? kept : await this.#bytes({ pack, offset: 0, length: end }, end)
    if (!head) return this.openFrame(await this.#moved(place))
    if (head !== kept) this.#keepHead(pack, head)
    // A copy, which the caller of a chunk may keep and change.
    return this.openFrame(head.slice(offset, end))
  }

  /** What was wrong, perhaps only on its way here, is read again the next time. */
  #forget(item: Item, error: unknown): void {
    const { pack, offset } = placeOf(item)
    this.#cache.delete(pack)
    this.#cache.delete(frameKey(pack, offset))
    if (isVarveError(error, 'CORRUPT')) this.#blob.forget?.(packKey(pack))
  }

  #keepHead(pack: string, head: Uint8Array): void {
    this.#cache.set(pack, head, head.length)
  }

  /** @throws VarveError CORRUPT */
  openFrame(bytes: Uint8Array): Promise<Frame> {
    return openFrame(bytes, (body, sizeBytes) => {
      assert(this.#compute, 'a store with compressed frames is opened with a compressor')
      return this.#compute.decompress(body, sizeBytes)
    })
  }

  async #alone(place: Place): Promise<Uint8Array> {
    return (await this.#bytes(place, place.length)) ?? this.#moved(place)
  }

  async #together({ items, place, length }: Group): Promise<Uint8Array> {
    const bytes = await this.#bytes(place, length)
    if (bytes) return bytes
    const first = new Map<number, Item>()
    for (const item of items)
      if (!first.has(placeOf(item).offset)) first.set(placeOf(item).offset, item)
    const frames: Uint8Array[] = []
    for (const item of first.values())
      try {
        frames.push(await this.#moved(placeOf(item)))
      } catch (error) {
        throw await this.#explained(item, error)
      }
    return concat(frames)
  }

  /** Of a pack that is gone. */
  async #moved(place: Place): Promise<Uint8Array> {
    for await (const next of this.forwards.from(place)) {
      const bytes = await this.#bytes(next, next.length)
      if (bytes) return bytes
    }
    throw new VarveError('CORRUPT', `cannot read pack ${place.pack}: it is missing`, {
      details: { missing: place.pack },
    })
  }

  /** Undefined: there is no such pack. */
  async #bytes({ pack, offset }: Place, length: number): Promise<Uint8Array | undefined> {
    assert(offset >= 0, 'a chunk is read after its pack was settled')
    const open = this.#open.get(pack)
    const bytes = open
      ? open().slice(offset, offset + length) // its buffer will be another pack's
      : await this.#blob.get(packKey(pack), { offset, length })
    passed(length)
    if (bytes && bytes.length !== length) throw corrupt('it is too short', `pack ${pack}`)
    return bytes
  }
}

interface Stored {
  readonly bytes: Uint8Array
  /** Of another node, in the stead of the one that was asked for. */
  readonly redacted: boolean
}

function isMissing(error: unknown): boolean {
  return isVarveError(error, 'CORRUPT') && error.details?.['missing'] !== undefined
}

/** Memory of a node, roughly, in bytes. */
export function weightOf(node: StoredNode, storedBytes: number): number {
  if ('heldBytes' in node) return node.heldBytes + storedBytes
  if ('branches' in node) return nodeWeight(node.branches.length, storedBytes)
  return nodeWeight(node.chunks.length, storedBytes)
}

interface Group {
  readonly items: Item[]
  readonly place: Place
  length: number
}

async function* groupNeighbours(
  items: Iterable<Item> | AsyncIterable<Item>,
): AsyncGenerator<Group, undefined> {
  let group: Group | undefined
  let last: Place | undefined
  for await (const item of items) {
    const place = placeOf(item)
    const same = last && last.pack === place.pack && last.offset === place.offset
    const adjoins = last && last.pack === place.pack && last.offset + last.length === place.offset
    if (group && (same || (adjoins && group.length + place.length <= READ_BYTES))) {
      group.items.push(item)
      if (!same) group.length += place.length
    } else {
      if (group) yield group
      group = { items: [item], place, length: place.length }
    }
    last = place
  }
  if (group) yield group
  return undefined
}

function frameKey(pack: string, offset: number): string {
  return `${pack}.${offset}`
}

function placeOf(item: Item): Place {
  assert(item.place && item.src.length >= item.at + ID_BYTES, 'only ids have places')
  return item.place
}
