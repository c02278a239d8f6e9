// Nodes of directories: a leaf holds entries in byte order of their names, a node of branches the leaves or
// nodes below it (prolly.ts). Runs, which are staged writes, are the same with marks in them.
//
// Canonical, and hashed (node-bytes.ts: what all nodes have in common):
//   u8 header (| HEAD_MARKS: a run's, marks below; | HEAD_REPLACES) · of branches: varint level · varint count,
//   and so many of
//   entry   text name · item
//   branch  text last name below · varint bytes of entries · varint files · varint bytes · id
//   item    u8 kind (| 0x80: replaces whatever was at the name; | 0x40: attributes follow) · by kind
//     inline  varint size · bytes
//     chunk, list       varint size · id
//     dir, marked dir   varint files · varint bytes · id
//     gone    –
//     append, join      varint parts · items
//     splice            varint parts · for each: varint offset · varint bytes to delete · item
//     inline dir        varint size · its canonical part
//   attributes  varint size · bytes (attributes.ts)
//
// A tree holds no marks, no empty directory but the root, every file in the one form its content allows:
// inline to 512 bytes, one chunk when it has one, a list otherwise; and every directory in its one form: inline
// to 8 KiB of entries, one node to 64 KiB, a tree of nodes otherwise.

import { compareUtf8 } from '../../base/bytes.ts'
import { ByteReader, corrupt, textBytes, varintBytes } from '../packs/codec.ts'
import type { ByteWriter } from '../packs/codec.ts'
import type { HintReader } from './hints.ts'
import { ID_BYTES } from '../ids.ts'
import {
  addPlaces,
  DIR,
  GONE,
  INLINE,
  INLINE_DIR,
  inlineBytes,
  inlineDir,
  Item,
  joined,
  MARKED,
  splice,
  SPLICE,
  TOMBSTONE,
} from './item.ts'
import type { DirNode, Named, Span } from './item.ts'
import { Leaf, LeafEntry, readLeaf } from './leaf.ts'
import {
  endNode,
  HEAD_BRANCHES,
  HEAD_DIR,
  HEAD_MARKS,
  HEAD_REPLACES,
  splitNode,
  startNode,
} from './node-bytes.ts'
import type { EncodedNode } from './node-bytes.ts'
import type { Place } from '../packs/pack.ts'

/** Of an item's first byte, beside its kind. */
const REPLACES = 0x80
const ATTRIBUTES = 0x40

/** Memory of an item with its name, id and place, as measured: 340 to 430. */
const ITEM_BYTES = 400

/** A node of a large directory as the one above it holds it. */
export class DirBranch {
  /** Of the last entry below. */
  readonly name: string
  readonly level: number
  /** Of all entries below, as they are hashed. */
  readonly cellBytes: number
  /** Files, bytes, id and place of what is below. */
  readonly item: Item

  constructor(name: string, level: number, cellBytes: number, item: Item) {
    this.name = name
    this.level = level
    this.cellBytes = cellBytes
    this.item = item
  }

  get id(): string | undefined {
    return this.item.place ? this.item.id : undefined
  }
}

/** A decoded node of a large directory that is no leaf: above it lies nothing, or another one. */
export interface InnerNode {
  /** From 1. */
  readonly level: number
  readonly branches: readonly DirBranch[]
  readonly marks: boolean
  readonly replaces: boolean
}

export function isInner(node: DirNode | InnerNode): node is InnerNode {
  return 'branches' in node
}

/** A directory, or a leaf of one, as it is going to be written. */
class MadeDir implements DirNode {
  readonly #entries: readonly Named[]
  readonly files: number
  readonly sizeBytes: number
  readonly marks: boolean
  readonly replaces: boolean

