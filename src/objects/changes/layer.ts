// One layer of a directory, read forwards, and which of many comes next.

import { EMPTY, utf8 } from '../../base/bytes.ts'
import { leaves } from '../trees/directory.ts'
import { Draft } from './draft.ts'
import type { Child } from './draft.ts'
import type { DirNode } from '../trees/item.ts'
import { Leaf, LeafEntry } from '../trees/leaf.ts'
import { entriesOf, isInner } from '../trees/node.ts'
import type { PackStore } from '../store.ts'

/** Leaves that are fetched ahead, of all layers together. */
const AHEAD = 64

/** What a layer says of a name. */
interface Said {
  readonly name: string
  readonly value: Child
}

/** One layer, read forwards. */
export class Layer {
  readonly order: number
  /** The name it stands at, in UTF-8. */
  bytes = EMPTY
  from = 0
  end = 0
  readonly #store: PackStore
  readonly #most: number
  /** It is compared with none. */
  readonly #isAlone: boolean
  #next: Child | undefined
  #leaves: AsyncIterator<DirNode> | undefined
  /** What it is read from: a leaf as it lies, or names and what they stand for. */
  #leaf: Leaf | undefined
  #said: readonly Said[] = []
  #at = 0

  /** @param of so many, of which it is the one at `order` */
  constructor(store: PackStore, from: Child, order: number, of: number) {
    this.#store = store
    this.#most = Math.floor(AHEAD / of)
    this.#isAlone = of === 1
    this.#next = from
    this.order = order
  }

  get here(): LeafEntry | Said {
    return this.#leaf ? new LeafEntry(this.#leaf, this.#at) : (this.#said[this.#at] as Said)
  }

  /** Whether it stands at this name. */
  isAt(bytes: Uint8Array, from: number, end: number): boolean {
    if (end - from !== this.end - this.from) return false
    // Names that follow each other differ at their end.
    for (let k = end - from - 1; k >= 0; k--)
      if (bytes[from + k] !== this.bytes[this.from + k]) return false
    return true
  }

  /** By name, and of equal names the lower. */
  isBefore(other: Layer): boolean {
    const size = this.end - this.from
    const otherSize = other.end - other.from
    const least = Math.min(size, otherSize)
    for (let k = 0; k < least; k++) {
      const order = (this.bytes[this.from + k] as number) - (other.bytes[other.from + k] as number)
      if (order !== 0) return order < 0
    }
    return size === otherSize ? this.order < other.order : size < otherSize
  }

  /** To the next name; false: it must be loaded. */
  step(): boolean {
    const at = ++this.#at
    const leaf = this.#leaf
    if (leaf) {
      if (at >= leaf.count) return false
      this.from = leaf.nameFrom(at)
      this.end = leaf.nameEnd(at)
      return true
    }
    const said = this.#said[at]
    if (!said) return false
    if (this.#isAlone) return true
    this.bytes = utf8(said.name)
    this.end = this.bytes.length
    return true
  }

  /** To the first name of the next leaf; false: there is none. */
  async load(): Promise<boolean> {
    const next = this.#next
    this.#next = undefined
    this.#at = -1
    this.#leaf = undefined
    this.from = 0
    if (next instanceof Draft) {
      this.#said = next.names().map((name) => ({ name, value: next.children.get(name) as Child }))
      return this.step()
    }
    const node = next && (await this.#store.node(next))
    if (next && node && isInner(node))
      this.#leaves = leaves(this.#store, next, undefined, this.#most)
    const leaf = node && !isInner(node) ? node : (await this.#leaves?.next())?.value
    this.#said = []
    if (leaf instanceof Leaf) {
      this.#leaf = leaf
      this.bytes = leaf.bytes
    } else if (leaf) this.#said = entriesOf(leaf)
    return this.step()
  }
}

/** Of a name, by which most are told from each other: so many words of four bytes. */
const KEY_WORDS = 3

/**
 * Layers by the name they stand at: the first is the one whose name is least, of equal names the lowest layer.
 * Numbers alone are looked at where they will do, which lie close together however far the names lie apart.
 */
export class LayerHeap {
  readonly #layers: readonly Layer[]
  /** A heap of layers' numbers. */
  readonly #heap: Int32Array
  readonly #keys: Int32Array
  #size = 0

  /** @param layers each of which can be in it, by its order */
  constructor(layers: readonly Layer[]) {
    this.#layers = layers
    this.#heap = new Int32Array(layers.length)
    this.#keys = new Int32Array(layers.length * KEY_WORDS)
  }

  get first(): Layer | undefined {
    return this.#size > 0 ? this.#layers[this.#heap[0] as number] : undefined
  }

  add({ order }: Layer): void {
    this.#key(order)
    let at = this.#size++
    for (; at > 0; at = (at - 1) >> 1) {
      const above = this.#heap[(at - 1) >> 1] as number
      if (!this.#isBefore(order, above)) break
      this.#heap[at] = above
    }
    this.#heap[at] = order
  }

  /** The first has no more names. */
  drop(): void {
    const last = this.#heap[--this.#size] as number
    if (this.#size > 0) this.#sink(last)
  }

  /** The first stands at another name. */
  moved(): void {
    const first = this.#heap[0] as number
    if (this.#size === 1) return
    this.#key(first)
    this.#sink(first)
  }

  /** Puts it where it belongs, the first place being free. */
  #sink(layer: number): void {
    const heap = this.#heap
    let at = 0
    // Mostly it belongs far below: down the whole way, and up again from there, compares half as often.
    for (let child = this.#leastBelow(at); child > 0; child = this.#leastBelow(at)) {
      // But names of one layer often follow each other.
      if (at === 0 && this.#isBefore(layer, heap[child] as number)) break
      heap[at] = heap[child] as number
      at = child
    }
    for (let above = (at - 1) >> 1; at > 0; at = above, above = (at - 1) >> 1) {
      if (!this.#isBefore(layer, heap[above] as number)) break
      heap[at] = heap[above] as number
    }
    heap[at] = layer
  }

  /** 0: there is none. */
  #leastBelow(at: number): number {
    const left = 2 * at + 1
    if (left >= this.#size) return 0
    const right = left + 1
    if (right >= this.#size) return left
    return this.#isBefore(this.#heap[right] as number, this.#heap[left] as number) ? right : left
  }

  #isBefore(a: number, b: number): boolean {
    const keys = this.#keys
    const i = a * KEY_WORDS
    const j = b * KEY_WORDS
    for (let k = 0; k < KEY_WORDS; k++) {
      const order = (keys[i + k] as number) - (keys[j + k] as number)
      if (order !== 0) return order < 0
    }
    return (this.#layers[a] as Layer).isBefore(this.#layers[b] as Layer)
  }

  /** Its name may be shorter: no name holds a zero. */
  #key(order: number): void {
    const { bytes, from, end } = this.#layers[order] as Layer
    for (let k = 0; k < KEY_WORDS; k++) {
      const at = from + 4 * k
      let word = 0
      for (let i = at; i < at + 4; i++) word = (word << 8) | (i < end ? (bytes[i] as number) : 0)
      // Signed as they are, they stand in the order of unsigned ones.
      this.#keys[order * KEY_WORDS + k] = word ^ 0x8000_0000
    }
  }
}
