// Directories of any size over the store: the tree of prolly.ts with entries in its leaves. A small one is
// one leaf; callers that need all of it at once hold it, the others go from leaf to leaf.

import { assert, must } from '../../base/assert.ts'
import { compareUtf8 } from '../../base/bytes.ts'
import { Ahead } from './ahead.ts'
import { differences } from './differences.ts'
import type { Difference } from './differences.ts'
import type { Batches } from './feed.ts'
import { nameHash } from './name-hash.ts'
import { sameItem } from './item.ts'
import {
  branchBytes,
  childOf,
  DirBranch,
  dirNode,
  EMPTY_DIR,
  entryBytes,
  isInner,
  lowerBound,
  smallDir,
} from './node.ts'
import type { DirNode, Item } from './item.ts'
import type { InnerNode } from './node.ts'
import { editedBy, placeOf } from './prolly.ts'
import type { Cell, Edit, Nodes, ReadNodes } from './prolly.ts'
import type { Sink } from '../changes/sink.ts'
import type { PackStore } from '../store.ts'

/** A directory whose entries have no more together stands in the one above it, with all it holds. */
const SMALL_DIR_BYTES = 8 * 1024

/** Nodes as prolly.ts reads them. */
class StoredNodes implements ReadNodes<Item, DirBranch> {
  readonly #store: PackStore

  constructor(store: PackStore) {
    this.#store = store
  }

  async cells(leaf: DirBranch): Promise<readonly Cell<Item>[]> {
    const node = await this.#store.node(leaf.item)
    assert(!isInner(node), 'a leaf')
    return node.names.map((name, i) => ({ name, value: node.items[i] as Item }))
  }

  async branches(inner: DirBranch): Promise<readonly Cell<DirBranch>[]> {
    const node = await this.#store.node(inner.item)
    assert(isInner(node), 'branches')
    return node.branches.map((value) => ({ name: value.name, value }))
  }
}

/** Stores what of a directory is new; nodes that were read are taken as they lie. */
class SavedNodes extends StoredNodes implements Nodes<Item, DirBranch> {
  readonly #splitSeed: number
  readonly #sink: Sink
  readonly #were = new Map<string, Item>()

  constructor(store: PackStore, sink: Sink) {
    super(store)
    this.#splitSeed = store.splitSeed
    this.#sink = sink
  }

  override cells(leaf: DirBranch): Promise<readonly Cell<Item>[]> {
    if (leaf.id) this.#were.set(leaf.id, leaf.item)
    return super.cells(leaf)
  }

  override branches(inner: DirBranch): Promise<readonly Cell<DirBranch>[]> {
    if (inner.id) this.#were.set(inner.id, inner.item)
    return super.branches(inner)
  }

  saveWhole(cells: readonly Cell<Item>[], bytes: number): DirBranch {
    return this.#leaf(cells, bytes, (node) =>
      bytes <= SMALL_DIR_BYTES ? smallDir(node) : this.#sink.dir(node, this.#were),
    )
  }

  saveCells(cells: readonly Cell<Item>[], bytes: number): DirBranch {
    return this.#leaf(cells, bytes, (node) => this.#sink.dir(node, this.#were))
  }

  #leaf(cells: readonly Cell<Item>[], bytes: number, save: (node: DirNode) => Item): DirBranch {
    const names: string[] = []
    const items: Item[] = []
    for (const cell of cells) {
      names.push(cell.name)
      items.push(cell.value)
    }
    const item = save(dirNode(names, items))
    return new DirBranch(must(names.at(-1), 'name'), 0, bytes, item)
  }

  saveBranches(level: number, cells: readonly Cell<DirBranch>[]): DirBranch {
    const branches = cells.map(({ value }) => value)
    const marks = branches.some(({ item }) => item.isMark)
    const item = this.#sink.inner({ level, branches, marks, replaces: false }, this.#were)
    const bytes = branches.reduce((sum, { cellBytes }) => sum + cellBytes, 0)
    return new DirBranch(must(branches.at(-1), 'branch').name, level, bytes, item)
  }

  cellBytes({ name, value }: Cell<Item>): number {
    return entryBytes(name, value)
  }

  branchBytes({ value }: Cell<DirBranch>): number {
    return branchBytes(value)
  }

  hash(level: number, name: string): number {
    return nameHash(this.#splitSeed, level, name)
  }
}

/**
 * Stores a directory with the edits, in order of their names; undefined: it has no entries then. Before a
 * batch of them comes, every place is known that it names (`sink.settle`).
 */
export async function storeDir(
  store: PackStore,
  sink: Sink,
  was: Item | undefined,
  edits: Batches<Edit<Item>>,
): Promise<Item | undefined> {
  const nodes = new SavedNodes(store, sink)
  const root = was && (await openRoot(store, was))
  return (await editedBy(nodes, root, edits))?.item
}

/** The root of a directory's tree; undefined: it has no entries. */
async function openRoot(store: PackStore, item: Item): Promise<DirBranch | undefined> {
  const node = await store.node(item)
  if (!isInner(node)) {
    const name = node.names.at(-1)
    if (name === undefined) return undefined
    const bytes = node.names.reduce(
      (sum, one, i) => sum + entryBytes(one, node.items[i] as Item),
      0,
    )
    return new DirBranch(name, 0, bytes, item)
  }
  const bytes = node.branches.reduce((sum, one) => sum + one.cellBytes, 0)
  return new DirBranch(must(node.branches.at(-1), 'branch').name, node.level, bytes, item)
}

