// Packs as they were listed once, numbered in the order of their names, and which parts of each are in
// use. Of each pack it holds 16 bytes of name, its size, and two bits for each block of 16 KiB: whether
// anything in it is used, and whether anything that is used begins in it.
//
// Packs written since the listing get numbers above it: trees in them are walked like others, and
// nobody thinks of collecting them.

import { fromHex, toHex } from '../../base/bytes.ts'
import type { BlobStore } from '../../blob/blob.ts'

const NAME_BYTES = 16
/** By which use is told. */
export const BLOCK_BYTES: number = 16 * 1024
const PREFIX = 'packs/'
const REMEMBERED = 4_096

export class PackListing {
  /** How many were listed. */
  readonly count: number
  readonly #blockBytes: number
  readonly #names: Uint8Array
  readonly #sizes: Float64Array
  /** Where the bits of each begin, in bytes. */
  readonly #starts: Float64Array
  readonly #used: Uint8Array
  /** As `#used`, of the blocks in which something used begins. */
  readonly #begun: Uint8Array
  readonly #newer = new Map<string, number>()
  readonly #known = new Map<string, number>()

  private constructor(names: Uint8Array, sizes: readonly number[], blockBytes: number) {
    this.#blockBytes = blockBytes
    this.count = sizes.length
    this.#names = names
    this.#sizes = Float64Array.from(sizes)
    this.#starts = new Float64Array(sizes.length + 1)
    let start = 0
    for (const [n, size] of sizes.entries()) {
      this.#starts[n] = start
      start += Math.ceil(Math.ceil(size / blockBytes) / 8) + 1
    }
    this.#starts[sizes.length] = start
    this.#used = new Uint8Array(start)
    this.#begun = new Uint8Array(start)
  }

  /** @throws VarveError UNAVAILABLE */
  static async read(blob: BlobStore, blockBytes = BLOCK_BYTES): Promise<PackListing> {
    let names = new Uint8Array(64 * NAME_BYTES)
    const sizes: number[] = []
    for await (const { key, sizeBytes } of blob.list(PREFIX)) {
      const name = key.slice(PREFIX.length)
      if (!/^[0-9a-f]{32}$/.test(name)) continue
      const at = sizes.length * NAME_BYTES
      if (at === names.length) {
        const grown = new Uint8Array(names.length * 2)
        grown.set(names)
        names = grown
      }
      names.set(fromHex(name), at)
      sizes.push(sizeBytes)
    }
    return new PackListing(names, sizes, blockBytes)
  }

  name(n: number): string {
    return toHex(this.#names.subarray(n * NAME_BYTES, (n + 1) * NAME_BYTES))
  }

  sizeBytes(n: number): number {
    return this.#sizes[n] ?? 0
  }

  /** Below `count`: it was listed. */
  numberOf(pack: string): number {
    const known = this.#known.get(pack) ?? this.#newer.get(pack)
    if (known !== undefined) return known
    const found = this.#search(pack)
    if (found === undefined) {
      const number = this.count + this.#newer.size
      this.#newer.set(pack, number)
      return number
    }
    if (this.#known.size >= REMEMBERED) this.#known.clear()
    this.#known.set(pack, found)
    return found
  }

  /** Says that this part of a listed pack is in use. */
  use(n: number, offset: number, length: number): void {
    if (n >= this.count) return
    const start = this.#starts[n] as number
    this.#used[start] = 1
    const first = Math.floor(offset / this.#blockBytes)
    const last = Math.floor((offset + Math.max(length, 1) - 1) / this.#blockBytes)
    const begun = start + 1 + (first >> 3)
    if (begun < (this.#starts[n + 1] as number))
      this.#begun[begun] = (this.#begun[begun] as number) | (1 << (first & 7))
    for (let block = first; block <= last; block++) {
      const at = start + 1 + (block >> 3)
      // A hint beyond the end of its pack is for the reader to complain of.
      if (at >= (this.#starts[n + 1] as number)) return
      this.#used[at] = (this.#used[at] as number) | (1 << (block & 7))
    }
  }

  isUsed(n: number): boolean {
    return this.#used[this.#starts[n] as number] === 1
  }

  /** Whether a frame that begins there may be in use: it is, or one that begins in the same block. */
  isUsedAt(n: number, offset: number): boolean {
    const block = Math.floor(offset / this.#blockBytes)
    const byte = this.#begun[(this.#starts[n] as number) + 1 + (block >> 3)] as number
    return (byte & (1 << (block & 7))) !== 0
  }

  /** Whether it was there when they were listed. */
  has(pack: string): boolean {
    return this.numberOf(pack) < this.count
  }

  /** Whether anybody asked for its number. */
  isNamed(pack: string): boolean {
    return this.#newer.has(pack) || this.#search(pack) !== undefined
  }

  /** At most so many bytes of it are in use. */
  usedBytes(n: number): number {
    let blocks = 0
    for (let at = (this.#starts[n] as number) + 1; at < (this.#starts[n + 1] as number); at++)
      for (let bits = this.#used[at] as number; bits !== 0; bits &= bits - 1) blocks++
    return Math.min(blocks * this.#blockBytes, this.sizeBytes(n))
  }

  #search(pack: string): number | undefined {
    const wanted = fromHex(pack)
    let low = 0
    let high = this.count - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const order = compareName(this.#names, middle * NAME_BYTES, wanted)
      if (order === 0) return middle
      if (order < 0) low = middle + 1
      else high = middle - 1
    }
    return undefined
  }
}

function compareName(names: Uint8Array, at: number, wanted: Uint8Array): number {
  for (let i = 0; i < NAME_BYTES; i++) {
    const order = (names[at + i] as number) - (wanted[i] as number)
    if (order !== 0) return order
  }
  return 0
}
