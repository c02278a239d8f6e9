// A sorted sequence of named cells as a tree of nodes: the shape of a directory, and a pure function of what
// it holds. However the cells came, one by one or all at once, the same cells make the same nodes.
//
// Invariants:
// - a node ends where `Splitter` cuts, or where its level ends; the splitter begins anew at every cut. So a
//   change is felt from the beginning of its node to the first cut that was a cut before, and no further;
// - at level 0 lie the cells; at level n + 1 one branch for each node of level n, named as the last cell below;
// - cells of WHOLE_BYTES together are one node, however the splitter would cut them;
// - the root is the node of the lowest level that has one node only; without cells there is none.

import { compareUtf8 } from '../base/bytes.ts'

/** Below this nothing is cut. */
export const MIN_NODE_BYTES = 8 * 1024
/** Up to here cuts are rare, from here on frequent. */
export const TARGET_NODE_BYTES = 32 * 1024
/** Here it is cut whatever comes. */
export const MAX_NODE_BYTES = 128 * 1024
/** No cell is larger. */
export const MAX_CELL_BYTES = 16 * 1024
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
}

/** A node, as the one above it holds it. */
export interface Branch {
  /** Of the last cell below. */
  readonly name: string
  readonly level: number
  /** Equal exactly when what is below is equal. */
  readonly id: string
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
  saveCells(cells: readonly Cell<V>[]): B
  saveBranches(level: number, branches: readonly Cell<B>[]): B
  /** Of a cell as it is hashed, in bytes: where it lies does not count. */
  cellBytes(cell: Cell<V>): number
  branchBytes(branch: Cell<B>): number
  /** 0 … 2³² − 1; of a name at a level, the same for ever. */
  hash(level: number, name: string): number
}

/** The nodes of one level while they are written anew. */
interface Level<V, C extends Branch> {
  load(node: C): Promise<readonly Cell<V>[]>
  save(cells: readonly Cell<V>[]): C
  bytes(cell: Cell<V>): number
  hash(name: string): number
  /** The node that holds the name, or would; `after`: the first whose last name is greater. */
  seek(name: string, after?: boolean): Promise<C | undefined>
}

/**
 * The tree with the edits, in order of their names and of each name one at most. Reads and writes what they
 * touch and no more.
 */
export async function edited<V, B extends Branch>(
  nodes: Nodes<V, B>,
  root: B | undefined,
  edits: readonly Edit<V>[],
): Promise<B | undefined> {
  if (edits.length === 0) return root
  const whole = await asOne(nodes, root, edits)
  if (whole) return whole.length === 0 ? undefined : nodes.saveCells(whole)
  let changed = await rewrite(leavesOf(nodes, root), edits)
  for (let level = 0; ; level++) {
    if (level >= (root?.level ?? 0)) {
      const made = changed.flatMap(({ name, value }) => (value ? [{ name, value }] : []))
      if (made.length <= 1) return lowest(nodes, made[0]?.value)
      changed = made
    }
    changed = await rewrite(innersOf(nodes, root, level + 1), changed)
  }
}

/** All cells, where they are few enough for one node. */
async function asOne<V, B extends Branch>(
  nodes: Nodes<V, B>,
  root: B | undefined,
  edits: readonly Edit<V>[],
): Promise<readonly Cell<V>[] | undefined> {
  const come = edits.reduce((sum, { name, value }) => {
    return value === undefined ? sum : sum + nodes.cellBytes({ name, value })
  }, 0)
  if (come > WHOLE_BYTES) return undefined
  // What goes is not known before it is read; what cannot be small enough is not read.
  const least = (root?.cellBytes ?? 0) - edits.length * MAX_CELL_BYTES
  if (least > WHOLE_BYTES) return undefined
  if (root && root.cellBytes > WHOLE_BYTES && !(await shrinks(nodes, root, edits))) return undefined
  const before: Cell<V>[] = []
  for await (const cell of cellsOf(nodes, root)) before.push(cell)
  const cells = [...merged(before, edits)]
  const bytes = cells.reduce((sum, cell) => sum + nodes.cellBytes(cell), 0)
  return bytes <= WHOLE_BYTES ? cells : undefined
}

