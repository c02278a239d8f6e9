// Reading trees. Path order is depth first, the children of a directory in byte order of their names:
// `comparePaths`, which is byte order of whole paths with "/" before every other byte.

import { ROOT } from '../model/path.ts'
import type { Path } from '../model/path.ts'
import { joinPath } from '../model/path.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { childAt, isInner, leaves } from './directory.ts'
import { entryOf, fileEntryOf, itemOfRef } from './entries.ts'
import { DIR, Item, lowerBound } from './node.ts'
import type { DirNode, InnerNode } from './node.ts'
import type { FileEntry, TreeEntry } from './objects.ts'
import type { PackStore } from './store.ts'
import { must } from '../base/assert.ts'
import { compareUtf8 } from '../base/bytes.ts'

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
  const { src, at, place } = itemOfRef(root)
  const node = await store.node(itemOfRef(root))
  const of = isInner(node) ? node.branches.map(({ item }) => item) : node.items
  if (of.length === 0) return undefined
  const sizeBytes = of.reduce((sum, one) => sum + one.sizeBytes, 0)
  const files = of.reduce((sum, one) => sum + one.files, 0)
  return new Item(DIR, sizeBytes, files, src, at, place)
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

export async function* walk(
  store: PackStore,
  root: TreeRef | null,
  path: Path,
): AsyncGenerator<FileEntry> {
  const item = await find(store, root, path)
  if (item) yield* filesBelow(store, path, item)
}

/** The item itself if it is a file, else all files below it. */
export async function* filesBelow(
  store: PackStore,
  path: Path,
  item: Item,
): AsyncGenerator<FileEntry> {
  if (!item.isDir) {
    yield fileEntryOf(store.ids, path, item)
    return
  }
  // An explicit stack: nested generators would hand every file up through every level.
  const open: { readonly path: Path; readonly node: DirNode | InnerNode; at: number }[] = []
  open.push({ path, node: await store.node(item), at: 0 })
  for (let top = open.at(-1); top; top = open.at(-1)) {
    const i = top.at++
    if (isInner(top.node)) {
      const branch = top.node.branches[i]
      if (branch) open.push({ path: top.path, node: await store.node(branch.item), at: 0 })
      else open.pop()
      continue
    }
    const child = top.node.items[i]
    if (!child) {
      open.pop()
      continue
    }
    const childPath = joinPath(top.path, top.node.names[i] as string)
    if (child.isDir) open.push({ path: childPath, node: await store.node(child), at: 0 })
    else yield fileEntryOf(store.ids, childPath, child)
  }
}
