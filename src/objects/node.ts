// Nodes of trees: of a directory, which is a tree of its own where it is large (prolly.ts), with its
// entries in byte order of their names; or the flat list of a big file's chunks. Runs, which are staged
// writes, are the same directories with marks in them.
//
// Stored: u32, little-endian, size of the canonical part · canonical part · hints.
// The canonical part alone is hashed, so it says what, never where:
//   u8 header (1 directory, 2 chunk list, 3 branches of a directory; a run's: | 0x10 holds marks,
//   | 0x20 replaces what is below) · of branches: varint level · varint count · entries
//   entry of a directory: text name · item;  of a chunk list: varint size · id
//   branch: text last name below · varint bytes of entries · varint files · varint bytes · id
//   item: u8 kind (| 0x80: replaces whatever was at the name) · by kind
//     inline  varint size · bytes
//     chunk   varint size · id
//     list    varint size · id
//     dir, marked dir   varint files · varint bytes · id
//     gone    –
//     append, join      varint parts · items
// Hints, one for each id in the same order: varint 0 (same place as the one before) or 1 + pack's
// number, zigzag offset relative to the end of the place before, varint length; in front of them
// varint packs and their 16-byte names.
//
// A tree holds no marks, no empty directory but the root, and every file in the one form its content
// allows: inline to 512 bytes, one chunk when it has one, a list otherwise.

import { compareUtf8, fromHex, toHex } from '../base/bytes.ts'
import { ByteReader, ByteWriter, corrupt, textBytes, varintBytes } from './codec.ts'
import { ID_BYTES, sameId } from './ids.ts'
import { HintReader, HintWriter } from './hints.ts'
import type { Place } from './pack.ts'

export const INLINE = 0
export const CHUNK = 1
export const LIST = 2
export const DIR = 3
/** A directory of a run with marks somewhere below. */
export const MARKED = 4
export const GONE = 5
/** Added to the end of the file as it is below. */
export const APPEND = 6
/** Put and then added to: the parts one after another. */
export const JOIN = 7
const REPLACES = 0x80

export const INLINE_BYTES = 512

const HEAD_DIR = 1
const HEAD_LIST = 2
const HEAD_BRANCHES = 3
const HEAD_MARKS = 0x10
const HEAD_REPLACES = 0x20
const NO_PARTS: readonly Item[] = []

/** What stands at a name. */
export class Item {
  readonly kind: number
  readonly sizeBytes: number
  readonly files: number
  /** The content of an inline file, or else the id, begins at `at` of `src`. */
  readonly src: Uint8Array
  readonly at: number
  readonly place: Place | undefined
  readonly parts: readonly Item[]
  /** In runs: whatever the base has at the name goes, be it file or directory, without a conflict. */
  readonly replaces: boolean
  #hex = ''

  constructor(
    kind: number,
    sizeBytes: number,
    files: number,
    src: Uint8Array,
    at: number,
    place: Place | undefined,
    parts: readonly Item[] = NO_PARTS,
    replaces = false,
  ) {
    this.kind = kind
    this.sizeBytes = sizeBytes
    this.files = files
    this.src = src
    this.at = at
    this.place = place
    this.parts = parts
    this.replaces = replaces
  }

  get isDir(): boolean {
    return this.kind === DIR || this.kind === MARKED
  }

  /** A whole file, as trees hold them. */
  get isFile(): boolean {
    return this.kind <= LIST
  }

  get id(): string {
    this.#hex ||= toHex(this.src.subarray(this.at, this.at + ID_BYTES))
    return this.#hex
  }

  replacing(replaces: boolean): Item {
    if (this.replaces === replaces) return this
    const { kind, sizeBytes, files, src, at, place, parts } = this
    return new Item(kind, sizeBytes, files, src, at, place, parts, replaces)
  }
}

export const NOTHING: Uint8Array = new Uint8Array(0)
export const TOMBSTONE = new Item(GONE, 0, 0, NOTHING, 0, undefined)

export function inlineItem(bytes: Uint8Array): Item {
  return new Item(INLINE, bytes.length, 1, bytes, 0, undefined)
}

export function idItem(
  kind: number,
  id: Uint8Array | string,
  place: Place,
  size: { sizeBytes: number; files?: number },
): Item {
  const src = typeof id === 'string' ? fromHex(id) : id
  return new Item(kind, size.sizeBytes, size.files ?? 1, src, 0, place)
}

