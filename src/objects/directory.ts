// Directories of any size over the store: the tree of prolly.ts with entries in its leaves. A small one is
// one leaf; callers that need all of it at once hold it, the others go from leaf to leaf.

import { assert, must } from '../base/assert.ts'
import { compareUtf8 } from '../base/bytes.ts'
import { nameHash } from './name-hash.ts'
import {
  branchBytes,
  childOf,
  DirBranch,
  dirNode,
  EMPTY_DIR,
  entryBytes,
  MARKED,
  sameItem,
} from './node.ts'
import type { DirNode, InnerNode, Item } from './node.ts'
import { differences, edited, placeOf } from './prolly.ts'
import type { Cell, Edit, Nodes, ReadNodes } from './prolly.ts'
import type { Sink } from './sink.ts'
import type { PackStore } from './store.ts'

export function isInner(node: DirNode | InnerNode): node is InnerNode {
  return 'branches' in node
}

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
    this.#were.set(leaf.id, leaf.item)
    return super.cells(leaf)
  }

  override branches(inner: DirBranch): Promise<readonly Cell<DirBranch>[]> {
    this.#were.set(inner.id, inner.item)
    return super.branches(inner)
  }

  saveCells(cells: readonly Cell<Item>[]): DirBranch {
    const names: string[] = []
    const items: Item[] = []
    let bytes = 0
    for (const cell of cells) {
      names.push(cell.name)
      items.push(cell.value)
      bytes += this.cellBytes(cell)
    }
    const item = this.#sink.dir(dirNode(names, items), this.#were)
    return new DirBranch(must(names.at(-1), 'name'), 0, bytes, item)
  }

  saveBranches(level: number, cells: readonly Cell<DirBranch>[]): DirBranch {
    const branches = cells.map(({ value }) => value)
    const marks = branches.some(({ item }) => item.kind === MARKED)
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
 * Stores a directory with the edits, in order of their names; undefined: it has no entries then. Call
 * `sink.settle` before.
 */
export async function storeDir(
  store: PackStore,
  sink: Sink,
  was: Item | undefined,
  edits: readonly Edit<Item>[],
): Promise<Item | undefined> {
  if (edits.length === 0) return was
  const nodes = new SavedNodes(store, sink)
  const root = was && (await openRoot(store, was))
  return (await edited(nodes, root, edits))?.item
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

/** Leaves in order, from the one on that holds the first name above `after`. */
export async function* leaves(
  store: PackStore,
  item: Item,
  after?: string,
): AsyncGenerator<DirNode> {
  const node = await store.node(item)
  if (!isInner(node)) {
    yield node
    return
  }
  for (const branch of node.branches)
    if (after === undefined || compareUtf8(branch.name, after) > 0)
      yield* leaves(store, branch.item, after)
}

/** What a directory has at a name: at once where its nodes are cached. */
export function childAt(
  store: PackStore,
  dir: Item,
  name: string,
): Item | undefined | Promise<Item | undefined> {
  let item = dir
  for (;;) {
    const node = store.node(item)
    if (node instanceof Promise) return node.then(() => childAt(store, item, name))
    if (!isInner(node)) return childOf(node, name)
    const next = node.branches[placeOf(node.branches, name)]
    if (!next) return undefined
    item = next.item
  }
}

/** All of a directory at once. */
export async function wholeDir(store: PackStore, item: Item): Promise<DirNode> {
  const node = await store.node(item)
  if (!isInner(node)) return node
  const names: string[] = []
  const items: Item[] = []
  for await (const leaf of leaves(store, item)) {
    for (const name of leaf.names) names.push(name)
    for (const one of leaf.items) items.push(one)
  }
  return dirNode(names, items, node.replaces)
}

/** One name on both sides, where they differ. */
export interface Pair {
  readonly name: string
  readonly old: Item | undefined
  readonly new: Item | undefined
}

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
