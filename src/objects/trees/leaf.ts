// The entries of a directory's node as they were read: its bytes, where each entry begins and where what it names
// lies. Names and items are made when they are asked for, so that a node of a thousand is a few objects, and who
// goes by thousands of entries makes those it needs.
//
// - All of it was looked through when it was read: what is asked for later is there and well-formed.
// - Names compare as their UTF-8 does, byte by byte.
// - Few entries are more than a name, a size and an id or content; those are made at once.

import { compareUtf8 } from '../../base/bytes.ts'
import { ByteWriter, corrupt, decodeText } from '../packs/codec.ts'
import type { ByteReader } from '../packs/codec.ts'
import type { Place } from '../packs/pack.ts'
import { ID_BYTES } from '../ids.ts'
import type { HintReader } from './hints.ts'
import { addPlaces, DIR, INLINE, INLINE_DIR, Item, LIST, MARKED } from './item.ts'
import type { DirNode, Named } from './item.ts'
import { bytesHash } from './name-hash.ts'
import { HEAD_REPLACES } from './node-bytes.ts'

/** Memory of an entry beside its bytes. */
const COLUMN_BYTES = 12
/** And of one that was made at once, as measured. */
const ITEM_BYTES = 400

export class Leaf implements DirNode {
  readonly count: number
  readonly files: number
  readonly sizeBytes: number
  readonly marks: boolean
  readonly replaces: boolean
  /** Entries lie in these. */
  readonly bytes: Uint8Array
  /** Of each entry where it begins; behind the last where that ends. */
  readonly #starts: Uint32Array
  /** Of entries with an id. */
  readonly #places: readonly (Place | undefined)[]
  readonly #made: ReadonlyMap<number, Item> | undefined
  /** Names are ASCII, all of them. */
  readonly #isPlain: boolean
  /** All names one after another, and where each begins, if they are. */
  #text: { readonly all: string; readonly from: Uint32Array } | undefined

  constructor(parts: {
    readonly bytes: Uint8Array
    readonly starts: Uint32Array
    readonly places: readonly (Place | undefined)[]
    readonly made: ReadonlyMap<number, Item> | undefined
    readonly isPlain: boolean
    readonly files: number
    readonly sizeBytes: number
    readonly marks: boolean
    readonly replaces: boolean
  }) {
    this.bytes = parts.bytes
    this.#starts = parts.starts
    this.count = parts.starts.length - 1
    this.#places = parts.places
    this.#made = parts.made
    this.#isPlain = parts.isPlain
    this.files = parts.files
    this.sizeBytes = parts.sizeBytes
    this.marks = parts.marks
    this.replaces = parts.replaces
  }