/** Whether with the edits no more than a node's worth is left; reads the cells they name. */
async function shrinks<V, B extends Branch>(
  nodes: Nodes<V, B>,
  root: B,
  edits: readonly Edit<V>[],
): Promise<boolean> {
  let bytes = root.cellBytes
  for (const { name, value } of edits) {
    const old = await find(nodes, root, name)
    if (old !== undefined) bytes -= nodes.cellBytes({ name, value: old })
    if (value !== undefined) bytes += nodes.cellBytes({ name, value })
  }
  return bytes <= WHOLE_BYTES
}

/** What becomes of the nodes of a level: those that go, and those that come. */
async function rewrite<V, C extends Branch>(
  level: Level<V, C>,
  edits: readonly Edit<V>[],
): Promise<Edit<C>[]> {
  const gone = new Set<string>()
  const come = new Map<string, C>()
  let at = 0
  while (at < edits.length) {
    const splitter = new Splitter()
    let cells: Cell<V>[] = []
    const flush = (): void => {
      const node = level.save(cells)
      come.set(node.name, node)
      cells = []
    }
    let node = await level.seek((edits[at] as Edit<V>).name)
    do {
      const next: C | undefined = node && (await level.seek(node.name, true))
      const from = at
      while (at < edits.length && (!node || !next || !isAfter(edits[at] as Edit<V>, node))) at++
      for (const cell of merged(node ? await level.load(node) : [], edits.slice(from, at))) {
        cells.push(cell)
        if (splitter.add(level.hash(cell.name), level.bytes(cell))) flush()
      }
      if (node) gone.add(node.name)
      node = next
      // Cut where it was cut before: what follows stays as it is.
    } while (node && cells.length > 0)
    if (cells.length > 0) flush()
  }
  const names = [...new Set([...gone, ...come.keys()])].toSorted(compareUtf8)
  return names.map((name) => ({ name, value: come.get(name) }))
}

function isAfter(edit: Edit<unknown>, node: Branch): boolean {
  return compareUtf8(edit.name, node.name) > 0
}

function* merged<V>(cells: readonly Cell<V>[], edits: readonly Edit<V>[]): Generator<Cell<V>> {
  let at = 0
  for (const { name, value } of edits) {
    for (; at < cells.length; at++) {
      const cell = cells[at] as Cell<V>
      if (compareUtf8(cell.name, name) >= 0) break
      yield cell
    }
    if (cells[at]?.name === name) at++
    if (value !== undefined) yield { name, value }
  }
  for (; at < cells.length; at++) yield cells[at] as Cell<V>
}

function leavesOf<V, B extends Branch>(nodes: Nodes<V, B>, root: B | undefined): Level<V, B> {
  return {
    load: (leaf) => nodes.cells(leaf),
    save: (cells) => nodes.saveCells(cells),
    bytes: (cell) => nodes.cellBytes(cell),
    hash: (name) => nodes.hash(0, name),
    seek: (name, after) => seek(nodes, root, { level: 0, name, after: after === true }),
  }
}

function innersOf<V, B extends Branch>(
  nodes: Nodes<V, B>,
  root: B | undefined,
  level: number,
): Level<B, B> {
  return {
    load: (inner) => nodes.branches(inner),
    save: (branches) => nodes.saveBranches(level, branches),
    bytes: (branch) => nodes.branchBytes(branch),
    hash: (name) => nodes.hash(level, name),
    seek: (name, after) => seek(nodes, root, { level, name, after: after === true }),
  }
}

async function seek<V, B extends Branch>(
  nodes: ReadNodes<V, B>,
  root: B | undefined,
  {
    level,
    name,
    after,
  }: { readonly level: number; readonly name: string; readonly after: boolean },
): Promise<B | undefined> {
  if (!root || root.level < level) return undefined
  let node = root
  while (node.level > level) {
    const branches = await nodes.branches(node)
    const found = branches[placeOf(branches, name, after)]
    if (!found && after) return undefined
    node = (found ?? (branches.at(-1) as Cell<B>)).value
  }
  return after && compareUtf8(node.name, name) <= 0 ? undefined : node
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
  const leaf = await seek(nodes, root, { level: 0, name, after: false })
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
    if (x && y && x.level === y.level && x.id === y.id) {
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
