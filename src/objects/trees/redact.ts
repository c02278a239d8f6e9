// Nodes without what is purged. A directory is otherwise as it was: an entry that held something else
// stays, and so do the ids of all that is not on the way to what goes.
//
// - An entry goes with its name, be it a file or a directory with all below.
// - A small directory, which stands in the node of the one above, is written anew there, and goes when
//   nothing is left in it. One with nodes of its own stays, and may be empty.
// - Names that nodes of branches have of the last entry below give way to the one before it, or to the
//   bound before, or to none: what comes between is looked for in the next leaf, and is not there.
// - Counts and bytes that stand above, in what is not rewritten, stay as they were.

import { must } from '../../base/assert.ts'
import type { Path } from '../../model/path.ts'
import { itemOfRef } from './entries.ts'
import {
  childOf,
  DirBranch,
  dirNode,
  encodeDir,
  encodeInner,
  hasAt,
  isInner,
  placeIn,
  smallDir,
} from './node.ts'
import type { InnerNode } from './node.ts'
import type { DirNode, Item } from './item.ts'
import { placeOf } from './prolly.ts'
import type { TreeRef } from '../../model/tree-ref.ts'
import type { PackStore } from '../store.ts'

/** What came of a node: nothing, or the entry was found below; `last` where its last name is another one now. */
type Cut = { readonly last?: string } | undefined

export class Redaction {
  readonly #store: PackStore
  readonly #found: (item: Item, name: string) => Promise<void>
  /** What nodes are now, by id; `above` has those in which nothing stood, but something below did. */
  readonly nodes = new Map<string, DirNode | InnerNode>()
  readonly above = new Set<string>()
  readonly #done = new Map<string, Cut>()

  /** @param found is told of each entry that goes */
  constructor(store: PackStore, found: (item: Item, name: string) => Promise<void>) {
    this.#store = store
    this.#found = found
  }

  /** Whether the tree had it. @throws VarveError CORRUPT, UNAVAILABLE */
  async take(root: TreeRef, path: Path): Promise<boolean> {
    return (await this.#node(itemOfRef(root), path.split('/'))) !== undefined
  }

  async #node(item: Item, parts: readonly string[]): Promise<Cut> {
    // A place of a path in a tree: the same node is met in thousands of commits.
    const key = `${item.id}/${parts.join('/')}`
    if (this.#done.has(key)) return this.#done.get(key)
    const node = this.nodes.get(item.id) ?? (await this.#store.node(item))
    const cut = isInner(node)
      ? await this.#branches(item, node, parts)
      : await this.#leaf(item, node, parts)
    this.#done.set(key, cut)
    return cut
  }

  async #branches(item: Item, node: InnerNode, parts: readonly string[]): Promise<Cut> {
    const at = placeOf(node.branches, must(parts[0], 'a part'))
    const branch = node.branches[at]
    const cut = branch && (await this.#node(branch.item, parts))
    if (!cut) return undefined
    this.above.add(item.id)
    if (cut.last === undefined) return {}
    const name = cut.last || (node.branches[at - 1]?.name ?? '')
    const { level, cellBytes, item: below } = branch
    const branches = node.branches.with(at, new DirBranch(name, level, cellBytes, below))
    this.nodes.set(item.id, { ...node, branches })
    return at === node.branches.length - 1 ? { last: name } : {}
  }

  async #leaf(item: Item, node: DirNode, parts: readonly string[]): Promise<Cut> {
    const child = childOf(node, must(parts[0], 'a part'))
    if (!child) return undefined
    if (parts.length > 1 && child.isDir && child.place) {
      const cut = await this.#node(child, parts.slice(1))
      if (cut) this.above.add(item.id)
      return cut && {}
    }
    const left = await this.#without(node, parts)
    if (!left) return undefined
    this.nodes.set(item.id, left)
    const last = node.names.at(-1)
    return left.names.at(-1) === last ? {} : { last: left.names.at(-1) ?? '' }
  }

  /** A directory that stands in one node. Undefined: it has no such entry. */
  async #without(node: DirNode, parts: readonly string[]): Promise<DirNode | undefined> {
    const [name = '', ...rest] = parts
    const at = placeIn(node, name)
    const child = hasAt(node, at, name) ? node.itemAt(at) : undefined
    if (!child) return undefined
    let left: Item | undefined
    if (rest.length === 0) await this.#found(child, name)
    else {
      const small = child.rare.dir && (await this.#without(child.rare.dir.node, rest))
      if (!small) return undefined
      left = small.count > 0 ? smallDir(small) : undefined
    }
    const names = [...node.names]
    const items = [...node.items]
    if (left) items[at] = left
    else {
      names.splice(at, 1)
      items.splice(at, 1)
    }
    return dirNode(names, items)
  }
}

export function encodeRedacted(node: DirNode | InnerNode): ReturnType<typeof encodeDir> {
  return isInner(node) ? encodeInner(node) : encodeDir(node)
}