  constructor(entries: readonly Named[], replaces: boolean) {
    let files = 0
    let sizeBytes = 0
    let marks = replaces
    for (const entry of entries) {
      if (entry instanceof LeafEntry) {
        const { leaf, at } = entry
        files += leaf.filesAt(at)
        sizeBytes += leaf.sizeBytesAt(at)
        marks ||= leaf.marks && entry.value.isMark
      } else {
        const { value } = entry
        files += value.files
        sizeBytes += value.sizeBytes
        marks ||= value.isMark
      }
    }
    this.#entries = entries
    this.files = files
    this.sizeBytes = sizeBytes
    this.marks = marks
    this.replaces = replaces
  }

  get count(): number {
    return this.#entries.length
  }

  get names(): readonly string[] {
    return this.#entries.map(({ name }) => name)
  }

  get items(): readonly Item[] {
    return this.#entries.map(({ value }) => value)
  }

  get heldBytes(): number {
    let bytes = this.count * ITEM_BYTES
    for (const entry of this.#entries)
      if (!(entry instanceof LeafEntry)) bytes += entry.value.rare.dir?.node.heldBytes ?? 0
    return bytes
  }

  #entry(i: number): Named {
    return this.#entries[i] as Named
  }

  nameAt(i: number): string {
    return this.#entry(i).name
  }

  passingNameAt(i: number): string {
    return this.#entry(i).name
  }

  itemAt(i: number): Item {
    return this.#entry(i).value
  }

  isBareAt(): boolean {
    return false
  }

  kindAt(i: number): number {
    return this.#entry(i).value.kind
  }

  sizeBytesAt(i: number): number {
    return this.#entry(i).value.sizeBytes
  }

  filesAt(i: number): number {
    return this.#entry(i).value.files
  }

