// Layers of a directory merged by name, none of them held whole.
//
// - Of each layer one leaf is in memory; names come in byte order, each once.
// - What several layers say of a name is stacked first to last. Directories among it are not opened: they
//   become layers themselves, of the directory at that name.
// - Where a file meets a directory, `clash` is told and the earlier stays.

import { compareUtf8 } from '../../base/bytes.ts'
import { leaves } from '../trees/directory.ts'
import { CLASH, Draft, layered, Layers, stack } from './draft.ts'
import type { Child } from './draft.ts'
import { GONE, Item } from '../trees/item.ts'
import type { DirNode } from '../trees/item.ts'
import { isInner } from '../trees/node.ts'
import type { PackStore } from '../store.ts'

/** A name, and what several layers come to there. */
export interface Named {
  readonly name: string
  readonly value: Item | Layers
}

const BATCH = 1024
/** First leaves that are fetched at the same time. */
const OPENING = 16
/** Leaves that are fetched ahead, of all layers together. */
const AHEAD = 64

export class Folding {
  readonly #store: PackStore
  readonly #clash: (path: string) => void
  readonly #prefix: string
  /** A heap: the first is the one whose name is least, of equal names that of the lowest layer. */
  readonly #heap: Layer[] = []
  #unopened: readonly Layer[]

  /** @param prefix path of the directory with a slash at its end, or empty for the root */
  constructor(store: PackStore, layers: Layers, prefix: string, clash: (path: string) => void) {
    this.#store = store
    this.#clash = clash
    this.#prefix = prefix
    const most = Math.floor(AHEAD / layers.over.length)
    this.#unopened = layers.over.map((child, order) => new Layer(store, child, order, most))
  }

  /** Some more names; undefined: there are none. */
  async next(): Promise<readonly Named[] | undefined> {
    if (this.#unopened.length > 0) await this.#open()
    const heap = this.#heap
    const batch: Named[] = []
    while (batch.length < BATCH && heap.length > 0) {
      const { name, child } = heap[0] as Layer
      // Waiting where there is nothing to wait for would cost more than all else.
      if (!this.#step()) await this.#refill()
      if (heap[0]?.name !== name) {
        batch.push({ name, value: alone(child) })
        continue
      }
      const children = [child]
      for (let top = heap[0]; top?.name === name; top = heap[0]) {
        children.push(top.child)
        if (!this.#step()) await this.#refill()
      }
      const value = await this.#fold(children, this.#prefix + name)
      if (value) batch.push({ name, value })
    }
    return batch.length > 0 ? batch : undefined
  }

  async #open(): Promise<void> {
    const layers = this.#unopened
    this.#unopened = []
    for (let from = 0; from < layers.length; from += OPENING) {
      const some = layers.slice(from, from + OPENING)
      const filled = await Promise.all(some.map((layer) => layer.load()))
      this.#heap.push(...some.filter((_, i) => filled[i]))
    }
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#sink(i)
  }

  /** The first is done with; false: its next leaf must be fetched. */
  #step(): boolean {
    const [top] = this.#heap as [Layer]
    if (!top.step()) return false
    this.#sink(0)
    return true
  }

  async #refill(): Promise<void> {
    const [top] = this.#heap as [Layer]
    if (!(await top.load())) {
      const last = this.#heap.pop() as Layer
      if (last === top) return
      this.#heap[0] = last
    }
    this.#sink(0)
  }

