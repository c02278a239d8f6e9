// Finding out what is reachable: from roots down, each node once.
//
// - A node is known by its place, not its id: the same bytes may lie twice, and only one of the two may
//   be what a living tree points at.
// - What was walked stays walked: a second mark with the same marker visits only what is new.
// - Memory: 8 bytes a node, at most three quarters full, up to a limit (`markBytes`, default 192 MiB: 18
//   million nodes, some 500 GB of directories and lists), and the listing. Chunks cost nothing.
// - What cannot be read ends the mark: nothing is collected on half an answer.

import type { TreeRef } from '../../model/tree-ref.ts'
import { must } from '../../base/assert.ts'
import { concat } from '../../base/bytes.ts'
import { childrenOf } from '../trees/children.ts'
import { readContent } from '../files/content.ts'
import { itemOfRef } from '../trees/entries.ts'
import { CHUNK } from '../trees/item.ts'
import type { Item } from '../trees/item.ts'
import { decodePurgeMap } from './redactions.ts'
import { PlaceSet } from '../packs/place-set.ts'
import type { PackStore } from '../store.ts'

/** Something that must not be collected, with all it names. */
export interface Root {
  readonly ref: TreeRef
  /** A chunk by itself; otherwise a tree or a run. */
  readonly chunk?: true
  /** It may not have been written: whoever announced it died before. */
  readonly announced?: true
  /** A chunk that is the map of a purge (redactions.ts): the nodes it names are used, not what is below. */
  readonly map?: true
  /** Of a tree whose files name other trees in their text: what one of them names. */
  readonly names?: (content: Uint8Array) => Iterable<TreeRef>
}

export const MARK_BYTES: number = 192 * 1024 * 1024
/** Nodes read at once. */
const AT_ONCE = 16
/** Of a place, where the files were read as well. */
const FILES_READ = 0x8000_0000

/** What a mark finds goes here. */
export interface Places {
  /** A number for a pack, the same each time. */
  numberOf(pack: string): number
  /** Whether it is there; if not, what was in it may lie elsewhere. */
  has(pack: string): boolean
  use(pack: number, offset: number, length: number): void
}

interface Step {
  readonly item: Item
  readonly names: Root['names']
}

export class Marker {
  readonly #store: PackStore
  readonly #places: Places
  readonly #seen: PlaceSet
  readonly #steps: Step[] = []
  readonly #newer = new Set<string>()
  readonly #watch: ((item: Item) => void) | undefined

  /** @param watch is told of nodes and chunks that are used, some of them often */
  constructor(
    store: PackStore,
    places: Places,
    markBytes = MARK_BYTES,
    watch?: (item: Item) => void,
  ) {
    this.#store = store
    this.#places = places
    this.#watch = watch
    this.#seen = new PlaceSet(markBytes)
  }

  /** Nodes walked so far. */
  get nodes(): number {
    return this.#seen.size
  }

  /** Whether the node that lies there was walked. */
  has(pack: number, offset: number): boolean {
    return this.#seen.has(pack, offset) || this.#seen.has(pack, (offset | FILES_READ) >>> 0)
  }

  /** @throws VarveError CORRUPT, UNAVAILABLE, TOO_LARGE */
  async mark(roots: AsyncIterable<Root>): Promise<void> {
    for await (const root of roots) {
      await this.#begin(root)
      await this.#walk()
    }
  }

  async #begin({ ref, chunk, map, names }: Root): Promise<void> {
    if (ref === this.#store.emptyRef) return
    await (chunk ? this.#use(itemOfRef(ref, CHUNK)) : this.#visit(itemOfRef(ref), names))
    if (!map) return
    const { instead } = decodePurgeMap(await this.#store.chunk(itemOfRef(ref, CHUNK)))
    // What they name is used as long as a tree names them.
    for (const to of instead.values()) await this.#use(itemOfRef(to))
  }

  async #walk(): Promise<void> {
    while (this.#steps.length > 0) {
      const steps = this.#steps.splice(-AT_ONCE)
      await Promise.all(steps.map((step) => this.#step(step)))
    }
  }

  async #step({ item, names }: Step): Promise<void> {
    const { nodes, chunks, files } = await childrenOf(this.#store, item)
    for (const node of nodes) {
      const moved = this.#visit(node, node.isDir ? names : undefined)
      if (moved) await moved
    }
    for (const chunk of chunks) {
      const moved = this.#use(chunk)
      if (moved) await moved
    }
    if (!names) return
    for (const file of files) {
      const content = concat(await Array.fromAsync(readContent(this.#store, file)))
      for (const ref of names(content)) await this.#begin({ ref })
    }
  }

  #visit(named: Item, names: Root['names']): Promise<void> | undefined {
    const item = this.#store.instead(named)
    const { place } = item
    // The empty tree lies nowhere.
    if (!place || place.pack === '-') return undefined
    const pack = this.#places.numberOf(place.pack)
    const read = (place.offset | FILES_READ) >>> 0
    const isNew = names
      ? this.#seen.add(pack, read)
      : !this.#seen.has(pack, read) && this.#seen.add(pack, place.offset)
    if (isNew) this.#steps.push({ item, names })
    return this.#use(item)
  }

  /** A promise only where it has to be asked for. */
  #use(item: Item): Promise<void> | undefined {
    const { place } = item
    if (!place || place.pack === '-') return undefined
    this.#places.use(this.#places.numberOf(place.pack), place.offset, place.length)
    this.#watch?.(item)
    return this.#places.has(place.pack) ? undefined : this.#useMoved(item)
  }

  /**
   * Carried over, or purged of something; or written since the packs were listed, as are then all packs
   * it may be carried over to.
   */
  async #useMoved(item: Item): Promise<void> {
    const { pack: named } = must(item.place, 'a place')
    if (this.#newer.has(named)) return
    if (await this.#store.forwards.isThere(named)) {
      this.#newer.add(named)
      return
    }
    for await (const { pack, offset, length } of this.#store.elsewhere(item)) {
      const n = this.#places.numberOf(pack)
      this.#places.use(n, offset, length)
      if (item.kind !== CHUNK) this.#seen.add(n, offset)
      if (this.#places.has(pack)) return
    }
  }
}
