// What stands at a name of a directory, and what it is made of: content or an id, a size, a place.

import { toHex, fromHex } from '../../base/bytes.ts'
import { ID_BYTES, sameId } from '../ids.ts'
import type { ByteWriter } from '../packs/codec.ts'
import type { Place } from '../packs/pack.ts'

export const INLINE = 0
export const CHUNK = 1
export const LIST = 2
export const DIR = 3
/** A directory of a run with marks somewhere below. */
export const MARKED = 4
export const GONE = 5
/** A change of the file as it is below: its parts are added to its end, or are a `Splice`. */
export const APPEND = 6
/** A file put and then changed: its first part, changed by the others. */
export const JOIN = 7
/** A small directory, whole; a run's may have marks. */
export const INLINE_DIR = 8
/** Only as a part: stretches of what the parts before made are replaced by its own parts. */
export const SPLICE = 9

export const INLINE_BYTES = 512

/** A name, and what stands at it. */
export interface Named {
  readonly name: string
  readonly value: Item
}

/** A directory, or a leaf of a large one: entries in byte order of their names. */
export interface DirNode {
  readonly count: number
  nameAt(i: number): string
  /** The same, cheap: it may hold on to the names of all, so it is for what is soon dropped. */
  passingNameAt(i: number): string
  itemAt(i: number): Item
  /** Whether it has nothing that few have. */
  isBareAt(i: number): boolean
  kindAt(i: number): number
  sizeBytesAt(i: number): number
  filesAt(i: number): number
  /** Where the name there stands against another: negative, zero or positive. */
  orderAt(i: number, name: string): number
  /** Of an entry as it is hashed, its name included. */
  entryBytesAt(i: number): number
  /** The entry as it is hashed; of the ids in it, in their order, the places. */
  writeEntry(i: number, out: ByteWriter, places: Place[]): void
  /** Of all ids in all entries, in their order. */
  addPlaces(places: Place[]): void
  /** All at once, made anew each time. */
  readonly names: readonly string[]
  readonly items: readonly Item[]
  readonly files: number
  readonly sizeBytes: number
  readonly marks: boolean
  /** Only of a run's root: nothing of the base stays. */
  readonly replaces: boolean
  /** Memory it takes, roughly, beside the bytes it was read from. */
  readonly heldBytes: number
}

/** What few items have. */
interface Rare {
  readonly parts?: readonly Item[]
  /** Of a splice, one for each part, in order and apart: what of the file it takes the place of. */
  readonly spans?: readonly Span[]
  /** In runs: whatever the base has at the name goes, be it file or directory, without a conflict. */
  readonly replaces?: boolean
  /** Of a file, as attributes.ts writes them. */
  readonly attributes?: Uint8Array
  /** Of a small directory, with its canonical bytes at `at` of `src`. */
  readonly dir?: { readonly node: DirNode; readonly length: number }
}

export interface Span {
  readonly offset: number
  readonly deleteBytes: number
}

export function isDirKind(kind: number): boolean {
  return kind === DIR || kind === MARKED || kind === INLINE_DIR
}

const NO_PARTS: readonly Item[] = []
const NOTHING_RARE: Rare = {}

export class Item {
  readonly kind: number
  readonly sizeBytes: number
  readonly files: number
  /** The content of an inline file or directory, or else the id, begins at `at` of `src`. */
  readonly src: Uint8Array
  readonly at: number
  readonly place: Place | undefined
  readonly rare: Rare
  #hex = ''

  constructor(
    kind: number,
    sizeBytes: number,
    files: number,
    src: Uint8Array,
    at: number,
    place: Place | undefined,
    rare: Rare = NOTHING_RARE,
  ) {
    this.kind = kind
    this.sizeBytes = sizeBytes
    this.files = files
    this.src = src
    this.at = at
    this.place = place
    this.rare = rare
  }

  get isDir(): boolean {
    return isDirKind(this.kind)
  }

  /** A whole file, as trees hold them. */
  get isFile(): boolean {
    return this.kind <= LIST
  }

  /** It, or something below it, can stand in a run only. */
  get isMark(): boolean {
    const { kind, rare } = this
    if (kind === INLINE_DIR) return rare.replaces === true || rare.dir?.node.marks === true
    return kind >= MARKED || rare.replaces === true
  }

  get replaces(): boolean {
    return this.rare.replaces === true
  }

  get parts(): readonly Item[] {
    return this.rare.parts ?? NO_PARTS
  }

  get attributes(): Uint8Array | undefined {
    return this.rare.attributes
  }

  /** Of what lies somewhere: content that is inline has none. */
  get id(): string {
    this.#hex ||= toHex(this.src.subarray(this.at, this.at + ID_BYTES))
    return this.#hex
  }

  replacing(replaces: boolean): Item {
    return this.replaces === replaces ? this : this.#with({ ...this.rare, replaces })
  }

  withAttributes(attributes: Uint8Array | undefined): Item {
    const { attributes: before, ...rare } = this.rare
    if (before === attributes) return this
    return this.#with(attributes ? { ...rare, attributes } : rare)
  }

  #with(rare: Rare): Item {
    const { kind, sizeBytes, files, src, at, place } = this
    return new Item(kind, sizeBytes, files, src, at, place, rare)
  }
}

const NOTHING = new Uint8Array(0)
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

/** A small directory. @param at where its canonical bytes, `length` of them, begin in `src` */
export function inlineDir(node: DirNode, src: Uint8Array, at: number, length: number): Item {
  const dir = { node, length }
  return new Item(INLINE_DIR, node.sizeBytes, node.files, src, at, undefined, { dir })
}

/** A mark that adds up parts. A join counts as the file it will become; an append adds bytes only. */
export function joined(kind: number, parts: readonly Item[], replaces: boolean): Item {
  return new Item(kind, sumBytes(parts), kind === JOIN ? 1 : 0, NOTHING, 0, undefined, {
    parts,
    replaces,
  })
}

export function splice(parts: readonly Item[], spans: readonly Span[]): Item {
  return new Item(SPLICE, sumBytes(parts), 0, NOTHING, 0, undefined, { parts, spans })
}

function sumBytes(parts: readonly Item[]): number {
  return parts.reduce((sum, part) => sum + part.sizeBytes, 0)
}

/** Of all ids that stand in an item, in their order. */
export function addPlaces(item: Item, places: Place[]): void {
  if (item.place) places.push(item.place)
  for (const part of item.parts) addPlaces(part, places)
  item.rare.dir?.node.addPlaces(places)
}

/** Same content and attributes. Both items are of trees. */
export function sameItem(a: Item | undefined, b: Item | undefined): boolean {
  if (a === b) return true
  if (!a || !b || a.kind !== b.kind || a.sizeBytes !== b.sizeBytes) return false
  if (!sameBytes(a.attributes, b.attributes)) return false
  if (a.kind !== INLINE && a.kind !== INLINE_DIR) return sameId(a.src, a.at, b.src, b.at)
  return sameBytes(inlineBytes(a), inlineBytes(b))
}

/** Of an inline file its content, of a small directory its canonical bytes. */
export function inlineBytes({ src, at, sizeBytes, rare }: Item): Uint8Array {
  return src.subarray(at, at + (rare.dir?.length ?? sizeBytes))
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === b) return true
  if (!a || !b || a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
