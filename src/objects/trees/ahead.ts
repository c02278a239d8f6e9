// Nodes fetched before they are asked for: on a store that is far away, one after another would be one wait
// after another. What is at hand is not fetched, and who never waits fetches nothing ahead.

import type { DirNode, Item } from './item.ts'
import type { InnerNode } from './node.ts'
import type { PackStore } from '../store.ts'

/** Nodes on their way at the same time. */
export const READ_AHEAD = 16

type Node = DirNode | InnerNode

/** The nodes of some directories, which are asked for in their order. */
export class Ahead {
  readonly #store: PackStore
  readonly #items: readonly Item[]
  readonly #most: number
  readonly #coming = new Map<number, Promise<Node>>()
  #width = 1
  #from = 0

  /** Of `items` those that are directories count. @param most on their way at the same time */
  constructor(store: PackStore, items: readonly Item[], most = READ_AHEAD) {
    this.#store = store
    this.#items = items
    this.#most = most
  }

  /** Of the directory at `i`: at once where it is at hand. @throws VarveError CORRUPT */
  node(i: number): Node | Promise<Node> {
    const coming = this.#coming.get(i)
    this.#coming.delete(i)
    const node = coming ?? this.#store.node(this.#items[i] as Item)
    if (node instanceof Promise) this.#begin(i + 1)
    return node
  }

  /** More each time, so that whoever needs few has not fetched many. */
  #begin(from: number): void {
    this.#width = Math.min(this.#most, this.#width * 2)
    for (this.#from = Math.max(this.#from, from); this.#from < this.#items.length; this.#from++) {
      if (this.#coming.size >= this.#width) return
      const item = this.#items[this.#from] as Item
      const node = item.isDir ? this.#store.node(item) : undefined
      if (!(node instanceof Promise)) continue
      // Whoever stops early never looks at it.
      node.catch(() => {})
      this.#coming.set(this.#from, node)
    }
  }
}
