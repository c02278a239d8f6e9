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
import type { DirNode, Span } from './item.ts'
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

export const EMPTY_DIR: DirNode = {
  names: [],
  items: [],
  files: 0,
  sizeBytes: 0,
  marks: false,
  replaces: false,
}

export function dirNode(names: string[], items: Item[], replaces = false): DirNode {
  let files = 0
  let sizeBytes = 0
  let marks = replaces
  for (const item of items) {
    files += item.files
    sizeBytes += item.sizeBytes
    if (item.isMark) marks = true
  }
  return { names, items, files, sizeBytes, marks, replaces }
}

/** Memory of a decoded node, in bytes, as measured: an item with its name, id and place takes 340 to 430. */
export function nodeWeight(items: number, storedBytes: number): number {
  return items * 400 + storedBytes
}

/** The position of the first name not below `name`, from `from` on. */
export function lowerBound(names: readonly string[], name: string, from = 0): number {
  let low = from
  let high = names.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareUtf8(names[middle] as string, name) < 0) low = middle + 1
    else high = middle
  }
  return low
}

export function childOf(node: DirNode, name: string): Item | undefined {
  const i = lowerBound(node.names, name)
  return node.names[i] === name ? node.items[i] : undefined
}

export function encodeDir(node: DirNode): EncodedNode {
  const out = startNode()
  const places: Place[] = []
  out.u8(HEAD_DIR | (node.marks ? HEAD_MARKS : 0) | (node.replaces ? HEAD_REPLACES : 0))
  out.varint(node.items.length)
  for (let i = 0; i < node.items.length; i++) {
    out.text(node.names[i] as string)
    encodeItem(out, places, node.items[i] as Item)
  }
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

/** Of all ids that stand in an item, in their order. */
function addPlaces(item: Item, places: Place[]): void {
  if (item.place) places.push(item.place)
  for (const part of item.parts) addPlaces(part, places)
  for (const one of item.rare.dir?.node.items ?? []) addPlaces(one, places)
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
  const node = inner ? decodeInner(reader, hints, flags) : decodeEntries(reader, hints, flags, 0)
  reader.end()
  hints.end()
  return node
}

function decodeEntries(
  reader: ByteReader,
  hints: HintReader,
  flags: number,
  depth: number,
): DirNode {
  const count = reader.varint()
  const names: string[] = []
  const items: Item[] = []
  for (let i = 0; i < count; i++) {
    const name = reader.text()
    names.push(name)
    items.push(decodeItem(reader, hints, depth))
  }
  return dirNode(names, items, (flags & HEAD_REPLACES) !== 0)
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
    const node = decodeEntries(inner, hints, head & ~0x0f, depth + 1)
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
export function entryBytes(name: string, item: Item): number {
  return textBytes(name) + itemBytes(item)
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