  orderAt(i: number, name: string): number {
    return compareUtf8(this.#entry(i).name, name)
  }

  entryBytesAt(i: number): number {
    return entryBytes(this.#entry(i))
  }

  writeEntry(i: number, out: ByteWriter, places: Place[]): void {
    const entry = this.#entry(i)
    if (entry instanceof LeafEntry) entry.leaf.writeEntry(entry.at, out, places)
    else {
      out.text(entry.name)
      encodeItem(out, places, entry.value)
    }
  }

  addPlaces(places: Place[]): void {
    for (const entry of this.#entries)
      if (entry instanceof LeafEntry) entry.leaf.addPlacesAt(entry.at, places)
      else addPlaces(entry.value, places)
  }
}

export function madeDir(entries: readonly Named[], replaces = false): DirNode {
  return new MadeDir(entries, replaces)
}

export function dirNode(names: readonly string[], items: readonly Item[]): DirNode {
  return madeDir(names.map((name, i) => ({ name, value: items[i] as Item })))
}

/** Entries one by one, as they lie. */
export function entriesOf(node: DirNode): readonly Named[] {
  return Array.from({ length: node.count }, (_, i) =>
    node instanceof Leaf ? new LeafEntry(node, i) : { name: node.nameAt(i), value: node.itemAt(i) },
  )
}

/** Of a run's root: nothing of the base stays. */
export function replacing(node: DirNode): DirNode {
  return madeDir(entriesOf(node), true)
}

export const EMPTY_DIR: DirNode = madeDir([])

/** Memory of a decoded node, in bytes. */
export function nodeWeight(items: number, storedBytes: number): number {
  return items * ITEM_BYTES + storedBytes
}

/** The position of the first name not below `name`, from `from` on. */
export function placeIn(node: DirNode, name: string, from = 0): number {
  let low = from
  let high = node.count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (node.orderAt(middle, name) < 0) low = middle + 1
    else high = middle
  }
  return low
}

export function hasAt(node: DirNode, i: number, name: string): boolean {
  return i < node.count && node.orderAt(i, name) === 0
}

export function childOf(node: DirNode, name: string): Item | undefined {
  const i = placeIn(node, name)
  return hasAt(node, i, name) ? node.itemAt(i) : undefined
}

export function encodeDir(node: DirNode): EncodedNode {
  const out = startNode()
  const places: Place[] = []
  out.u8(HEAD_DIR | (node.marks ? HEAD_MARKS : 0) | (node.replaces ? HEAD_REPLACES : 0))
  out.varint(node.count)
  for (let i = 0; i < node.count; i++) node.writeEntry(i, out, places)
  return endNode(out, places)
}

function encodeItem(out: ByteWriter, places: Place[], item: Item): void {
  const { kind, sizeBytes, src, at, attributes } = item
  out.u8(kind | (item.replaces ? REPLACES : 0) | (attributes ? ATTRIBUTES : 0))
  if (kind === INLINE) {
    out.varint(sizeBytes)
    out.copy(src, at, sizeBytes)
  } else if (kind <= MARKED) {
    if (item.isDir) out.varint(item.files)
    out.varint(sizeBytes)
    out.copy(src, at, ID_BYTES)
    places.push(item.place as Place)
  } else if (kind === INLINE_DIR) {
    const { length } = inlineBytes(item)
    out.varint(length)
    out.copy(src, at, length)
    addPlaces(item, places)
  } else if (kind !== GONE) {
    out.varint(item.parts.length)
    for (const [i, part] of item.parts.entries()) {
      const span = item.rare.spans?.[i]
      if (span) {
        out.varint(span.offset)
        out.varint(span.deleteBytes)
      }
      encodeItem(out, places, part)
    }
  }
  if (attributes) {
    out.varint(attributes.length)
    out.copy(attributes, 0, attributes.length)
  }
}

/** A small directory, as what stands at its name. */
export function smallDir(node: DirNode): Item {
  const canonical = encodeDir(node).canonical.slice()
  return inlineDir(node, canonical, 0, canonical.length)
}

/** Branches of one level, at least one. */
export function encodeInner(node: InnerNode): EncodedNode {
  const out = startNode()
  const places: Place[] = []
  out.u8(HEAD_BRANCHES | (node.marks ? HEAD_MARKS : 0) | (node.replaces ? HEAD_REPLACES : 0))
  out.varint(node.level)
  out.varint(node.branches.length)
  for (const { name, cellBytes, item } of node.branches) {
    out.text(name)
    out.varint(cellBytes)
    out.varint(item.files)
    out.varint(item.sizeBytes)
    out.copy(item.src, item.at, ID_BYTES)
    places.push(item.place as Place)
  }
  return endNode(out, places)
}

/** @throws VarveError CORRUPT */
export function decodeDir(stored: Uint8Array): DirNode | InnerNode {
  const { reader, hints } = splitNode(stored)
  const head = reader.u8()
  const flags = head & ~0x0f
  if ((flags & ~(HEAD_MARKS | HEAD_REPLACES)) !== 0) throw corrupt('a node has unknown flags')
  if ((head & 0x0f) !== HEAD_BRANCHES && (head & 0x0f) !== HEAD_DIR)
    throw corrupt('a node is not a directory')
  const inner = (head & 0x0f) === HEAD_BRANCHES
  const node = inner ? decodeInner(reader, hints, flags) : decodeLeaf(reader, hints, flags, 0)
  reader.end()
  hints.end()
  return node
}

function decodeLeaf(reader: ByteReader, hints: HintReader, flags: number, depth: number): Leaf {
  return readLeaf(reader, hints, flags, () => decodeItem(reader, hints, depth))
}

function decodeInner(reader: ByteReader, hints: HintReader, flags: number): InnerNode {
  const level = reader.varint()
  const count = reader.varint()
  if (level < 1 || count < 1) throw corrupt('a node of branches has none')
  const marks = (flags & HEAD_MARKS) !== 0
  const branches: DirBranch[] = []
  for (let i = 0; i < count; i++) {
    const name = reader.text()
    const cellBytes = reader.varint()
    const files = reader.varint()
    const sizeBytes = reader.varint()
    const at = reader.skip(ID_BYTES)
    const item = new Item(marks ? MARKED : DIR, sizeBytes, files, reader.bytes, at, hints.next())
    branches.push(new DirBranch(name, level - 1, cellBytes, item))
  }
  return { level, branches, marks, replaces: (flags & HEAD_REPLACES) !== 0 }
}

/** Deeper than any path is long; parts of marks count as well. */
const MAX_DEPTH = 1024

function decodeItem(reader: ByteReader, hints: HintReader, depth: number): Item {
  if (depth > MAX_DEPTH) throw corrupt('it is nested too deep')
  const byte = reader.u8()
  const replaces = byte >= REPLACES
  const item = decodeKind(byte & ~(REPLACES | ATTRIBUTES), reader, hints, depth)
  const plain = replaces ? item.replacing(true) : item
  if ((byte & ATTRIBUTES) === 0) return plain
  const size = reader.varint()
  const at = reader.skip(size)
  return plain.withAttributes(reader.bytes.subarray(at, at + size))
}

function decodeKind(kind: number, reader: ByteReader, hints: HintReader, depth: number): Item {
  if (kind === INLINE) {
    const size = reader.varint()
    return new Item(kind, size, 1, reader.bytes, reader.skip(size), undefined)
  }
  if (kind <= MARKED) {
    const files = kind >= DIR ? reader.varint() : 1
    const size = reader.varint()
    return new Item(kind, size, files, reader.bytes, reader.skip(ID_BYTES), hints.next())
  }
  if (kind === GONE) return TOMBSTONE
  if (kind === INLINE_DIR) {
    const length = reader.varint()
    const at = reader.skip(length)
    const inner = new ByteReader(reader.bytes.subarray(at, at + length))
    const head = inner.u8()
    if ((head & ~HEAD_MARKS) !== HEAD_DIR) throw corrupt('a small directory is none')
    const node = decodeLeaf(inner, hints, head & ~0x0f, depth + 1)
    inner.end()
    return inlineDir(node, reader.bytes, at, length)
  }
  if (kind > SPLICE) throw corrupt(`an entry is of the unknown kind ${kind}`)
  const count = reader.varint()
  const parts: Item[] = []
  const spans: Span[] = []
  for (let i = 0; i < count; i++) {
    if (kind === SPLICE) spans.push({ offset: reader.varint(), deleteBytes: reader.varint() })
    parts.push(decodeItem(reader, hints, depth + 1))
  }
  return kind === SPLICE ? splice(parts, spans) : joined(kind, parts, false)
}

/** Of an entry as it is hashed, its name included. */
export function entryBytes(entry: Named): number {
  return entry instanceof LeafEntry
    ? entry.leaf.entryBytesAt(entry.at)
    : textBytes(entry.name) + itemBytes(entry.value)
}

export function branchBytes({ name, cellBytes, item }: DirBranch): number {
  const sizes = varintBytes(cellBytes) + varintBytes(item.files) + varintBytes(item.sizeBytes)
  return textBytes(name) + sizes + ID_BYTES
}

function itemBytes(item: Item): number {
  const { attributes } = item
  return bareBytes(item) + (attributes ? varintBytes(attributes.length) + attributes.length : 0)
}

function bareBytes(item: Item): number {
  const { kind, sizeBytes } = item
  if (kind === INLINE || kind === INLINE_DIR) {
    const { length } = inlineBytes(item)
    return 1 + varintBytes(length) + length
  }
  if (kind <= MARKED)
    return 1 + (item.isDir ? varintBytes(item.files) : 0) + varintBytes(sizeBytes) + ID_BYTES
  if (kind === GONE) return 1
  let bytes = 1 + varintBytes(item.parts.length)
  for (const part of item.parts) bytes += itemBytes(part)
  for (const { offset, deleteBytes } of item.rare.spans ?? [])
    bytes += varintBytes(offset) + varintBytes(deleteBytes)
  return bytes
}
