// Reading trees. Path order is depth first, the children of a directory in byte order of their names:
// `comparePaths`, which is byte order of whole paths with "/" before every other byte.

import { ROOT } from '../../model/path.ts'
import type { Path } from '../../model/path.ts'
import { joinPath } from '../../model/path.ts'
import type { TreeRef } from '../../model/tree-ref.ts'
import { Ahead } from './ahead.ts'
import { childAt, leaves } from './directory.ts'
import { isInner } from './node.ts'
import { entryOf, fileEntryOf, itemOfRef } from './entries.ts'
import { DIR, Item } from './item.ts'
import { lowerBound } from './node.ts'
import type { DirNode } from './item.ts'
import type { InnerNode } from './node.ts'
import type { FileEntry, TreeEntry } from '../objects.ts'
import type { PackStore } from '../store.ts'
import { must } from '../../base/assert.ts'
import { compareUtf8 } from '../../base/bytes.ts'

/** The order of `walk`, `glob` and `diff`. */
export function comparePaths(a: string, b: string): number {
  const left = a.split('/')
  const right = b.split('/')
  for (let i = 0; i < left.length && i < right.length; i++) {
    const order = compareUtf8(left[i] as string, right[i] as string)
    if (order !== 0) return order
  }
  return left.length - right.length
}

/** The root as an item that knows what it holds; undefined: an empty tree. */
export async function rootItem(store: PackStore, root: TreeRef | null): Promise<Item | undefined> {
  if (root === null) return undefined
  const item = itemOfRef(root)
  const node = await store.node(item)
  const of = isInner(node) ? node.branches.map(({ item }) => item) : node.items
  if (of.length === 0) return undefined
  const sizeBytes = of.reduce((sum, one) => sum + one.sizeBytes, 0)
  const files = of.reduce((sum, one) => sum + one.files, 0)
  if (item.kind !== DIR) return item
  return new Item(DIR, sizeBytes, files, item.src, item.at, item.place)
}

/** What is at a path; undefined: nothing. The root of an empty tree is nothing. */
export async function find(
  store: PackStore,
  root: TreeRef | null,
  path: string,
): Promise<Item | undefined> {
  if (path === ROOT) return rootItem(store, root)
  if (root === null) return undefined
  let item: Item | undefined = itemOfRef(root)
  let from = 0
  while (item?.isDir) {
    const slash = path.indexOf('/', from)
    const found = childAt(store, item, slash < 0 ? path.slice(from) : path.slice(from, slash))
    item = found instanceof Promise ? await found : found
    if (slash < 0) return item
    from = slash + 1
  }
  return undefined
}

export async function* list(
  store: PackStore,
  root: TreeRef | null,
  path: Path,
  options: { after?: string; limit?: number } = {},
): AsyncGenerator<TreeEntry> {
  const item = await find(store, root, path)
  if (!item?.isDir) return
  const { after, limit = Infinity } = options
  let left = limit
  if (left <= 0) return
  for await (const { names, items } of leaves(store, item, after)) {
    let i = after === undefined ? 0 : lowerBound(names, after)
    if (names[i] === after) i++
    for (; i < items.length; i++) {
      const name = must(names[i], 'name')
      yield entryOf(store.ids, joinPath(path, name), must(items[i], name))
      if (--left === 0) return
    }
  }
}

/** All files below a path. */
export function walk(
  store: PackStore,
  root: TreeRef | null,
  path: Path,
): AsyncIterableIterator<FileEntry> {
  return new OneByOne(walked(store, root, path))
}

async function* walked(
  store: PackStore,
  root: TreeRef | null,
  path: Path,
): AsyncGenerator<readonly FileEntry[], undefined> {
  const item = await find(store, root, path)
  if (item) yield* someBelow(store, path, item)
  return undefined
}

/** The item itself if it is a file, else all files below it. */
export function filesBelow(
  store: PackStore,
  path: Path,
  item: Item,
): AsyncIterableIterator<FileEntry> {
  return new OneByOne(someBelow(store, path, item))
}

const BATCH = 512

/** As `filesBelow`, many at a time. */
async function* someBelow(
  store: PackStore,
  path: Path,
  item: Item,
): AsyncGenerator<readonly FileEntry[], undefined> {
  if (!item.isDir) {
    yield [fileEntryOf(store.ids, path, item)]
    return undefined
  }
  let files: FileEntry[] = []
  // An explicit stack: nested generators would hand every file up through every level.
  const open = [new Opened(store, path, await store.node(item))]
  for (let top = open.at(-1); top; top = open.at(-1)) {
    const i = top.at++
    const child = top.items[i]
    if (!child) {
      open.pop()
      continue
    }
    const { names } = top
    const childPath = names ? joinPath(top.path, names[i] as string) : top.path
    if (child.isDir) {
      const node = top.ahead.node(i)
      open.push(new Opened(store, childPath, node instanceof Promise ? await node : node))
    } else files.push(fileEntryOf(store.ids, childPath, child))
    if (files.length < BATCH) continue
    yield files
    files = []
  }
  if (files.length > 0) yield files
  return undefined
}

/** A node on the way to the one that is looked at; of a large directory's without names. */
class Opened {
  readonly path: Path
  readonly names: readonly string[] | undefined
  readonly items: readonly Item[]
  readonly ahead: Ahead
  at = 0

  constructor(store: PackStore, path: Path, node: DirNode | InnerNode) {
    this.path = path
    this.names = isInner(node) ? undefined : node.names
    this.items = isInner(node) ? node.branches.map((branch) => branch.item) : node.items
    this.ahead = new Ahead(store, this.items)
  }
}

/** For whoever waits for each, far cheaper than a generator; like it, not to be asked twice at the same time. */
class OneByOne<T> implements AsyncIterableIterator<T, undefined> {
  readonly #batches: AsyncGenerator<readonly T[], undefined>
  #batch: readonly T[] = []
  #at = 0

  constructor(batches: AsyncGenerator<readonly T[], undefined>) {
    this.#batches = batches
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return this.#at < this.#batch.length
      ? Promise.resolve({ done: false, value: this.#batch[this.#at++] as T })
      : this.#more()
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.#batch = []
    await this.#batches.return(undefined)
    return { done: true, value: undefined }
  }

  async #more(): Promise<IteratorResult<T, undefined>> {
    const next = await this.#batches.next()
    if (next.done) return next
    this.#batch = next.value
    this.#at = 0
    return this.next()
  }
}
