// What a stored node names. Whoever walks everything that is reachable asks here, so this is the one
// place that knows every form of node.

import { CHUNK, INLINE, LIST } from './item.ts'
import type { Item } from './item.ts'
import { isListInner } from '../files/list-node.ts'
import { isInner } from './node.ts'
import type { PackStore } from '../store.ts'

export interface Children {
  /** Directories and parts of them, lists and parts of them: they lie somewhere and name others in turn. */
  readonly nodes: readonly Item[]
  readonly chunks: readonly Item[]
  /** Files of a directory, with their content: inline, one chunk or a list. */
  readonly files: readonly Item[]
}

/** @throws VarveError CORRUPT, UNAVAILABLE */
export async function childrenOf(store: PackStore, item: Item): Promise<Children> {
  if (item.kind === LIST) {
    const list = await store.listNode(item)
    if (!isListInner(list)) return { nodes: [], chunks: list.chunks, files: [] }
    return { nodes: list.branches.map((each) => each.item), chunks: [], files: [] }
  }
  const node = await store.node(item)
  if (isInner(node)) return { nodes: node.branches.map((each) => each.item), chunks: [], files: [] }
  const nodes: Item[] = []
  const chunks: Item[] = []
  const files: Item[] = []
  const add = (each: Item): void => {
    // In runs: content that is to be put together.
    for (const part of each.parts) add(part)
    // A small directory lies here.
    for (const inner of each.rare.dir?.node.items ?? []) add(inner)
    if ((each.isDir && each.place) || each.kind === LIST) nodes.push(each)
    else if (each.kind === CHUNK) chunks.push(each)
    if (each.isFile && each.kind >= INLINE) files.push(each)
  }
  for (const each of node.items) add(each)
  return { nodes, chunks, files }
}

export interface NamedChild {
  /** Of the entry; undefined: a part of the same directory or file. */
  readonly name: string | undefined
  /** A chunk, or a directory or list with children of its own. */
  readonly item: Item
}

/** As `childrenOf`, of who wants to say what a child is called. @throws VarveError CORRUPT, UNAVAILABLE */
export async function namedChildrenOf(
  store: PackStore,
  item: Item,
): Promise<readonly NamedChild[]> {
  const part = (each: Item): NamedChild => ({ name: undefined, item: each })
  if (item.kind === LIST) {
    const list = await store.listNode(item)
    return isListInner(list) ? list.branches.map((each) => part(each.item)) : list.chunks.map(part)
  }
  const node = await store.node(item)
  if (isInner(node)) return node.branches.map((each) => part(each.item))
  const children: NamedChild[] = []
  const add = (name: string | undefined, each: Item): void => {
    for (const one of each.parts) add(name, one)
    if (each.isDir || each.place) children.push({ name, item: each })
  }
  const { names } = node
  for (const [i, each] of node.items.entries()) add(names[i], each)
  return children
}
