// What one writer or one merge stores: chunks and lists of them first, directories after `settle`, so that they
// can be read at once, then one `close`.

import { must } from '../../base/assert.ts'
import { toHex } from '../../base/bytes.ts'
import type { TreeRef } from '../../model/tree-ref.ts'
import { makeTreeRef } from '../../model/tree-ref.ts'
import type { ReadLists, SaveLists } from '../files/chunk-list.ts'
import type { Known } from '../files/known.ts'
import type { ListNode } from '../files/list-node.ts'
import { encodeListNode, isListInner } from '../files/list-node.ts'
import type { Cutting } from '../guests.ts'
import { Lru } from '../lru.ts'
import type { DirNode } from '../trees/item.ts'
import type { InnerNode } from '../trees/node.ts'
import type { EncodedNode } from '../trees/node-bytes.ts'
import { DIR, idItem, LIST, MARKED } from '../trees/item.ts'
import { encodeDir, encodeInner } from '../trees/node.ts'
import type { Item } from '../trees/item.ts'
import type { PackWriter, Place } from '../packs/pack.ts'
import { unlaid } from '../packs/pack.ts'
import type { PackStore } from '../store.ts'

/** Of the chunks this writer stored itself, how many it can still recognise. */
const OWN_CHUNKS = 64 * 1024

/** Of a large commit the cache gets the beginning and no more: others read as well. */
const REMEMBERED_BYTES = 4 * 1024 * 1024
/** Of the nodes it stored, how many. */
const OWN_NODES = 16 * 1024
/** So many list nodes are stored together: what is small in a file before them ends its frame there. */
const WAITING_LISTS = 64

/** Nodes that are stored already, by id. */
export type Were = ReadonlyMap<string, Item>

export class Sink implements ReadLists, SaveLists {
  readonly #store: PackStore
  readonly #pack: PackWriter
  /** What it knows of where chunks lie counts as long as this is the round. */
  readonly #round: number
  /** For `Condemned.born`: what was condemned by then is not built upon. */
  readonly load: number
  readonly #own = new Lru<Place>(OWN_CHUNKS)
  readonly #ownKeys: [string, Place][] = []
  readonly #lists = new Map<string, { readonly item: Item; readonly node: ListNode }>()
  readonly #nodes = new Lru<Item>(OWN_NODES)
  #rememberedBytes = 0

  constructor(store: PackStore) {
    this.#store = store
    this.#round = store.condemned.round
    this.load = store.condemned.loads
    this.#pack = store.openPack()
  }

