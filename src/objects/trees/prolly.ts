// A sorted sequence of named cells as a tree of nodes: the shape of a directory, and a pure function of what
// it holds. However the cells came, one by one or all at once, the same cells make the same nodes.
//
// Invariants:
// - a node ends where `Splitter` cuts, or where its level ends; the splitter begins anew at every cut. So a
//   change is felt from the beginning of its node to the first cut that was a cut before, and no further;
// - at level 0 lie the cells; at level n + 1 one branch for each node of level n, named as the last cell below;
// - cells of WHOLE_BYTES together are one node, however the splitter would cut them;
// - the root is the node of the lowest level that has one node only; without cells there is none.

import { compareUtf8 } from '../../base/bytes.ts'
import { Feed } from './feed.ts'
import type { Batches } from './feed.ts'

/** Below this nothing is cut. */
export const MIN_NODE_BYTES = 8 * 1024
/** Up to here cuts are rare, from here on frequent. */
export const TARGET_NODE_BYTES = 32 * 1024
/** Here it is cut whatever comes. */
export const MAX_NODE_BYTES = 128 * 1024
/** A sequence up to this size is one node. */
export const WHOLE_BYTES = 64 * 1024

/** 2³² / (4 × target): a cut each 128 KiB. */
const RARE = 2 ** 32 / (4 * TARGET_NODE_BYTES)
/** 2³² × 4 / target: a cut each 8 KiB. */
const FREQUENT = (2 ** 32 * 4) / TARGET_NODE_BYTES

/** Says where nodes end. */
export class Splitter {
  #bytes = 0

