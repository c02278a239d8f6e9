// Identity: keyed BLAKE3 of content, so that the same bytes have one id within a store, and ids of
// one store say nothing about short secrets in another.
//   chunk  BLAKE3(store key ‖ BLAKE3(bytes))
//   node   BLAKE3(store key ‖ BLAKE3(canonical bytes) ‖ 0x01)
//   pack   BLAKE3(store key ‖ BLAKE3(what pack-footer.ts says) ‖ name ‖ 0x02), only to check it with
// The extra byte keeps them apart: nobody can upload a file whose id is that of a directory.

import { assert } from '../base/assert.ts'
import { fromHex } from '../base/bytes.ts'
import type { Hash } from './guests.ts'

export const ID_BYTES = 32

const SPLIT = new TextEncoder().encode('split')

export class Ids {
  readonly #hash: Hash
  readonly #chunk = new Uint8Array(64)
  readonly #node = new Uint8Array(65)
  readonly #pack = new Uint8Array(81)

  constructor(hash: Hash, storeKey: Uint8Array) {
    assert(storeKey.length === 32, 'a store key is 32 bytes')
    this.#hash = hash
    this.#chunk.set(storeKey)
    this.#node.set(storeKey)
    this.#node[64] = 1
    this.#pack.set(storeKey)
    this.#pack[80] = 2
  }

  ofChunk(bytes: Uint8Array): Uint8Array {
    return this.ofHash(this.#hash(bytes))
  }

  /** Plain BLAKE3. */
  hash(bytes: Uint8Array): Uint8Array {
    return this.#hash(bytes)
  }

  /** Where directories are split must not be for those to choose who choose names: of the store's key. */
  splitSeed(): number {
    const [a = 0, b = 0, c = 0, d = 0] = this.ofNode(SPLIT)
    return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
  }

  /** Of the chunk whose bytes have this BLAKE3. */
  ofHash(hash: Uint8Array): Uint8Array {
    assert(hash.length === 32, 'a BLAKE3 is 32 bytes')
    this.#chunk.set(hash, 32)
    return this.#hash(this.#chunk)
  }

  ofNode(canonical: Uint8Array): Uint8Array {
    this.#node.set(this.#hash(canonical), 32)
    return this.#hash(this.#node)
  }

  /** @param name 32 hex digits */
  ofPack(name: string, bytes: Uint8Array): Uint8Array {
    assert(name.length === 32, 'a pack is called by 16 bytes')
    this.#pack.set(this.#hash(bytes), 32)
    this.#pack.set(fromHex(name), 64)
    return this.#hash(this.#pack)
  }
}

/** Whether the 32 bytes at `i` of `a` are the 32 bytes at `j` of `b`. */
export function sameId(a: Uint8Array, i: number, b: Uint8Array, j: number): boolean {
  for (let k = 0; k < ID_BYTES; k++) if (a[i + k] !== b[j + k]) return false
  return true
}
