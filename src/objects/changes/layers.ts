// Layers of a directory merged by name, none of them held whole.
//
// - Of each layer one leaf is in memory; names come in byte order, each once.
// - What several layers say of a name is stacked first to last. Directories among it are not opened: they
//   become layers themselves, of the directory at that name.
// - Where a file meets a directory, `clash` is told and the earlier stays.

import { CLASH, Draft, layered, Layers, stack } from './draft.ts'
import type { Child } from './draft.ts'
import { Layer, LayerHeap } from './layer.ts'
import { GONE, Item } from '../trees/item.ts'
import { LeafEntry } from '../trees/leaf.ts'
import type { PackStore } from '../store.ts'

/** A name, and what several layers come to there. */
export interface Named {
  readonly name: string
  readonly value: Item | Layers
}

const BATCH = 1024
/** First leaves that are fetched at the same time. */
const OPENING = 16
export class Folding {
  readonly #store: PackStore
  readonly #clash: (path: string) => void
  readonly #prefix: string
  readonly #layers: readonly Layer[]
  #isOpen = false
  readonly #heap: LayerHeap

  /** @param prefix path of the directory with a slash at its end, or empty for the root */
  constructor(store: PackStore, layers: Layers, prefix: string, clash: (path: string) => void) {
    this.#store = store
    this.#clash = clash
    this.#prefix = prefix
    const { length } = layers.over
    this.#layers = layers.over.map((child, order) => new Layer(store, child, order, length))
    this.#heap = new LayerHeap(this.#layers)
  }

  /** Some more names; undefined: there are none. */
  async next(): Promise<readonly Named[] | undefined> {
    if (!this.#isOpen) await this.#open()
    const heap = this.#heap
    const batch: Named[] = []
    for (let first = heap.first; first && batch.length < BATCH; first = heap.first) {
      const { here, bytes, from, end } = first
      // Waiting where there is nothing to wait for would cost more than all else.
      if (!this.#step(first)) await this.#refill(first)
      // Of one layer each name is another.
      let next = heap.first
      if (next === first || !next?.isAt(bytes, from, end)) {
        batch.push(here instanceof LeafEntry ? here : { name: here.name, value: alone(here.value) })
        continue
      }
      const { name } = here
      const children = [here.value]
      for (; next?.isAt(bytes, from, end); next = heap.first) {
        children.push(next.here.value)
        if (!this.#step(next)) await this.#refill(next)
      }
      const value = await this.#fold(children, this.#prefix + name)
      if (value) batch.push({ name, value })
    }
    return batch.length > 0 ? batch : undefined
  }

  async #open(): Promise<void> {
    this.#isOpen = true
    for (let from = 0; from < this.#layers.length; from += OPENING) {
      const some = this.#layers.slice(from, from + OPENING)
      const filled = await Promise.all(some.map((layer) => layer.load()))
      for (const [i, layer] of some.entries()) if (filled[i]) this.#heap.add(layer)
    }
  }

  /** The first is done with; false: its next leaf must be fetched. */
  #step(first: Layer): boolean {
    if (!first.step()) return false
    this.#heap.moved()
    return true
  }

  async #refill(first: Layer): Promise<void> {
    if (await first.load()) this.#heap.moved()
    else this.#heap.drop()
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
