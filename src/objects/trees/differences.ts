// What differs between two trees of prolly.ts: both are gone through side by side, and where a node stands in both
// it is passed over unread.

import { compareUtf8 } from '../../base/bytes.ts'
import type { Branch, Cell, ReadNodes } from './prolly.ts'

/** What stands at a name in two trees, where it is not the same. */
export interface Difference<V> {
  readonly name: string
  readonly old: V | undefined
  readonly new: V | undefined
}

/** In order; equal nodes are not read. */
export async function* differences<V, B extends Branch>(
  nodes: ReadNodes<V, B>,
  a: B | undefined,
  b: B | undefined,
  isSame: (one: V, other: V) => boolean,
): AsyncGenerator<Difference<V>> {
  const old = new Head(nodes, a)
  const now = new Head(nodes, b)
  for (;;) {
    const { branch: x } = old
    const { branch: y } = now
    if (x && y && x.level === y.level && x.id !== undefined && x.id === y.id) {
      old.drop()
      now.drop()
    } else if (x && (!y || x.level >= y.level)) await old.open()
    else if (y) await now.open()
    else {
      const one = old.cell
      const other = now.cell
      if (!one && !other) return
      const order = !one ? 1 : !other ? -1 : compareUtf8(one.name, other.name)
      const before = order <= 0 ? one : undefined
      const after = order >= 0 ? other : undefined
      if (before) old.drop()
      if (after) now.drop()
      const name = (before ?? after)?.name as string
      if (!before || !after || !isSame(before.value, after.value))
        yield { name, old: before?.value, new: after?.value }
    }
  }
}

/** What of a tree was not looked at yet, opened as far as it had to be. */
class Head<V, B extends Branch> {
  readonly #nodes: ReadNodes<V, B>
  /** Innermost last; of each the next is at `at`. */
  readonly #open: { readonly branches: readonly B[]; at: number }[]
  #cells: readonly Cell<V>[] = []
  #at = 0

  constructor(nodes: ReadNodes<V, B>, root: B | undefined) {
    this.#nodes = nodes
    this.#open = root ? [{ branches: [root], at: 0 }] : []
  }

  /** The next cell, where a node was opened. */
  get cell(): Cell<V> | undefined {
    return this.#cells[this.#at]
  }

  /** The next node, where none is opened. */
  get branch(): B | undefined {
    if (this.#at < this.#cells.length) return undefined
    for (let top = this.#open.at(-1); top; top = this.#open.at(-1)) {
      if (top.at < top.branches.length) return top.branches[top.at]
      this.#open.pop()
    }
    return undefined
  }

  drop(): void {
    if (this.#at < this.#cells.length) this.#at++
    else (this.#open.at(-1) as { at: number }).at++
  }

  async open(): Promise<void> {
    const node = this.branch as B
    this.drop()
    if (node.level === 0) {
      this.#cells = await this.#nodes.cells(node)
      this.#at = 0
    } else {
      const branches = await this.#nodes.branches(node)
      this.#open.push({ branches: branches.map((one) => one.value), at: 0 })
    }
  }
}
