// Merges that may stand on one another before any of them is durable: one pack and one put for all.
//
// - They run one after another. What one gives can be read by the next, and is for nobody else to name
//   before `close` has returned.
// - One that fails leaves bytes that nothing names; those before and after it are whole.

import type { TreeRef } from '../../model/tree-ref.ts'
import { sameTree } from '../../model/tree-ref.ts'
import type { Merging, MergeResult } from '../objects.ts'
import type { PackStore } from '../store.ts'
import { refOf } from '../trees/entries.ts'
import { find, rootItem } from '../trees/walk.ts'
import { layersOf, Merger } from './merge.ts'
import { Sink } from './sink.ts'

export class PackedMerging implements Merging {
  readonly #store: PackStore
  readonly #sink: Sink
  readonly #roots: TreeRef[] = []
  /** The newest, ended or not; it never rejects. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(store: PackStore) {
    this.#store = store
    this.#sink = new Sink(store)
  }

  merge(
    base: TreeRef | null,
    runs: readonly TreeRef[],
    since: TreeRef | null,
  ): Promise<MergeResult> {
    const merging = this.#last.then(() => this.#merge(base, runs, since))
    this.#last = merging.catch(() => {})
    return merging
  }

  async close(): Promise<void> {
    await this.#last
    const sink = this.#sink
    if (this.#roots.length === 0) return sink.abandon()
    try {
      await sink.close()
    } catch (error) {
      sink.abandon()
      throw error
    }
    for (const root of this.#roots) this.#store.condemned.born.set(root, sink.load)
  }

  async #merge(
    base: TreeRef | null,
    runs: readonly TreeRef[],
    since: TreeRef | null,
  ): Promise<MergeResult> {
    const store = this.#store
    const seen = sameTree(base, since) ? undefined : (path: string) => find(store, since, path)
    const merger = new Merger(store, this.#sink, seen)
    const layers = await layersOf(store, runs)
    const item = await merger.root(await rootItem(store, base), layers)
    merger.check()
    await this.#sink.settle()
    const root = item ? refOf(item) : store.emptyRef
    this.#roots.push(root)
    return { root, stats: { files: item?.files ?? 0, bytes: item?.sizeBytes ?? 0 } }
  }
}
