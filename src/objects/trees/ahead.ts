// Nodes fetched before they are asked for: on a store that is far away, one after another would be one wait
// after another. What is at hand is not fetched, and who never waits fetches nothing ahead.

import { must } from '../../base/assert.ts'
import { isDirKind } from './item.ts'
import type { DirNode, Item } from './item.ts'
import { isInner } from './node.ts'
import type { InnerNode } from './node.ts'
import type { PackStore } from '../store.ts'

/** Nodes on their way at the same time. */
export const READ_AHEAD = 16

type Node = DirNode | InnerNode

/** What nodes are below: entry by entry, or branch by branch. */
export interface Below {
  readonly count: number
  /** Undefined: no directory. */
  dirAt(i: number): Item | undefined
}

export function below(node: Node): Below {
  return isInner(node)
    ? { count: node.branches.length, dirAt: (i) => node.branches[i]?.item }
    : {
        count: node.count,
        dirAt: (i) => (isDirKind(node.kindAt(i)) ? node.itemAt(i) : undefined),
      }
}

/** The nodes of some directories, which are asked for in their order. */
export class Ahead {
  readonly #store: PackStore
  readonly #below: Below
  readonly #most: number
  readonly #coming = new Map<number, Promise<Node>>()
  #width = 1
  #from = 0

  /** @param most on their way at the same time */
  constructor(store: PackStore, of: Below, most = READ_AHEAD) {
    this.#store = store
    this.#below = of
    this.#most = most
  }

  get count(): number {
    return this.#below.count
  }

  /** Of the directory at `i`: at once where it is at hand. @throws VarveError CORRUPT */
  node(i: number): Node | Promise<Node> {
    const coming = this.#coming.get(i)
    this.#coming.delete(i)
    const node = coming ?? this.#store.node(must(this.#below.dirAt(i), 'a directory'))
    if (node instanceof Promise) this.#begin(i + 1)
    return node
  }

  /** More each time, so that whoever needs few has not fetched many. */
  #begin(from: number): void {
    this.#width = Math.min(this.#most, this.#width * 2)
    for (this.#from = Math.max(this.#from, from); this.#from < this.#below.count; this.#from++) {
      if (this.#coming.size >= this.#width) return
      const item = this.#below.dirAt(this.#from)
      const node = item && this.#store.node(item)
      if (!(node instanceof Promise)) continue
      // Whoever stops early never looks at it.
      node.catch(() => {})
      this.#coming.set(this.#from, node)
    }
  }
}