/**
 * Leaves in order, from the one on that holds the first name above `after`.
 * @param most how many are fetched ahead
 */
export async function* leaves(
  store: PackStore,
  item: Item,
  after?: string,
  most?: number,
): AsyncGenerator<DirNode> {
  yield* leavesOf(store, await store.node(item), after, most)
}

async function* leavesOf(
  store: PackStore,
  node: DirNode | InnerNode,
  after: string | undefined,
  most: number | undefined,
): AsyncGenerator<DirNode> {
  if (!isInner(node)) {
    yield node
    return
  }
  const items = node.branches.map((branch) => branch.item)
  const ahead = new Ahead(store, items, most)
  for (let i = after === undefined ? 0 : placeOf(node.branches, after, true); i < items.length; i++)
    yield* leavesOf(store, await ahead.node(i), after, most)
}

/** The leaf that has a name of a directory, if it has it: at once where nodes are cached. */
function leafAt(
  store: PackStore,
  dir: Item,
  name: string,
): DirNode | undefined | Promise<DirNode | undefined> {
  const node = store.node(dir)
  return node instanceof Promise
    ? node.then((loaded) => leafIn(store, loaded, name))
    : leafIn(store, node, name)
}

function leafIn(
  store: PackStore,
  node: DirNode | InnerNode,
  name: string,
): DirNode | undefined | Promise<DirNode | undefined> {
  if (!isInner(node)) return node
  const next = node.branches[placeOf(node.branches, name)]
  return next && leafAt(store, next.item, name)
}

/** What a directory has at a name: at once where its nodes are cached. */
export function childAt(
  store: PackStore,
  dir: Item,
  name: string,
): Item | undefined | Promise<Item | undefined> {
  const leaf = leafAt(store, dir, name)
  if (leaf instanceof Promise) return leaf.then((node) => node && childOf(node, name))
  return leaf && childOf(leaf, name)
}

/** Looks names up in their order: what is behind is not looked at again. */
export class Lookup {
  readonly #store: PackStore
  #dir: Item | undefined
  #leaf: DirNode = EMPTY_DIR
  #at = 0

  constructor(store: PackStore, dir: Item | undefined) {
    this.#store = store
    this.#dir = dir
  }

  /** What the directory has there. */
  at(name: string): Item | undefined | Promise<Item | undefined> {
    const { names, items } = this.#leaf
    this.#at = lowerBound(names, name, this.#at)
    if (this.#at < names.length) return names[this.#at] === name ? items[this.#at] : undefined
    if (!this.#dir) return undefined
    const leaf = leafAt(this.#store, this.#dir, name)
    return leaf instanceof Promise
      ? leaf.then((node) => this.#in(node, name))
      : this.#in(leaf, name)
  }

  #in(leaf: DirNode | undefined, name: string): Item | undefined {
    this.#leaf = leaf ?? EMPTY_DIR
    this.#at = lowerBound(this.#leaf.names, name)
    if (this.#at >= this.#leaf.names.length) this.#dir = undefined
    return this.#leaf.names[this.#at] === name ? this.#leaf.items[this.#at] : undefined
  }
}

/** What a node's own entries come to: of an inner node its branches. */
export function sizesOf(node: DirNode | InnerNode): {
  readonly entries: number
  readonly files: number
  readonly bytes: number
} {
  const of = isInner(node) ? node.branches.map(({ item }) => item) : node.items
  let files = 0
  let bytes = 0
  for (const item of of) {
    files += item.files
    bytes += item.sizeBytes
  }
  return { entries: of.length, files, bytes }
}

/** One name on both sides, where they differ. */
export type Pair = Difference<Item>

/** The children that differ, in byte order of their names; what is no directory has none. */
export async function* differing(
  store: PackStore,
  a: Item | undefined,
  b: Item | undefined,
): AsyncGenerator<Pair> {
  const [old, now] = await Promise.all([nodeOf(store, a), nodeOf(store, b)])
  if (!isInner(old) && !isInner(now)) {
    yield* differingLeaves(old, now)
    return
  }
  const root = async (item: Item | undefined): Promise<DirBranch | undefined> =>
    item?.isDir ? openRoot(store, item) : undefined
  yield* differences(new StoredNodes(store), await root(a), await root(b), sameItem)
}

function nodeOf(
  store: PackStore,
  item: Item | undefined,
): DirNode | InnerNode | Promise<DirNode | InnerNode> {
  return item?.isDir ? store.node(item) : EMPTY_DIR
}

function* differingLeaves(a: DirNode, b: DirNode): Generator<Pair> {
  let i = 0
  let j = 0
  while (i < a.items.length || j < b.items.length) {
    const order =
      i >= a.items.length
        ? 1
        : j >= b.items.length
          ? -1
          : compareUtf8(must(a.names[i], 'name'), must(b.names[j], 'name'))
    const name = must(order <= 0 ? a.names[i] : b.names[j], 'name')
    const old = order <= 0 ? a.items[i++] : undefined
    const now = order >= 0 ? b.items[j++] : undefined
    if (!sameItem(old, now)) yield { name, old, new: now }
  }
}