  /** Stores a chunk unless it is known to be stored. `hash`: its BLAKE3, where the caller has it. */
  chunk(
    bytes: Uint8Array,
    known?: Known,
    hash: Uint8Array = this.#store.ids.hash(bytes),
  ): { id: Uint8Array; place: Place } {
    const id = this.#store.ids.ofHash(hash)
    const key = toHex(id)
    const own = this.#own.get(key)
    const { condemned, recent } = this.#store
    const stored = own ?? condemned.unless(known?.chunk(key)) ?? condemned.unless(recent.get(key))
    const place = stored ?? this.#pack.addChunk(id, bytes, hash)
    if (!own) {
      this.#own.set(key, place)
      if (this.#ownKeys.length < OWN_CHUNKS) this.#ownKeys.push([key, place])
    }
    return { id, place }
  }

  get cutting(): Cutting | undefined {
    return this.#store.cutting
  }

  /** Stores a chunk wherever else it lies, so that nothing depends on another pack; where it will lie. */
  async alone(bytes: Uint8Array): Promise<TreeRef> {
    const id = this.#store.ids.ofChunk(bytes)
    const place = this.#pack.addChunk(id, bytes)
    await this.#pack.settle()
    return makeTreeRef(toHex(id), place)
  }

  listNode(list: Item): ListNode | Promise<ListNode> {
    return this.#store.listNode(list)
  }

  /** A node of a big file's list, unless it is known to be stored; its place is known after `settle`. */
  saveList(node: ListNode, sizeBytes: number, known?: Known): Item {
    const id = this.#store.ids.ofNode(encodeListNode(node).canonical)
    const key = toHex(id)
    const was =
      this.#lists.get(key)?.item ?? this.#nodes.get(key) ?? this.#knownList(key, node, known)
    if (was) return was
    const item = idItem(LIST, id, unlaid(), { sizeBytes })
    this.#lists.set(key, { item, node })
    return item
  }

  /** The node that lies there is as good as this one where it names the very same places. */
  #knownList(key: string, node: ListNode, known: Known | undefined): Item | undefined {
    const was = known?.node(key)
    if (!known || !was || !this.#store.condemned.unless(was.place)) return undefined
    const same = isListInner(node)
      ? node.branches.every(({ item }) => known.node(item.id)?.place === item.place)
      : node.chunks.every((chunk) => known.chunk(chunk.id) === chunk.place)
    return same ? was : undefined
  }

  get busy(): boolean {
    return this.#pack.busy || this.#lists.size >= WAITING_LISTS
  }

  async room(): Promise<void> {
    if (this.#lists.size >= WAITING_LISTS) this.#addLists()
    await this.#pack.room()
  }

  /** Every place is known, and what was stored can be read through the store. */
  async settle(): Promise<void> {
    this.#addLists()
    await this.#pack.settle()
  }

  /** In the order they were made: a node comes after those below it. */
  #addLists(): void {
    for (const [key, { item, node }] of this.#lists)
      this.#add(key, item, () => encodeListNode(node))
    this.#lists.clear()
  }

  /** Stores a directory, or a leaf of one, unless it is among `were`. Call `settle` before. */
  dir(node: DirNode, were?: Were): Item {
    const { files, sizeBytes, marks } = node
    return this.#node(encodeDir, node, { files, sizeBytes, marks }, were)
  }

  /** As `dir`, of branches. */
  inner(node: InnerNode, were?: Were): Item {
    const { branches, marks } = node
    const files = branches.reduce((sum, { item }) => sum + item.files, 0)
    const sizeBytes = branches.reduce((sum, { item }) => sum + item.sizeBytes, 0)
    return this.#node(encodeInner, node, { files, sizeBytes, marks }, were)
  }

  #node<N extends DirNode | InnerNode>(
    encode: (node: N) => EncodedNode,
    node: N,
    {
      marks,
      ...size
    }: { readonly files: number; readonly sizeBytes: number; readonly marks: boolean },
    were?: Were,
  ): Item {
    let encoded: EncodedNode | undefined = encode(node)
    const id = this.#store.ids.ofNode(encoded.canonical)
    const key = toHex(id)
    const was = were?.get(key) ?? this.#nodes.get(key)
    if (was) return was.replacing(false)
    const item = idItem(marks ? MARKED : DIR, id, unlaid(), size)
    // Mostly it is asked for at once; later others have been encoded in the same memory.
    this.#add(key, item, () => encoded ?? encode(node))
    encoded = undefined
    return item
  }

  #add(key: string, item: Item, encoded: () => EncodedNode): void {
    this.#nodes.set(key, item)
    const stored = (): Uint8Array => {
      const bytes = encoded().stored()
      // Whoever reads it next, be it this writer itself, has it at hand; nobody else knows where it lies.
      this.#rememberedBytes += bytes.length
      if (this.#rememberedBytes <= REMEMBERED_BYTES) this.#store.remember(item, bytes.slice())
      return bytes
    }
    this.#pack.addNode(item.src, stored, must(item.place, 'a place'))
  }

  /** Everything durable. */
  async close(): Promise<void> {
    await this.#pack.close()
    // Only now may others build on it.
    if (this.#round === this.#store.condemned.round)
      for (const [key, place] of this.#ownKeys) this.#store.recent.set(key, place)
  }

  abandon(): void {
    this.#pack.abandon()
  }
}
