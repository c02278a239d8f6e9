// The list of a big file's chunks: a tree whose shape is a pure function of the chunks, as directories are
// (prolly.ts), but cut by the chunks' own ids and found by offset.
//
// Invariants:
// - every cell, of a chunk or of a node, weighs CELL_BYTES; WHOLE_CHUNKS chunks or fewer are one node;
// - otherwise a node ends where `Splitter` cuts, which begins anew there: so a stretch of cells that begins
//   behind a cut makes the same nodes in any list, and whole subtrees are taken over as they lie;
// - the root is the node of the lowest level that has one node only.

import { must } from '../../base/assert.ts'
import type { Item } from '../trees/item.ts'
import type { ListBranch, ListNode } from './list-node.ts'
import { isListInner } from './list-node.ts'
import { Splitter, WHOLE_BYTES } from '../trees/prolly.ts'

const CELL_BYTES = 36
const WHOLE_CHUNKS: number = Math.floor(WHOLE_BYTES / CELL_BYTES)

/** Where list nodes lie. */
export interface ReadLists {
  listNode(list: Item): ListNode | Promise<ListNode>
}

export interface SaveLists {
  saveList(node: ListNode, sizeBytes: number): Item
}

/** A level while it is written. */
class Level {
  readonly splitter = new Splitter()
  cells: (Item | ListBranch)[] = []
  /** Nodes that ended, and a guess too high where a subtree of a higher level was taken over. */
  nodes = 0
}

/** Makes the list of chunks that come in order; of its nodes it holds the one being filled of each level. */
export class ListBuilder {
  readonly #store: SaveLists & ReadLists
  readonly #levels: Level[] = [new Level()]
  #chunks = 0
  #sizeBytes = 0
  #kept: ListBranch | undefined

  constructor(store: SaveLists & ReadLists) {
    this.#store = store
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** The one chunk there is so far. */
  get only(): Item | undefined {
    return this.#chunks === 1 ? (this.#level(0).cells[0] as Item) : undefined
  }

  get isEmpty(): boolean {
    return this.#chunks === 0
  }

  add(chunk: Item): void {
    this.#chunks++
    this.#sizeBytes += chunk.sizeBytes
    const level = this.#level(0)
    if (this.#chunks <= WHOLE_CHUNKS) {
      level.cells.push(chunk)
      return
    }
    if (this.#chunks === WHOLE_CHUNKS + 1)
      for (const held of level.cells.splice(0)) this.#push(0, held, held as Item)
    this.#push(0, chunk, chunk)
  }

  /** Whether a node of this level, and all below it, stands here as it stood in another list. */
  isCut(level: number): boolean {
    if (this.#chunks <= WHOLE_CHUNKS) return false
    for (let i = 0; i <= level; i++) if (this.#level(i).cells.length > 0) return false
    return true
  }

  /** Takes over a node that ends with a cut; only where `isCut`. */
  keep(branch: ListBranch): void {
    this.#chunks += branch.chunks
    this.#sizeBytes += branch.item.sizeBytes
    // It may have one node below it, or many: `#lowest` looks when it comes to that.
    for (let i = 0; i < branch.level; i++) this.#level(i).nodes += 2
    this.#kept = branch
    this.#ended(branch)
  }

  /** The list, of two chunks or more. */
  async end(): Promise<Item> {
    for (let i = 0; ; i++) {
      const level = this.#level(i)
      if (level.cells.length > 0) this.#close(i)
      if (level.nodes === 1) return this.#lowest(this.#level(i + 1).cells[0] as ListBranch)
    }
  }

  /** Nodes made here have more than one below them; of one taken over nobody knows. */
  async #lowest(branch: ListBranch): Promise<Item> {
    let root = branch
    if (root !== this.#kept) return root.item
    while (root.level > 0) {
      const node = await this.#store.listNode(root.item)
      if (!isListInner(node) || node.branches.length > 1) break
      root = must(node.branches[0], 'branch')
    }
    return root.item
  }

  #push(level: number, cell: Item | ListBranch, { src, at }: Item): void {
    const to = this.#level(level)
    to.cells.push(cell)
    const hash = new DataView(src.buffer, src.byteOffset + at, 4).getUint32(0)
    if (to.splitter.add(hash, CELL_BYTES)) this.#close(level)
  }

  #close(level: number): void {
    const cells = this.#level(level).cells.splice(0)
    const node = (level === 0 ? { level, chunks: cells } : { level, branches: cells }) as ListNode
    const items = level === 0 ? (cells as Item[]) : (cells as ListBranch[]).map((one) => one.item)
    const sizeBytes = items.reduce((sum, one) => sum + one.sizeBytes, 0)
    const chunks =
      level === 0 ? cells.length : (cells as ListBranch[]).reduce((sum, one) => sum + one.chunks, 0)
    this.#ended({ level, chunks, item: this.#store.saveList(node, sizeBytes) })
  }

  #ended(branch: ListBranch): void {
    this.#level(branch.level).nodes++
    this.#push(branch.level + 1, branch, branch.item)
  }

  #level(level: number): Level {
    return (this.#levels[level] ??= new Level())
  }
}

/** Neighbouring chunks of a list. */
export interface ChunkRun {
  readonly chunks: readonly Item[]
  /** Of the first, in the file. */
  readonly offset: number
}

/** All chunks that hold a byte of [from, to), a leaf's at a time. */
export async function* chunksBetween(
  store: ReadLists,
  list: Item,
  from: number,
  to: number,
  start = 0,
): AsyncGenerator<ChunkRun> {
  const node = await store.listNode(list)
  let at = start
  if (isListInner(node)) {
    for (const { item } of node.branches) {
      if (at >= to) return
      if (at + item.sizeBytes > from) yield* chunksBetween(store, item, from, to, at)
      at += item.sizeBytes
    }
    return
  }
  let offset = start
  const chunks: Item[] = []
  for (const chunk of node.chunks) {
    if (at >= to) break
    at += chunk.sizeBytes
    if (at <= from) offset = at
    else chunks.push(chunk)
  }
  if (chunks.length > 0) yield { chunks, offset }
}

/** All chunks from the `first` on, counted from 0. */
export async function* chunksFrom(
  store: ReadLists,
  list: Item,
  first: number,
): AsyncGenerator<Item> {
  const node = await store.listNode(list)
  if (!isListInner(node)) {
    yield* node.chunks.slice(first)
    return
  }
  let skip = first
  for (const { chunks, item } of node.branches) {
    if (skip < chunks) yield* chunksFrom(store, item, skip)
    skip = Math.max(0, skip - chunks)
  }
}
