// Layers onto trees, stored as they are merged, from the leaves up.
//
// - Untouched directories are taken by reference and never read.
// - What is not changed keeps its id, so it is not stored again; no byte of a file moves, but where
//   one is appended to.
// - The result is the same for any way of cutting the same changes into runs.
// - Of every directory on the way to the one at work a batch of changes is held, and a leaf of each layer.

import { VarveError } from '../../base/errors.ts'
import type { TreeRef } from '../../model/tree-ref.ts'
import { Lookup, sizesOf, storeDir } from '../trees/directory.ts'
import { Layers } from './draft.ts'
import type { Under } from './draft.ts'
import { itemOfRef } from '../trees/entries.ts'
import { Folding, onlyDeletes } from './layers.ts'
import { APPEND, DIR, GONE, INLINE_DIR, Item, MARKED, sameItem, TOMBSTONE } from '../trees/item.ts'
import { LeafEntry } from '../trees/leaf.ts'
import { EMPTY_DIR, isInner, replacing } from '../trees/node.ts'
import type { Edit } from '../trees/prolly.ts'
import type { Sink } from './sink.ts'
import { storeChanged } from '../files/splice.ts'
import type { PackStore } from '../store.ts'

const SHOWN_PATHS = 100
/** So many layers are merged at once; of more, first some into one and some into one. */
const MAX_LAYERS = 1024

/** Roots of runs that are fetched at the same time. */
const OPENING = 16

/** Runs over one another, the first lowest. */
export async function layersOf(store: PackStore, runs: readonly TreeRef[]): Promise<Layers> {
  let under: Under = 'base'
  let over: Item[] = []
  for (let from = 0; from < runs.length; from += OPENING) {
    const some = runs.slice(from, from + OPENING).map((run) => itemOfRef(run))
    const nodes = await Promise.all(some.map(async (run) => store.node(run)))
    for (const [i, node] of nodes.entries()) {
      if (node.replaces) {
        under = null
        over = []
      }
      const run = some[i] as Item
      const { entries, bytes, files } = sizesOf(node)
      const kind = run.kind === DIR && node.marks ? MARKED : run.kind
      if (entries > 0) over.push(new Item(kind, bytes, files, run.src, run.at, run.place, run.rare))
    }
  }
  return new Layers(under, over)
}

/** Before it stores anything every place is known that its layers name: call `sink.settle`. */
export class Merger {
  readonly #store: PackStore
  readonly #sink: Sink
  readonly #since: ((path: string) => Promise<Item | undefined>) | undefined
  readonly #clashes: string[]
  #isUnsettled = false

  /**
   * `since`: what the author saw at a path; undefined: exactly the base.
   * @param clashes paths known to clash; more are added
   */
  constructor(
    store: PackStore,
    sink: Sink,
    since: ((path: string) => Promise<Item | undefined>) | undefined,
    clashes: string[] = [],
  ) {
    this.#clashes = clashes
    this.#store = store
    this.#sink = sink
    this.#since = since
  }

