// Reading trees. Path order is depth first, the children of a directory in byte order of their names:
// `comparePaths`, which is byte order of whole paths with "/" before every other byte.

import { ROOT } from '../model/path.ts'
import type { Path } from '../model/path.ts'
import { joinPath } from '../model/path.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { entryOf, fileEntryOf, itemOfRef } from './entries.ts'
import { childOf, DIR, Item, lowerBound } from './node.ts'
import type { DirNode } from './node.ts'
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
  const item = itemOfRef(root)
  const node = await store.dir(item)
  if (node.items.length === 0) return undefined
  return new Item(DIR, node.sizeBytes, node.files, item.src, item.at, item.place)
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
    const cached: DirNode | Promise<DirNode> = store.dir(item)
    const node: DirNode = cached instanceof Promise ? await cached : cached
    const slash = path.indexOf('/', from)
    item = childOf(node, slash < 0 ? path.slice(from) : path.slice(from, slash))
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
  const node = await store.dir(item)
  const { after, limit = Infinity } = options
  let i = after === undefined ? 0 : lowerBound(node.names, after)
  if (node.names[i] === after) i++
  const end = Math.min(node.items.length, i + limit)
  for (; i < end; i++) {
    const name = must(node.names[i], 'name')
    yield entryOf(store.ids, joinPath(path, name), must(node.items[i], name))
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
  const open: { readonly path: Path; readonly node: DirNode; at: number }[] = []
  open.push({ path, node: await store.dir(item), at: 0 })
  for (let top = open.at(-1); top; top = open.at(-1)) {
    const i = top.at++
    const child = top.node.items[i]
    if (!child) {
      open.pop()
      continue
    }
    const childPath = joinPath(top.path, top.node.names[i] as string)
    if (child.isDir) open.push({ path: childPath, node: await store.dir(child), at: 0 })
    else yield fileEntryOf(store.ids, childPath, child)
  }
}
