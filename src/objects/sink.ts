// What one writer or one merge stores: chunks first, nodes after `settle`, then one `close`.

import { toHex } from '../base/bytes.ts'
import { Lru } from './lru.ts'
import type { DirNode, EncodedNode, InnerNode } from './node.ts'
import { DIR, encodeDir, encodeInner, encodeList, idItem, Item, LIST, MARKED } from './node.ts'
import type { PackWriter, Place } from './pack.ts'
import { unlaid } from './pack.ts'
import type { PackStore } from './store.ts'

/** Of the chunks this writer stored itself, how many it can still recognise. */
const OWN_CHUNKS = 64 * 1024

/** Nodes that are stored already, by id. */
export type Were = ReadonlyMap<string, Item>

/** Chunks known to lie somewhere already, by id. */
export type Known = ReadonlyMap<string, Place>

export class Sink {
  readonly #store: PackStore
  readonly #pack: PackWriter
  readonly #own = new Lru<Place>(OWN_CHUNKS)
  readonly #ownKeys: [string, Place][] = []
  readonly #lists: { readonly id: Uint8Array; readonly chunks: Item[]; readonly place: Place }[] =
    []
  readonly #nodes = new Map<
    string,
    { item: Item; node: DirNode | InnerNode | Item[]; storedBytes: number }
  >()

  constructor(store: PackStore) {
    this.#store = store
    this.#pack = store.openPack()
  }

  /** Stores a chunk unless it is known to be stored. */
  chunk(bytes: Uint8Array, known?: Known): { id: Uint8Array; place: Place } {
    const id = this.#store.ids.ofChunk(bytes)
    const key = toHex(id)
    const own = this.#own.get(key)
    const stored = own ?? known?.get(key) ?? this.#store.recent.get(key)
    const place = stored ?? this.#pack.addChunk(id, bytes)
    if (!own) {
      this.#own.set(key, place)
      if (this.#ownKeys.length < OWN_CHUNKS) this.#ownKeys.push([key, place])
    }
    return { id, place }
  }

  /** The list of a big file; its id is known at once, its place after `settle`. */
  list(chunks: Item[], sizeBytes: number): Item {
    const id = this.#store.ids.ofNode(canonicalList(chunks))
    const place = unlaid()
    this.#lists.push({ id, chunks, place })
    return idItem(LIST, id, place, { sizeBytes })
  }

  get busy(): boolean {
    return this.#pack.busy
  }

  room(): Promise<void> {
    return this.#pack.room()
  }

  /** Every place is known, and what was stored can be read through the store. */
  async settle(): Promise<void> {
    await this.#pack.settle()
    for (const { id, chunks, place } of this.#lists.splice(0)) {
      const { stored } = encodeList(chunks)
      this.#pack.addNode(id, stored, place)
      const item = idItem(LIST, id, place, { sizeBytes: 0 })
      this.#nodes.set(item.id, { item, node: chunks, storedBytes: stored.length })
    }
  }

  /** Stores a directory, or a leaf of one, unless it is among `were`. Call `settle` before. */
  dir(node: DirNode, were?: Were): Item {
    const { files, sizeBytes, marks } = node
    return this.#node(encodeDir(node), node, { files, sizeBytes, marks }, were)
  }

  /** As `dir`, of branches. */
  inner(node: InnerNode, were?: Were): Item {
    const { branches, marks } = node
    const files = branches.reduce((sum, { item }) => sum + item.files, 0)
    const sizeBytes = branches.reduce((sum, { item }) => sum + item.sizeBytes, 0)
    return this.#node(encodeInner(node), node, { files, sizeBytes, marks }, were)
  }

  #node(
    { canonical, stored }: EncodedNode,
    node: DirNode | InnerNode,
    {
      marks,
      ...size
    }: { readonly files: number; readonly sizeBytes: number; readonly marks: boolean },
    were?: Were,
  ): Item {
    const id = this.#store.ids.ofNode(canonical)
    const key = toHex(id)
    const was = were?.get(key) ?? this.#nodes.get(key)?.item
    if (was) return was.replacing(false)
    const place = this.#pack.addNode(id, stored)
    const item = idItem(marks ? MARKED : DIR, id, place, size)
    this.#nodes.set(key, { item, node, storedBytes: stored.length })
    return item
  }

  /** Everything durable. */
  async close(): Promise<void> {
    await this.#pack.close()
    // Only now may others build on it.
    for (const [key, place] of this.#ownKeys) this.#store.recent.set(key, place)
    for (const [key, { node, storedBytes }] of this.#nodes)
      this.#store.remember(key, node, storedBytes)
  }

  abandon(): void {
    this.#pack.abandon()
  }
}

function canonicalList(chunks: readonly Item[]): Uint8Array {
  // Hints are not hashed: any place does.
  const here: Place = { pack: '', offset: 0, length: 0 }
  const bare = chunks.map((c) => new Item(c.kind, c.sizeBytes, 1, c.src, c.at, here))
  return encodeList(bare).canonical
}
