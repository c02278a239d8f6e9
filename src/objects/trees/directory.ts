// Directories of any size over the store: the tree of prolly.ts with entries in its leaves. A small one is
// one leaf; callers that need all of it at once hold it, the others go from leaf to leaf.

import { assert, must } from '../../base/assert.ts'
import { compareUtf8 } from '../../base/bytes.ts'
import { Ahead, below } from './ahead.ts'
import { differences } from './differences.ts'
import type { Difference } from './differences.ts'
import type { Batches } from './feed.ts'
import { nameHash } from './name-hash.ts'
import { sameItem } from './item.ts'
import {
  branchBytes,
  childOf,
  DirBranch,
  EMPTY_DIR,
  entriesOf,
  entryBytes,
  hasAt,
  isInner,
  madeDir,
  placeIn,
  smallDir,
} from './node.ts'
import type { DirNode, Item } from './item.ts'
import { Leaf, LeafEntry } from './leaf.ts'
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
    return entriesOf(node)
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
  readonly #from: PackStore
  readonly #were = new Map<string, Item>()

  constructor(store: PackStore, sink: Sink) {
    super(store)
    this.#from = store
    this.#splitSeed = store.splitSeed
    this.#sink = sink
  }

  override async cells(leaf: DirBranch): Promise<readonly Cell<Item>[]> {
    await this.#read(leaf)
    return super.cells(leaf)
  }

  override async branches(inner: DirBranch): Promise<readonly Cell<DirBranch>[]> {
    await this.#read(inner)
    return super.branches(inner)
  }

  /** Of one that was purged of something: what equals it as it was lies there no more. */
  async #read({ id, item }: DirBranch): Promise<void> {
    if (id && !this.#from.isRedacted(await this.#from.node(item))) this.#were.set(id, item)
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
    const item = save(madeDir(cells))
    return new DirBranch(must(cells.at(-1), 'an entry').name, 0, bytes, item)
  }

  saveBranches(level: number, cells: readonly Cell<DirBranch>[]): DirBranch {
    const branches = cells.map(({ value }) => value)
    const marks = branches.some(({ item }) => item.isMark)
    const item = this.#sink.inner({ level, branches, marks, replaces: false }, this.#were)
    const bytes = branches.reduce((sum, { cellBytes }) => sum + cellBytes, 0)
    return new DirBranch(must(branches.at(-1), 'branch').name, level, bytes, item)
  }

  cellBytes(cell: Cell<Item>): number {
    return entryBytes(cell)
  }

  branchBytes({ value }: Cell<DirBranch>): number {
    return branchBytes(value)
  }

  hash(level: number, cell: { readonly name: string }): number {
    return cell instanceof LeafEntry
      ? cell.leaf.hashAt(this.#splitSeed, level, cell.at)
      : nameHash(this.#splitSeed, level, cell.name)
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
    if (node.count === 0) return undefined
    const name = node.nameAt(node.count - 1)
    let bytes = 0
    for (let i = 0; i < node.count; i++) bytes += node.entryBytesAt(i)
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
  const { branches } = node
  const ahead = new Ahead(store, below(node), most)
  const from = after === undefined ? 0 : placeOf(branches, after, true)
  for (let i = from; i < branches.length; i++)
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
    const leaf = this.#leaf
    this.#at = placeIn(leaf, name, this.#at)
    if (this.#at < leaf.count) return this.#here(name)
    if (!this.#dir) return undefined
    const next = leafAt(this.#store, this.#dir, name)
    return next instanceof Promise
      ? next.then((node) => this.#in(node, name))
      : this.#in(next, name)
  }

  #in(leaf: DirNode | undefined, name: string): Item | undefined {
    this.#leaf = leaf ?? EMPTY_DIR
    this.#at = placeIn(this.#leaf, name)
    if (this.#at >= this.#leaf.count) this.#dir = undefined
    return this.#here(name)
  }

  #here(name: string): Item | undefined {
    return hasAt(this.#leaf, this.#at, name) ? this.#leaf.itemAt(this.#at) : undefined
  }
}

/** What a node's own entries come to: of an inner node its branches. */
export function sizesOf(node: DirNode | InnerNode): {
  readonly entries: number
  readonly files: number
  readonly bytes: number
} {
  if (!isInner(node)) return { entries: node.count, files: node.files, bytes: node.sizeBytes }
  let files = 0
  let bytes = 0
  for (const { item } of node.branches) {
    files += item.files
    bytes += item.sizeBytes
  }
  return { entries: node.branches.length, files, bytes }
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
  while (i < a.count || j < b.count) {
    if (a instanceof Leaf && b instanceof Leaf)
      while (i < a.count && j < b.count && a.isSameAt(i, b, j)) {
        i++
        j++
      }
    const left = i < a.count ? a.nameAt(i) : undefined
    const right = j < b.count ? b.nameAt(j) : undefined
    const name = left ?? right
    if (name === undefined) return
    const order =
      left === undefined
        ? 1
        : right === undefined
          ? -1
          : left === right
            ? 0
            : compareUtf8(left, right)
    const old = order <= 0 ? a.itemAt(i++) : undefined
    const now = order >= 0 ? b.itemAt(j++) : undefined
    if (!sameItem(old, now)) yield { name: order <= 0 ? name : (right as string), old, new: now }
  }
}
