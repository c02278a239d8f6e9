// Drafts onto trees. Two phases: first everything that must be read or stored as chunks (appends);
// then, when every place is known, the nodes from the leaves up.
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
import { childAt, isInner, storeDir, wholeDir } from './directory.ts'
import { APPEND, DIR, EMPTY_DIR, GONE, Item, JOIN, sameItem, TOMBSTONE } from './node.ts'
import type { Edit } from './prolly.ts'
import type { Sink } from './sink.ts'
import type { PackStore } from './store.ts'

/** A directory to be stored: what it was made from, and what is other there. */
export interface Plan {
  readonly was: Item | undefined
  /** In order of their names; undefined: it goes. */
  readonly edits: readonly Edit<Item | Plan>[]
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
    if (plan instanceof Item) return { was: plan, edits: [], replaces: false }
    return plan ?? { was: undefined, edits: [], replaces: false }
  }

  /** The draft as a run. What stands on something copied or on nothing is made whole here. */
  async run(draft: Draft): Promise<Plan> {
    if (draft.under !== 'base') return { ...(await this.root(undefined, draft)), replaces: true }
    return this.#run(draft, '')
  }

  async #run(draft: Draft, prefix: string): Promise<Plan> {
    const edits: Edit<Item | Plan>[] = []
    for (const name of [...draft.children.keys()].sort(compareUtf8)) {
      const child = must(draft.children.get(name), name)
      let item: Item | Plan | undefined = child instanceof Draft ? undefined : child
      if (child instanceof Draft) {
        const path = prefix + name
        if (child.under === 'base') item = await this.#run(child, `${path}/`)
        else item = fresh(await this.#dir(undefined, child, `${path}/`, false))
      }
      if (item && !isEmpty(item)) edits.push({ name, value: item })
    }
    return { was: undefined, edits, replaces: false }
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
      return this.#dir(below, draftOf(await wholeDir(this.#store, change)), `${path}/`, ofBase)
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
      if (!(await onlyDeletes(draft, (item) => wholeDir(this.#store, item))))
        this.clash(prefix.slice(0, -1))
      return was
    }
    if (draft.children.size === 0 && was) return was
    const edits: Edit<Item | Plan>[] = []
    for (const name of [...draft.children.keys()].sort(compareUtf8)) {
      const found = was ? childAt(this.#store, was, name) : undefined
      const below = found instanceof Promise ? await found : found
      const change = must(draft.children.get(name), name)
      const item = await this.#apply(below, change, prefix + name, ofBase && onBase)
      if (item !== below) edits.push({ name, value: item })
    }
    return { was: was ?? undefined, edits, replaces: false }
  }
}

/** Stores plans, after `sink.settle`. */
export class Storing {
  readonly #store: PackStore
  readonly #sink: Sink

  constructor(store: PackStore, sink: Sink) {
    this.#store = store
    this.#sink = sink
  }

  /** With all below it; undefined: an empty directory, which trees do not hold. */
  async dir({ was, edits }: Plan): Promise<Item | undefined> {
    const stored: Edit<Item>[] = []
    for (const { name, value } of edits) stored.push({ name, value: await this.#item(value) })
    return storeDir(this.#store, this.#sink, was, stored)
  }

  async #item(value: Item | Plan | undefined): Promise<Item | undefined> {
    if (value === undefined || value instanceof Item) return value
    const item = await this.dir(value)
    return value.replaces ? (item?.replacing(true) ?? TOMBSTONE) : item
  }

  /** As `dir`, of a root: a run's may say that nothing of the base stays. Undefined: it is empty. */
  async root(plan: Plan): Promise<Item | undefined> {
    const item = await this.dir(plan)
    if (!plan.replaces) return item
    const node = item ? await this.#store.node(item) : EMPTY_DIR
    if (isInner(node)) return this.#sink.inner({ ...node, marks: true, replaces: true })
    return this.#sink.dir({ ...node, marks: true, replaces: true })
  }
}

function isEmpty(item: Item | Plan): boolean {
  return !(item instanceof Item) && !item.was && item.edits.length === 0 && !item.replaces
}

function fresh(item: Item | Plan | undefined): Item | Plan {
  if (!item) return TOMBSTONE
  return item instanceof Item ? item.replacing(true) : { ...item, replaces: true }
}