  /** Puts the one at `from` where it belongs: all below it are a heap. */
  #sink(from: number): void {
    const heap = this.#heap
    const layer = heap[from] as Layer
    let at = from
    let child = this.#leastBelow(at)
    // Names of one layer often follow each other.
    if (child === 0 || isBefore(layer, heap[child] as Layer)) return
    // Mostly it belongs far below: down the whole way, and up again from there, compares half as often.
    for (; child > 0; child = this.#leastBelow(at)) {
      heap[at] = heap[child] as Layer
      at = child
    }
    for (let above = (at - 1) >> 1; at > from; at = above, above = (at - 1) >> 1) {
      if (!isBefore(layer, heap[above] as Layer)) break
      heap[at] = heap[above] as Layer
    }
    heap[at] = layer
  }

  /** 0: there is none. */
  #leastBelow(at: number): number {
    const left = 2 * at + 1
    const one = this.#heap[left]
    const other = this.#heap[left + 1]
    if (!one) return 0
    return other && isBefore(other, one) ? left + 1 : left
  }

  async #fold(children: readonly Child[], path: string): Promise<Item | Layers | undefined> {
    let state: Item | Layers | undefined
    for (const over of children) {
      if (state && isOver(over)) {
        const inner: Layers | undefined = layered(state, over)
        if (inner) state = inner
        else if (!(await onlyDeletes(this.#store, new Layers('base', [over]), path, this.#clash)))
          this.#clash(path)
        continue
      }
      const result = over instanceof Draft ? alone(over) : stack(state, over)
      if (result === CLASH) {
        this.#clash(path)
        continue
      }
      // What goes unseen must still be free of clashes: runs do not depend on how they were cut.
      if (state instanceof Layers) await onlyDeletes(this.#store, state, path, this.#clash)
      state = result
    }
    return state
  }
}

/** Whether it is a directory over whatever is there. */
function isOver(child: Child): boolean {
  return child instanceof Draft ? child.under === 'base' : child.isDir && !child.replaces
}

function alone(child: Child): Item | Layers {
  return child instanceof Draft ? new Layers(child.under, [child]) : child
}

function isBefore(a: Layer, b: Layer): boolean {
  if (a.name === b.name) return a.order < b.order
  return a.isPlain && b.isPlain ? a.name < b.name : compareUtf8(a.name, b.name) < 0
}

/** Whether it stands among others of its kind in UTF-16 as in UTF-8: no surrogates, nor what lies above them. */
function isPlain(name: string): boolean {
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) >= 0xd800) return false
  return true
}

/**
 * Whether nothing is written here: deletes below a file have nothing to delete, and no conflict. `clash` is
 * told what clashes among the layers.
 */
export async function onlyDeletes(
  store: PackStore,
  layers: Layers,
  path: string,
  clash: (path: string) => void,
): Promise<boolean> {
  let only = !(layers.under instanceof Item)
  const folding = new Folding(store, layers, `${path}/`, clash)
  for (let batch = await folding.next(); batch; batch = await folding.next())
    for (const { name, value: change } of batch) {
      if (change instanceof Item && (!change.isDir || change.replaces)) {
        if (change.kind !== GONE) only = false
      } else {
        const inner = change instanceof Layers ? change : new Layers('base', [change])
        if (!(await onlyDeletes(store, inner, `${path}/${name}`, clash))) only = false
      }
      // One layer has no clashes.
      if (!only && layers.over.length === 1) return false
    }
  return only
}

/** One layer, read forwards. */
class Layer {
  readonly order: number
  name = ''
  /** All names of the leaf are, which compare faster then. */
  isPlain = true
  readonly #store: PackStore
  readonly #most: number
  #from: Child | undefined
  #leaves: AsyncIterator<DirNode> | undefined
  #names: readonly string[] = []
  #children: readonly Child[] = []
  #at = 0

  constructor(store: PackStore, from: Child, order: number, most: number) {
    this.#store = store
    this.#most = most
    this.#from = from
    this.order = order
  }

  get child(): Child {
    return this.#children[this.#at] as Child
  }

  /** To the next name; false: it must be loaded. */
  step(): boolean {
    if (++this.#at >= this.#names.length) return false
    this.name = this.#names[this.#at] as string
    return true
  }

  /** To the first name of the next leaf; false: there is none. */
  async load(): Promise<boolean> {
    const from = this.#from
    this.#from = undefined
    if (from instanceof Draft) {
      this.#names = from.names()
      this.#children = this.#names.map((name) => from.children.get(name) as Child)
    } else {
      const node = from && (await this.#store.node(from))
      if (from && node && isInner(node))
        this.#leaves = leaves(this.#store, from, undefined, this.#most)
      const leaf = node && !isInner(node) ? node : (await this.#leaves?.next())?.value
      this.#names = leaf?.names ?? []
      this.#children = leaf?.items ?? []
    }
    this.isPlain = this.#names.every(isPlain)
    this.#at = -1
    return this.step()
  }
}