/** Same content. Both items are of trees. */
export function sameItem(a: Item | undefined, b: Item | undefined): boolean {
  if (a === b) return true
  if (!a || !b || a.kind !== b.kind || a.sizeBytes !== b.sizeBytes) return false
  if (a.kind !== INLINE) return sameId(a.src, a.at, b.src, b.at)
  for (let i = 0; i < a.sizeBytes; i++) if (a.src[a.at + i] !== b.src[b.at + i]) return false
  return true
}

/** A decoded directory, or a leaf of a large one; names[i] names items[i]. */
export interface DirNode {
  readonly names: readonly string[]
  readonly items: readonly Item[]
  readonly files: number
  readonly sizeBytes: number
  readonly marks: boolean
  /** Only of a run's root: nothing of the base stays. */
  readonly replaces: boolean
}

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

  get id(): string {
    return this.item.id
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
    if (item.kind >= MARKED || item.replaces) marks = true
  }
  return { names, items, files, sizeBytes, marks, replaces }
}

/** Memory of a decoded node, roughly, in bytes. */
export function nodeWeight(items: number, storedBytes: number): number {
  return items * 160 + storedBytes
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

/** Views of memory that the next encoding uses again: copy what is to stay. */
export interface EncodedNode {
  readonly canonical: Uint8Array
  /** What is stored: the canonical part with its hints. */
  readonly stored: Uint8Array
}

const SIZE_BYTES = 4
const MAX_SCRATCH_BYTES = 4 * 1024 * 1024

// Fresh memory for every node would cost more than filling it.
let scratch = new ByteWriter(64 * 1024)

function startNode(): ByteWriter {
  if (scratch.bytes.length > MAX_SCRATCH_BYTES) scratch = new ByteWriter(64 * 1024)
  scratch.at = SIZE_BYTES
  return scratch
}

function endNode(out: ByteWriter, hints: HintWriter): EncodedNode {
  const end = out.at
  hints.writeTo(out)
  const stored = out.done()
  sizeField(stored).setUint32(0, end - SIZE_BYTES, true)
  return { canonical: stored.subarray(SIZE_BYTES, end), stored }
}

function sizeField(stored: Uint8Array): DataView {
  return new DataView(stored.buffer, stored.byteOffset, SIZE_BYTES)
}

export function encodeDir(node: DirNode): EncodedNode {
  const out = startNode()
  const hints = new HintWriter()
  out.u8(HEAD_DIR | (node.marks ? HEAD_MARKS : 0) | (node.replaces ? HEAD_REPLACES : 0))
  out.varint(node.items.length)
  for (let i = 0; i < node.items.length; i++) {
    out.text(node.names[i] as string)
    encodeItem(out, hints, node.items[i] as Item)
  }
  return endNode(out, hints)
}

export function encodeList(chunks: readonly Item[]): EncodedNode {
  const out = startNode()
  const hints = new HintWriter()
  out.u8(HEAD_LIST)
  out.varint(chunks.length)
  for (const chunk of chunks) {
    out.varint(chunk.sizeBytes)
    out.copy(chunk.src, chunk.at, ID_BYTES)
    hints.add(chunk.place as Place)
  }
  return endNode(out, hints)
}

function encodeItem(out: ByteWriter, hints: HintWriter, item: Item): void {
  out.u8(item.kind | (item.replaces ? REPLACES : 0))
  if (item.kind === INLINE) {
    out.varint(item.sizeBytes)
    out.copy(item.src, item.at, item.sizeBytes)
  } else if (item.kind <= MARKED) {
    if (item.isDir) out.varint(item.files)
    out.varint(item.sizeBytes)
    out.copy(item.src, item.at, ID_BYTES)
    hints.add(item.place as Place)
  } else if (item.kind !== GONE) {
    out.varint(item.parts.length)
    for (const part of item.parts) encodeItem(out, hints, part)
  }
}

/** Branches of one level, at least one. */
export function encodeInner(node: InnerNode): EncodedNode {
  const out = startNode()
  const hints = new HintWriter()
  out.u8(HEAD_BRANCHES | (node.marks ? HEAD_MARKS : 0) | (node.replaces ? HEAD_REPLACES : 0))
  out.varint(node.level)
  out.varint(node.branches.length)
  for (const { name, cellBytes, item } of node.branches) {
    out.text(name)
    out.varint(cellBytes)
    out.varint(item.files)
    out.varint(item.sizeBytes)
    out.copy(item.src, item.at, ID_BYTES)
    hints.add(item.place as Place)
  }
  return endNode(out, hints)
}

/** @throws VarveError CORRUPT */
export function decodeDir(stored: Uint8Array): DirNode | InnerNode {
  const { reader, hints } = split(stored)
  const head = reader.u8()
  const flags = head & ~0x0f
  if ((flags & ~(HEAD_MARKS | HEAD_REPLACES)) !== 0) throw corrupt('a node has unknown flags')
  if ((head & 0x0f) === HEAD_BRANCHES) return decodeInner(reader, hints, flags)
  if ((head & 0x0f) !== HEAD_DIR) throw corrupt('a node is not a directory')
  const count = reader.varint()
  const names: string[] = []
  const items: Item[] = []
  for (let i = 0; i < count; i++) {
    const name = reader.text()
    names.push(name)
    items.push(decodeItem(reader, hints, 0))
  }
  reader.end()
  hints.end()
  return dirNode(names, items, (head & HEAD_REPLACES) !== 0)
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
  reader.end()
  hints.end()
  return { level, branches, marks, replaces: (flags & HEAD_REPLACES) !== 0 }
}

/** @throws VarveError CORRUPT */
export function decodeList(stored: Uint8Array): Item[] {
  const { reader, hints } = split(stored)
  if (reader.u8() !== HEAD_LIST) throw corrupt('a node is not a chunk list')
  const count = reader.varint()
  const chunks: Item[] = []
  for (let i = 0; i < count; i++) {
    const sizeBytes = reader.varint()
    const at = reader.skip(ID_BYTES)
    chunks.push(new Item(CHUNK, sizeBytes, 1, reader.bytes, at, hints.next()))
  }
  reader.end()
  hints.end()
  return chunks
}

function decodeItem(reader: ByteReader, hints: HintReader, depth: number): Item {
  const byte = reader.u8()
  const kind = byte & ~REPLACES
  const replaces = byte >= REPLACES
  if (kind === INLINE) {
    const size = reader.varint()
    const at = reader.skip(size)
    return new Item(kind, size, 1, reader.bytes, at, undefined, NO_PARTS, replaces)
  }
  if (kind <= MARKED) {
    const files = kind >= DIR ? reader.varint() : 1
    const size = reader.varint()
    const at = reader.skip(ID_BYTES)
    return new Item(kind, size, files, reader.bytes, at, hints.next(), NO_PARTS, replaces)
  }
  if (kind === GONE) return TOMBSTONE.replacing(replaces)
  if (kind > JOIN || depth > 0) throw corrupt(`an entry is of the unknown kind ${kind}`)
  const count = reader.varint()
  const parts: Item[] = []
  for (let i = 0; i < count; i++) parts.push(decodeItem(reader, hints, depth + 1))
  return joined(kind, parts, replaces)
}

/** A mark that adds up parts. A join counts as the file it will become; an append adds bytes only. */
export function joined(kind: number, parts: readonly Item[], replaces: boolean): Item {
  const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0)
  return new Item(kind, sizeBytes, kind === JOIN ? 1 : 0, NOTHING, 0, undefined, parts, replaces)
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
  if (item.kind === INLINE) return 1 + varintBytes(item.sizeBytes) + item.sizeBytes
  if (item.kind <= MARKED)
    return 1 + (item.isDir ? varintBytes(item.files) : 0) + varintBytes(item.sizeBytes) + ID_BYTES
  if (item.kind === GONE) return 1
  return item.parts.reduce((sum, part) => sum + itemBytes(part), 1 + varintBytes(item.parts.length))
}

/** The canonical part of a stored node, to check its id with. @throws VarveError CORRUPT */
export function canonicalPart(stored: Uint8Array): Uint8Array {
  if (stored.length < SIZE_BYTES) throw corrupt('a node ends too early')
  const end = SIZE_BYTES + sizeField(stored).getUint32(0, true)
  if (end > stored.length) throw corrupt('a node ends too early')
  return stored.subarray(SIZE_BYTES, end)
}

function split(stored: Uint8Array): { reader: ByteReader; hints: HintReader } {
  const canonical = canonicalPart(stored)
  const from = SIZE_BYTES + canonical.length
  return { reader: new ByteReader(canonical), hints: new HintReader(stored.subarray(from)) }
}
