// Drafts onto trees. Two phases: first everything that must be read or stored as chunks (appends);
// then, when every place is known, the nodes from the leaves up, without waiting.
//
// - Untouched directories are taken by reference and never read.
// - What is not changed keeps its id, so it is not stored again; no byte of a file moves, but where
//   one is appended to.
// - The result is the same for any way of cutting the same changes into runs.

import { must } from '../base/assert.ts'
import { compareUtf8 } from '../base/bytes.ts'
import { VarveError } from '../base/errors.ts'
import { joinContent } from './content.ts'
import { Draft, draftOf, onlyDeletes } from './draft.ts'
import type { Child } from './draft.ts'
import {
  APPEND,
  DIR,
  dirNode,
  EMPTY_DIR,
  GONE,
  Item,
  JOIN,
  lowerBound,
  sameItem,
  TOMBSTONE,
} from './node.ts'
import type { DirNode } from './node.ts'
import type { Sink } from './sink.ts'
import type { PackStore } from './store.ts'

/** A directory to be stored. */
export interface Plan {
  readonly names: string[]
  readonly items: (Item | Plan)[]
  /** What it was made from: if nothing changed, it is taken instead. */
  readonly was: Item | undefined
  /** Of runs: it takes the place of whatever the base has. */
  readonly replaces: boolean
}

const SHOWN_PATHS = 100

export class Merger {
  readonly #store: PackStore
  readonly #sink: Sink
  readonly #since: ((path: string) => Promise<Item | undefined>) | undefined
  readonly #clashes: string[] = []

  /** `since`: what the author saw at a path; undefined: exactly the base. */
  constructor(
    store: PackStore,
    sink: Sink,
    since: ((path: string) => Promise<Item | undefined>) | undefined,
  ) {
    this.#store = store
    this.#sink = sink
    this.#since = since
  }

  clash(path: string): void {
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

  /** The tree after the draft; call `sink.settle`, then `store`. */
  async root(base: Item | undefined, draft: Draft): Promise<Plan> {
    const plan = await this.#dir(base, draft, '', true)
    if (plan instanceof Item) return { ...(await this.#planOf(plan)), was: plan }
    return plan ?? { names: [], items: [], was: undefined, replaces: false }
  }

  /** The draft as a run. What stands on something copied or on nothing is made whole here. */
  async run(draft: Draft): Promise<Plan> {
    if (draft.under !== 'base') return { ...(await this.root(undefined, draft)), replaces: true }
    return this.#run(draft, '')
  }

  async #run(draft: Draft, prefix: string): Promise<Plan> {
    const names = [...draft.children.keys()].sort(compareUtf8)
    const items: (Item | Plan)[] = []
    const kept: string[] = []
    for (const name of names) {
      const child = must(draft.children.get(name), name)
      let item: Item | Plan | undefined = child instanceof Draft ? undefined : child
      if (child instanceof Draft) {
        const path = prefix + name
        if (child.under === 'base') item = await this.#run(child, `${path}/`)
        else item = fresh(await this.#dir(undefined, child, `${path}/`, false))
      }
      if (!item || isEmpty(item)) continue
      kept.push(name)
      items.push(item)
    }
    return { names: kept, items, was: undefined, replaces: false }
  }

  async #planOf(item: Item): Promise<Plan> {
    const node = await this.#store.dir(item)
    return { names: [...node.names], items: [...node.items], was: item, replaces: false }
  }

  async #apply(
    below: Item | undefined,
    change: Child,
    path: string,
    ofBase: boolean,
  ): Promise<Item | Plan | undefined> {
    if (change instanceof Draft) return this.#dir(below, change, `${path}/`, ofBase)
    if (change.kind === GONE) return undefined
    if (change.isDir) {
      if (change.replaces) return change.replacing(false)
      // A run's directory without marks is already what the tree will hold.
      if (change.kind === DIR && (below === undefined || sameItem(below, change)))
        return below ?? change
      return this.#dir(below, draftOf(await this.#store.dir(change)), `${path}/`, ofBase)
    }
    if (below?.isDir && !change.replaces) {
      this.clash(path)
      return below
    }
    if (change.kind === JOIN) return joinContent(this.#store, this.#sink, change.parts)
    if (change.kind !== APPEND) return change.replacing(false)
    if (ofBase && this.#since && !sameItem(below, await this.#since(path))) {
      this.clash(path)
      return below
    }
    const parts = below ? [below, ...change.parts] : change.parts
    return joinContent(this.#store, this.#sink, parts)
  }

  /** `prefix` is the directory's path with a slash at its end, or empty for the root. */
  async #dir(
    base: Item | undefined,
    draft: Draft,
    prefix: string,
    ofBase: boolean,
  ): Promise<Item | Plan | undefined> {
    const onBase = draft.under === 'base'
    const was = onBase ? base : (draft.under as Item | null)
    if (was && !was.isDir) {
      if (!(await onlyDeletes(draft, (item) => this.#store.dir(item))))
        this.clash(prefix.slice(0, -1))
      return was
    }
    if (draft.children.size === 0 && was) return was
    const node: DirNode = was ? await this.#store.dir(was) : EMPTY_DIR
    const names: string[] = []
    const items: (Item | Plan)[] = []
    let from = 0
    const keep = (to: number): void => {
      for (; from < to; from++) {
        names.push(node.names[from] as string)
        items.push(node.items[from] as Item)
      }
    }
    for (const name of [...draft.children.keys()].sort(compareUtf8)) {
      keep(lowerBound(node.names, name, from))
      const found = node.names[from] === name
      const below = found ? node.items[from] : undefined
      if (found) from++
      const change = must(draft.children.get(name), name)
      const item = await this.#apply(below, change, prefix + name, ofBase && onBase)
      if (!item) continue
      names.push(name)
      items.push(item)
    }
    keep(node.items.length)
    return { names, items, was: was ?? undefined, replaces: false }
  }
}

/** Stores a plan and all below it; undefined: an empty directory, which trees do not hold. */
export function store(sink: Sink, plan: Plan): Item | undefined {
  const node = nodeOf(sink, plan)
  return node.items.length === 0 ? undefined : sink.dir(node, plan.was)
}

/** As `store`, for a root, which may be empty. */
export function storeRoot(sink: Sink, plan: Plan): { item: Item | undefined; node: DirNode } {
  const node = nodeOf(sink, plan)
  if (node.items.length === 0 && !node.replaces) return { item: undefined, node }
  return { item: sink.dir(node, plan.was), node }
}

function nodeOf(sink: Sink, plan: Plan): DirNode {
  const names: string[] = []
  const items: Item[] = []
  plan.items.forEach((item, i) => {
    let stored: Item | undefined
    if (item instanceof Item) stored = item
    else if (item.replaces)
      stored = store(sink, { ...item, replaces: false })?.replacing(true) ?? TOMBSTONE
    else stored = store(sink, item)
    if (!stored) return
    names.push(plan.names[i] as string)
    items.push(stored)
  })
  return dirNode(names, items, plan.replaces)
}

function isEmpty(item: Item | Plan): boolean {
  return !(item instanceof Item) && item.items.length === 0 && !item.replaces
}

function fresh(item: Item | Plan | undefined): Item | Plan {
  if (!item) return TOMBSTONE
  return item instanceof Item ? item.replacing(true) : { ...item, replaces: true }
}