  get heldBytes(): number {
    let bytes = this.count * COLUMN_BYTES
    for (const { rare } of this.#made?.values() ?? [])
      bytes += ITEM_BYTES + (rare.dir?.node.heldBytes ?? 0)
    return bytes
  }

  get names(): readonly string[] {
    return Array.from({ length: this.count }, (_, i) => this.nameAt(i))
  }

  get items(): readonly Item[] {
    return Array.from({ length: this.count }, (_, i) => this.itemAt(i))
  }

  /** Where the name begins. */
  nameFrom(i: number): number {
    return behindVarint(this.bytes, this.#starts[i] as number)
  }

  /** Where it ends, and what stands at it begins. */
  nameEnd(i: number): number {
    const { bytes } = this
    const start = this.#starts[i] as number
    return behindVarint(bytes, start) + varintAt(bytes, start)
  }

  nameAt(i: number): string {
    return decodeText(this.bytes, this.nameFrom(i), this.nameEnd(i))
  }

  passingNameAt(i: number): string {
    if (!this.#isPlain) return this.nameAt(i)
    const { all, from } = (this.#text ??= this.#texts())
    return all.slice(from[i], from[i + 1])
  }

  #texts(): { readonly all: string; readonly from: Uint32Array } {
    const { count, bytes } = this
    const from = new Uint32Array(count + 1)
    const out = new ByteWriter(16 * count)
    for (let i = 0; i < count; i++) {
      const start = this.nameFrom(i)
      out.copy(bytes, start, this.nameEnd(i) - start)
      from[i + 1] = out.at
    }
    return { all: decodeText(out.bytes, 0, out.at), from }
  }

  isBareAt(i: number): boolean {
    return this.#made?.has(i) !== true
  }

  kindAt(i: number): number {
    return this.#made?.get(i)?.kind ?? (this.bytes[this.nameEnd(i)] as number)
  }

  sizeBytesAt(i: number): number {
    const made = this.#made?.get(i)
    if (made) return made.sizeBytes
    const { bytes } = this
    const at = this.nameEnd(i)
    const size = at + 1
    return varintAt(bytes, (bytes[at] as number) >= DIR ? behindVarint(bytes, size) : size)
  }

  filesAt(i: number): number {
    const made = this.#made?.get(i)
    if (made) return made.files
    const at = this.nameEnd(i)
    return (this.bytes[at] as number) >= DIR ? varintAt(this.bytes, at + 1) : 1
  }

  itemAt(i: number): Item {
    const made = this.#made?.get(i)
    if (made) return made
    const { bytes } = this
    let at = this.nameEnd(i)
    const kind = bytes[at++] as number
    let files = 1
    if (kind >= DIR) {
      files = varintAt(bytes, at)
      at = behindVarint(bytes, at)
    }
    const sizeBytes = varintAt(bytes, at)
    return new Item(kind, sizeBytes, files, bytes, behindVarint(bytes, at), this.#places[i])
  }

  orderAt(i: number, name: string): number {
    const { bytes } = this
    const from = this.nameFrom(i)
    const size = this.nameEnd(i) - from
    const least = Math.min(size, name.length)
    for (let k = 0; k < least; k++) {
      const byte = bytes[from + k] as number
      const unit = name.charCodeAt(k)
      if (byte >= 0x80) return compareUtf8(this.nameAt(i), name)
      if (byte !== unit) return byte - unit
    }
    return size - name.length
  }

  entryBytesAt(i: number): number {
    return (this.#starts[i + 1] as number) - (this.#starts[i] as number)
  }

  /** As it lies here. */
  writeEntry(i: number, out: ByteWriter, places: Place[]): void {
    const start = this.#starts[i] as number
    out.copy(this.bytes, start, (this.#starts[i + 1] as number) - start)
    this.addPlacesAt(i, places)
  }

  addPlaces(places: Place[]): void {
    for (let i = 0; i < this.count; i++) this.addPlacesAt(i, places)
  }

  /** As `addPlaces`, of one entry. */
  addPlacesAt(i: number, places: Place[]): void {
    const place = this.#places[i]
    if (place) places.push(place)
    else if (this.#made) {
      const made = this.#made.get(i)
      if (made) addPlaces(made, places)
    }
  }

  /** Whether the entries are the same, byte for byte. */
  isSameAt(i: number, other: Leaf, j: number): boolean {
    const start = this.#starts[i] as number
    const otherStart = other.#starts[j] as number
    const size = (this.#starts[i + 1] as number) - start
    if (size !== (other.#starts[j + 1] as number) - otherStart) return false
    // Ids stand last, and differ.
    const a = this.bytes
    const b = other.bytes
    for (let k = size - 1; k >= 0; k--) if (a[start + k] !== b[otherStart + k]) return false
    return true
  }

  /** As `nameHash`. */
  hashAt(seed: number, level: number, i: number): number {
    return bytesHash(seed, level, this.bytes, this.nameFrom(i), this.nameEnd(i))
  }
}

/** An entry where it lies, as it goes from one node to another. */
export class LeafEntry implements Named {
  readonly leaf: Leaf
  readonly at: number

  constructor(leaf: Leaf, at: number) {
    this.leaf = leaf
    this.at = at
  }

  get name(): string {
    return this.leaf.nameAt(this.at)
  }

  get value(): Item {
    return this.leaf.itemAt(this.at)
  }

  get comes(): true {
    return true
  }

  /** A whole file, which replaces nothing. */
  get isFile(): boolean {
    const { leaf, at } = this
    return leaf.isBareAt(at) && leaf.kindAt(at) <= LIST
  }
}

/**
 * The entries a reader stands before.
 * @param itemOf reads an item of any kind @throws VarveError CORRUPT
 */
export function readLeaf(
  reader: ByteReader,
  hints: HintReader,
  flags: number,
  itemOf: () => Item,
): Leaf {
  const { bytes } = reader
  const count = reader.varint()
  if (count > bytes.length) throw corrupt('it ends too early')
  const starts = new Uint32Array(count + 1)
  const places: (Place | undefined)[] = []
  const replaces = (flags & HEAD_REPLACES) !== 0
  let made: Map<number, Item> | undefined
  let isPlain = true
  let marks = replaces
  let files = 0
  let sizeBytes = 0
  for (let i = 0; i < count; i++) {
    starts[i] = reader.at
    if (!reader.skipText()) isPlain = false
    const kind = bytes[reader.at] ?? INLINE_DIR
    if (kind > MARKED) {
      const item = itemOf()
      made ??= new Map()
      made.set(i, item)
      places.push(undefined)
      files += item.files
      sizeBytes += item.sizeBytes
      if (item.isMark) marks = true
      continue
    }
    reader.at++
    files += kind >= DIR ? reader.varint() : 1
    const size = reader.varint()
    sizeBytes += size
    reader.skip(kind === INLINE ? size : ID_BYTES)
    places.push(kind === INLINE ? undefined : hints.next())
    if (kind === MARKED) marks = true
  }
  starts[count] = reader.at
  return new Leaf({ bytes, starts, places, made, isPlain, files, sizeBytes, marks, replaces })
}

/** Of a number that was read before. */
function varintAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number
  if (first < 0x80) return first
  let value = first & 0x7f
  let scale = 0x80
  for (let k = at + 1; ; k++) {
    const byte = bytes[k] as number
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value
    scale *= 0x80
  }
}

function behindVarint(bytes: Uint8Array, at: number): number {
  let k = at
  while ((bytes[k] as number) >= 0x80) k++
  return k + 1
}