  readonly #clash = (path: string): void => {
    this.#clashes.push(path)
  }

  /** @throws VarveError PATH_CONFLICT if there was any clash */
  check(): void {
    const [first] = this.#clashes
    if (first === undefined) return
    const more = this.#clashes.length > 1 ? ` and ${this.#clashes.length - 1} more` : ''
    throw new VarveError(
      'PATH_CONFLICT',
      `cannot write ${JSON.stringify(first)}${more}: it changed since, or is a directory for one and a file for another`,
      { details: { paths: this.#clashes.slice(0, SHOWN_PATHS) } },
    )
  }

  /** The tree after the layers; undefined: it is empty. */
  async root(base: Item | undefined, layers: Layers): Promise<Item | undefined> {
    const { under, over } = await this.#narrowed(layers)
    const [only] = over
    const item =
      under === 'base' && over.length === 1 && only instanceof Item
        ? await this.#dirOnto(base, only, '', true)
        : await this.#dir(base, new Layers(under, over), '', true)
    return this.#asRoot(item, false, base)
  }

  /** The layers as one run. What stands on something copied or on nothing is made whole here. */
  async run(layers: Layers): Promise<Item | undefined> {
    const { under, over } = await this.#narrowed(layers)
    return under === 'base'
      ? this.#asRoot(await this.#run(new Layers(under, over), ''), false)
      : this.#asRoot(await this.#dir(undefined, new Layers(under, over), '', false), true)
  }

  /** A root is a node however small, and of a run it may say that nothing of the base stays. */
  async #asRoot(item: Item | undefined, replaces: boolean, base?: Item): Promise<Item | undefined> {
    if (!replaces && item?.kind !== INLINE_DIR) return item
    const node = item ? await this.#store.node(item) : EMPTY_DIR
    if (isInner(node)) return this.#sink.inner(replaces ? { ...node, marks: true, replaces } : node)
    const root = replaces ? replacing(node) : node
    return this.#sink.dir(root, base?.place && new Map([[base.id, base]]))
  }

  async #narrowed({ under, over }: Layers): Promise<Layers> {
    if (over.length <= MAX_LAYERS) return new Layers(under, over)
    const fewer: Item[] = []
    for (let from = 0; from < over.length; from += MAX_LAYERS) {
      const some = new Layers('base', over.slice(from, from + MAX_LAYERS))
      const run = await this.#run(some, '')
      if (run) fewer.push(run)
    }
    return this.#narrowed(new Layers(under, fewer))
  }

  #run(layers: Layers, prefix: string): Promise<Item | undefined> {
    return storeDir(this.#store, this.#sink, undefined, this.#runEdits(layers, prefix))
  }

  async *#runEdits(layers: Layers, prefix: string): AsyncGenerator<Edit<Item>[]> {
    const folding = new Folding(this.#store, layers, prefix, this.#clash)
    for (let batch = await folding.next(); batch; batch = await folding.next()) {
      const edits: Edit<Item>[] = []
      for (const named of batch) {
        if (named instanceof LeafEntry) {
          edits.push(named)
          continue
        }
        const { name, value: change } = named
        const value =
          change instanceof Item ? change : await this.#runDir(change, `${prefix}${name}/`)
        if (value) edits.push({ name, value })
      }
      if (this.#isUnsettled) await this.#settle()
      yield edits
    }
  }

  async #runDir(layers: Layers, prefix: string): Promise<Item | undefined> {
    if (layers.under === 'base') return this.#run(layers, prefix)
    return (await this.#dir(undefined, layers, prefix, false))?.replacing(true) ?? TOMBSTONE
  }

  /** `prefix` is the directory's path with a slash at its end, or empty for the root. */
  async #dir(
    base: Item | undefined,
    layers: Layers,
    prefix: string,
    ofBase: boolean,
  ): Promise<Item | undefined> {
    const onBase = layers.under === 'base'
    const was = layers.under === 'base' ? base : (layers.under ?? undefined)
    if (was && !was.isDir) {
      const path = prefix.slice(0, -1)
      if (!(await onlyDeletes(this.#store, layers, path, this.#clash))) this.#clash(path)
      return was
    }
    const edits = this.#edits(was, layers, prefix, ofBase && onBase)
    return storeDir(this.#store, this.#sink, was, edits)
  }

  async *#edits(
    was: Item | undefined,
    layers: Layers,
    prefix: string,
    ofBase: boolean,
  ): AsyncGenerator<Edit<Item>[]> {
    const base = was && new Lookup(this.#store, was)
    const folding = new Folding(this.#store, layers, prefix, this.#clash)
    for (let batch = await folding.next(); batch; batch = await folding.next()) {
      const edits: Edit<Item>[] = []
      for (const named of batch) {
        // Most are: they go as they lie, and nothing is made of them.
        if (!base && named instanceof LeafEntry && named.isFile) {
          edits.push(named)
          continue
        }
        const { name, value: change } = named
        const found = base?.at(name)
        const below = found instanceof Promise ? await found : found
        const made = this.#onto(below, change, prefix + name, ofBase)
        const value = made instanceof Promise ? await made : made
        if (value !== below) edits.push(value === change ? (named as Edit<Item>) : { name, value })
      }
      if (this.#isUnsettled) await this.#settle()
      if (edits.length > 0) yield edits
    }
  }

  /** Nodes name what was stored since: where it lies must be known. */
  #settle(): Promise<void> {
    this.#isUnsettled = false
    return this.#sink.settle()
  }

  #onto(
    below: Item | undefined,
    change: Item | Layers,
    path: string,
    ofBase: boolean,
  ): Item | undefined | Promise<Item | undefined> {
    if (change instanceof Layers) return this.#dir(below, change, `${path}/`, ofBase)
    if (change.kind === GONE) return undefined
    if (change.isDir) return this.#dirOnto(below, change, `${path}/`, ofBase)
    if (below?.isDir && !change.replaces) {
      this.#clash(path)
      return below
    }
    return change.isFile ? change.replacing(false) : this.#joined(below, change, path, ofBase)
  }

  #dirOnto(
    below: Item | undefined,
    change: Item,
    prefix: string,
    ofBase: boolean,
  ): Item | Promise<Item | undefined> {
    if (change.replaces) return change.replacing(false)
    // A run's directory without marks is already what the tree will hold.
    if (!change.isMark && (below === undefined || sameItem(below, change))) return below ?? change
    return this.#dir(below, new Layers('base', [change]), prefix, ofBase)
  }

  async #joined(
    below: Item | undefined,
    change: Item,
    path: string,
    ofBase: boolean,
  ): Promise<Item | undefined> {
    const { parts, kind } = change
    if (kind === APPEND && ofBase && this.#since && !sameItem(below, await this.#since(path))) {
      this.#clash(path)
      return below
    }
    this.#isUnsettled = true
    const item = await storeChanged(
      this.#store,
      this.#sink,
      kind === APPEND ? below : undefined,
      parts,
    )
    if (!item) this.#clash(path)
    return item ?? below
  }
}
