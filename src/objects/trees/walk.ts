// Reading trees. Path order is depth first, the children of a directory in byte order of their names:
// `comparePaths`, which is byte order of whole paths with "/" before every other byte.

import { ROOT } from '../../model/path.ts'
import type { Path } from '../../model/path.ts'
import type { TreeRef } from '../../model/tree-ref.ts'
import { Ahead, below } from './ahead.ts'
import { childAt, leaves, sizesOf } from './directory.ts'
import { hasAt, isInner, placeIn } from './node.ts'
import { entryAt, fileEntryAt, fileEntryOf, itemOfRef } from './entries.ts'
import { DIR, isDirKind, Item } from './item.ts'
import type { DirNode } from './item.ts'
import type { InnerNode } from './node.ts'
import type { FileEntry, TreeEntry } from '../objects.ts'
import type { PackStore } from '../store.ts'
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
  const { entries, files, bytes: sizeBytes } = sizesOf(node)
  if (entries === 0) return undefined
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
  const prefix = prefixOf(path)
  for await (const node of leaves(store, item, after)) {
    let i = after === undefined ? 0 : placeIn(node, after)
    if (after !== undefined && hasAt(node, i, after)) i++
    for (; i < node.count; i++) {
      yield entryAt(store.ids, (prefix + node.passingNameAt(i)) as Path, node, i)
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
  const open = [new Opened(store, prefixOf(path), await store.node(item))]
  for (let top = open.at(-1); top; top = open.at(-1)) {
    const { node } = top
    if (top.at === top.ahead.count) {
      open.pop()
      continue
    }
    const i = top.at++
    if (isInner(node)) open.push(new Opened(store, top.prefix, await top.ahead.node(i)))
    else {
      const child = (top.prefix + node.passingNameAt(i)) as Path
      if (isDirKind(node.kindAt(i))) {
        const below = top.ahead.node(i)
        const opened = below instanceof Promise ? await below : below
        open.push(new Opened(store, prefixOf(child), opened))
      } else files.push(fileEntryAt(store.ids, child, node, i))
    }
    if (files.length < BATCH) continue
    yield files
    files = []
  }
  if (files.length > 0) yield files
  return undefined
}

/** What stands before the names in a directory. */
function prefixOf(path: Path): string {
  return path === ROOT ? '' : `${path}/`
}

/** A node on the way to the one that is looked at. */
class Opened {
  readonly prefix: string
  readonly node: DirNode | InnerNode
  readonly ahead: Ahead
  at = 0

  constructor(store: PackStore, prefix: string, node: DirNode | InnerNode) {
    this.prefix = prefix
    this.node = node
    this.ahead = new Ahead(store, below(node))
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