  /** Whether the node ends with this cell. @param hash of its name, 0 … 2³² − 1 */
  add(hash: number, sizeBytes: number): boolean {
    this.#bytes += sizeBytes
    const isCut =
      this.#bytes >= MAX_NODE_BYTES ||
      (this.#bytes >= MIN_NODE_BYTES &&
        hash < sizeBytes * (this.#bytes < TARGET_NODE_BYTES ? RARE : FREQUENT))
    if (isCut) this.#bytes = 0
    return isCut
  }
}

export interface Cell<V> {
  readonly name: string
  readonly value: V
}

/** A cell that comes, or one that goes. */
export interface Edit<V> {
  readonly name: string
  readonly value: V | undefined
  /** It comes: its value, which is made when it is asked for, need not be asked for to know. */
  readonly comes?: true
}

function comes<V>(edit: Edit<V>): edit is Cell<V> {
  return edit.comes ?? edit.value !== undefined
}

/** A node, as the one above it holds it. */
export interface Branch {
  /** Of the last cell below. */
  readonly name: string
  readonly level: number
  /** Equal exactly when what is below is equal; undefined: it cannot be told by one. */
  readonly id: string | undefined
  /** Of all cells of level 0 below. */
  readonly cellBytes: number
}

/** Where nodes lie. */
export interface ReadNodes<V, B extends Branch> {
  cells(leaf: B): Promise<readonly Cell<V>[]>
  branches(inner: B): Promise<readonly Cell<B>[]>
}

/** And how they are written: how large what is in them is then, and where they end. */
export interface Nodes<V, B extends Branch> extends ReadNodes<V, B> {
  /** All there are, where they are few. `bytes`: of the cells together. */
  saveWhole(cells: readonly Cell<V>[], bytes: number): B
  saveCells(cells: readonly Cell<V>[], bytes: number): B
  saveBranches(level: number, branches: readonly Cell<B>[]): B
  /** Of a cell as it is hashed, in bytes: where it lies does not count. */
  cellBytes(cell: Cell<V>): number
  branchBytes(branch: Cell<B>): number
  /** 0 … 2³² − 1; of a cell's name at a level, the same for ever. */
  hash(level: number, cell: { readonly name: string }): number
}

/** Nodes of a level, as many as make a batch of changes to the level above. */
const BATCH = 256

/** The nodes of one level while they are written anew. */
interface Level<V, C extends Branch> {
  /** Those that are there. */
  readonly row: Row<C>
  load(node: C): Promise<readonly Cell<V>[]>
  save(cells: readonly Cell<V>[], bytes: number): C
  bytes(cell: Cell<V>): number
  hash(cell: Cell<V>): number
}

/** As `editedBy`, where the edits are at hand. */
export function edited<V, B extends Branch>(
  nodes: Nodes<V, B>,
  root: B | undefined,
  edits: readonly Edit<V>[],
): Promise<B | undefined> {
  return editedBy(nodes, root, [edits])
}

/**
 * The tree with the edits, in order of their names and of each name one at most. Reads and writes what they
 * touch and no more, as they come: of each level one node is held, and of edits a batch.
 */
export async function editedBy<V, B extends Branch>(
  nodes: Nodes<V, B>,
  root: B | undefined,
  edits: Batches<Edit<V>>,
): Promise<B | undefined> {
  const feed = new Feed(edits)
  if (!(feed.head ?? (await feed.fill()))) return root
  const few = await asOne(nodes, root, feed)
  if (few) return few.length === 0 ? undefined : nodes.saveWhole(few, bytesOf(nodes, few))
  let changed: Feed<Edit<B>> = new Feed(rewrite(leavesOf(nodes, root), feed))
  for (let level = 0; ; level++) {
    if (level >= (root?.level ?? 0)) {
      changed = new Feed(come(changed))
      await changed.holdTo(2)
      if (changed.held <= 1) return whole(nodes, await lowest(nodes, changed.head?.value))
    }
    changed = new Feed(rewrite(innersOf(nodes, root, level + 1), changed))
  }
}

/** All cells, where they are few enough for one node and it costs little to know. */
async function asOne<V, B extends Branch>(
  nodes: Nodes<V, B>,
  root: B | undefined,
  edits: Feed<Edit<V>>,
): Promise<readonly Cell<V>[] | undefined> {
  if (root && root.level > 0) return undefined
  const isMore = await edits.holdWhile((held) => comeBytes(nodes, held) <= WHOLE_BYTES)
  if (isMore) return undefined
  const cells = [...merged(root ? await nodes.cells(root) : [], edits.all)]
  return bytesOf(nodes, cells) <= WHOLE_BYTES ? cells : undefined
}

function comeBytes<V, B extends Branch>(nodes: Nodes<V, B>, edits: readonly Edit<V>[]): number {
  let bytes = 0
  for (const edit of edits) if (comes(edit)) bytes += nodes.cellBytes(edit)
  return bytes
}

function bytesOf<V, B extends Branch>(nodes: Nodes<V, B>, cells: readonly Cell<V>[]): number {
  let bytes = 0
  for (const cell of cells) bytes += nodes.cellBytes(cell)
  return bytes
}

/** A tree that has shrunk to a node's worth is that node. */
async function whole<V, B extends Branch>(
  nodes: Nodes<V, B>,
  root: B | undefined,
): Promise<B | undefined> {
  if (!root || root.cellBytes > WHOLE_BYTES) return root
  const cells: Cell<V>[] = []
  for await (const cell of cellsOf(nodes, root)) cells.push(cell)
  return nodes.saveWhole(cells, root.cellBytes)
}

async function* come<C>(edits: Feed<Edit<C>>): AsyncGenerator<Edit<C>[]> {
  for (;;) {
    const batch = edits.rest()
    if (batch.length > 0) yield batch.filter(({ value }) => value !== undefined)
    if (!(await edits.fill())) return
  }
}

/** What becomes of the nodes of a level, in order: those that go, and those that come. */
async function* rewrite<V, C extends Branch>(
  level: Level<V, C>,
  edits: Feed<Edit<V>>,
): AsyncGenerator<Edit<C>[]> {
  let out: Edit<C>[] = []
  let cells: Cell<V>[] = []
  let bytes = 0
  let splitter = new Splitter()
  /** Names of nodes that were and are not told yet, in order. */
  let gone: string[] = []
  /** Tells those that lie before `name`; one of that name only changes. */
  const tellGone = (name?: string): void => {
    let at = 0
    for (; at < gone.length; at++) {
      const order = name === undefined ? -1 : compareUtf8(gone[at] as string, name)
      if (order < 0) out.push({ name: gone[at] as string, value: undefined })
      else {
        if (order === 0) at++
        break
      }
    }
    gone = gone.slice(at)
  }
  const save = (): void => {
    const value = level.save(cells, bytes)
    tellGone(value.name)
    out.push({ name: value.name, value })
    cells = []
    bytes = 0
  }
  const add = (cell: Cell<V>): void => {
    const size = level.bytes(cell)
    cells.push(cell)
    bytes += size
    if (splitter.add(level.hash(cell), size)) save()
  }
  for (
    let edit = edits.head ?? (await edits.fill());
    edit;
    edit = edits.head ?? (await edits.fill())
  ) {
    splitter = new Splitter()
    let node = await level.row.seek(edit.name)
    for (;;) {
      const isLast = !node || level.row.isLast
      const old = node ? await level.load(node) : []
      if (node) gone.push(node.name)
      let at = 0
      for (;;) {
        const next: Edit<V> | undefined = edits.head ?? (await edits.fill())
        if (!next || (!isLast && compareUtf8(next.name, (node as C).name) > 0)) break
        edits.drop()
        for (; at < old.length; at++) {
          const order = compareUtf8((old[at] as Cell<V>).name, next.name)
          if (order < 0) add(old[at] as Cell<V>)
          else {
            if (order === 0) at++
            break
          }
        }
        if (comes(next)) add(next)
        if (out.length >= BATCH) {
          yield out
          out = []
        }
      }
      for (; at < old.length; at++) add(old[at] as Cell<V>)
      if (isLast && cells.length > 0) save()
      // Cut where it was cut before: what follows stays as it is.
      if (isLast || cells.length === 0) break
      node = await level.row.next()
    }
    tellGone()
  }
  if (out.length > 0) yield out
}

function* merged<V>(cells: readonly Cell<V>[], edits: readonly Edit<V>[]): Generator<Cell<V>> {
  let at = 0
  for (const edit of edits) {
    const { name } = edit
    for (; at < cells.length; at++) {
      const cell = cells[at] as Cell<V>
      if (compareUtf8(cell.name, name) >= 0) break
      yield cell
    }
    if (cells[at]?.name === name) at++
    if (comes(edit)) yield edit
  }
  for (; at < cells.length; at++) yield cells[at] as Cell<V>
}

function leavesOf<V, B extends Branch>(nodes: Nodes<V, B>, root: B | undefined): Level<V, B> {
  return {
    row: new Row(nodes, root, 0),
    load: (leaf) => nodes.cells(leaf),
    save: (cells, bytes) => nodes.saveCells(cells, bytes),
    bytes: (cell) => nodes.cellBytes(cell),
    hash: (cell) => nodes.hash(0, cell),
  }
}

function innersOf<V, B extends Branch>(
  nodes: Nodes<V, B>,
  root: B | undefined,
  level: number,
): Level<B, B> {
  return {
    row: new Row(nodes, root, level),
    load: (inner) => nodes.branches(inner),
    save: (branches) => nodes.saveBranches(level, branches),
    bytes: (branch) => nodes.branchBytes(branch),
    hash: (branch) => nodes.hash(level, branch),
  }
}

/** A node above those of a row, opened: the next below is at `at`. */
interface Above<B extends Branch> {
  readonly branches: readonly Cell<B>[]
  at: number
}

/** The nodes of one level, forwards. */
class Row<B extends Branch> {
  readonly #nodes: ReadNodes<unknown, B>
  readonly #root: B | undefined
  readonly #level: number
  /** Of the one that is looked at, outermost first. */
  readonly #above: Above<B>[] = []

  constructor(nodes: ReadNodes<unknown, B>, root: B | undefined, level: number) {
    this.#nodes = nodes
    this.#root = root && root.level >= level ? root : undefined
    this.#level = level
  }

  /** The node that holds the name, or would. No name may lie before one that was sought already. */
  async seek(name: string): Promise<B | undefined> {
    if (!this.#root || this.#root.level === this.#level) return this.#root
    for (let top = this.#above.at(-1); top; top = this.#above.at(-1)) {
      if (compareUtf8((top.branches.at(-1) as Cell<B>).name, name) >= 0) break
      this.#above.pop()
    }
    for (;;) {
      const top = this.#above.at(-1)
      if (top) top.at = Math.min(placeOf(top.branches, name), top.branches.length - 1)
      const node = top ? (top.branches[top.at] as Cell<B>).value : this.#root
      if (node.level === this.#level) return node
      this.#above.push({ branches: await this.#nodes.branches(node), at: 0 })
    }
  }

  /** Whether the one found last is the last of its level. */
  get isLast(): boolean {
    return this.#above.every(({ branches, at }) => at === branches.length - 1)
  }

  /** The one behind it. */
  async next(): Promise<B | undefined> {
    for (let top = this.#above.at(-1); top; top = this.#above.at(-1)) {
      if (++top.at < top.branches.length) break
      this.#above.pop()
    }
    for (;;) {
      const top = this.#above.at(-1)
      const node = top && (top.branches[top.at] as Cell<B>).value
      if (!node || node.level === this.#level) return node
      this.#above.push({ branches: await this.#nodes.branches(node), at: 0 })
    }
  }
}

/** Of the first cell not below the name; `after`: of the first above it. */
export function placeOf(
  cells: readonly { readonly name: string }[],
  name: string,
  after = false,
): number {
  let low = 0
  let high = cells.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const order = compareUtf8((cells[middle] as { readonly name: string }).name, name)
    if (order < 0 || (after && order === 0)) low = middle + 1
    else high = middle
  }
  return low
}

async function lowest<V, B extends Branch>(
  nodes: ReadNodes<V, B>,
  node: B | undefined,
): Promise<B | undefined> {
  let root = node
  while (root && root.level > 0) {
    const branches = await nodes.branches(root)
    if (branches.length > 1) break
    root = branches[0]?.value
  }
  return root
}

export async function find<V, B extends Branch>(
  nodes: ReadNodes<V, B>,
  root: B | undefined,
  name: string,
): Promise<V | undefined> {
  const leaf = await new Row(nodes, root, 0).seek(name)
  if (!leaf) return undefined
  const cells = await nodes.cells(leaf)
  const cell = cells[placeOf(cells, name)]
  return cell?.name === name ? cell.value : undefined
}

/** In order, from the first name above `after` on. */
export async function* cellsOf<V, B extends Branch>(
  nodes: ReadNodes<V, B>,
  root: B | undefined,
  after?: string,
): AsyncGenerator<Cell<V>> {
  if (!root) return
  if (root.level === 0) {
    const cells = await nodes.cells(root)
    yield* after === undefined ? cells : cells.slice(placeOf(cells, after, true))
    return
  }
  const branches = await nodes.branches(root)
  for (let i = after === undefined ? 0 : placeOf(branches, after, true); i < branches.length; i++)
    yield* cellsOf(nodes, (branches[i] as Cell<B>).value, after)
}
