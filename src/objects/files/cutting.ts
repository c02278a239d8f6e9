// Cutting and naming a long content window by window, as it is done on whatever thread.

import { assert } from '../../base/assert.ts'
import type { Cuts, Hash, Stretch } from '../guests.ts'
import { cutSize, MAX_CHUNK_BYTES } from './chunker.ts'

export const HASH_BYTES = 32
/** Less than this is left over of a window: it may still grow. */
export const FRONT_BYTES: number = MAX_CHUNK_BYTES

/** Of one content. */
export class Cutter {
  readonly #hash: Hash
  /** Memory that is used again: on a thread that makes little else it would be collected late. */
  readonly #rest = new Uint8Array(FRONT_BYTES)
  #restBytes = 0

  constructor(hash: Hash) {
    this.#hash = hash
  }

  /**
   * The chunks that begin in the window, and in what the windows before left over, which is put in front of
   * it. What may still grow is left over in turn; a copy, so that the window may be filled again.
   */
  cut(bytes: Uint8Array, { end, isLast }: Stretch): Cuts {
    const start = FRONT_BYTES - this.#restBytes
    bytes.set(this.#rest.subarray(0, this.#restBytes), start)
    const sizes: number[] = []
    const hashes: Uint8Array[] = []
    const least = isLast ? 1 : MAX_CHUNK_BYTES
    let at = start
    while (end - at >= least) {
      const size = cutSize(bytes, at, end)
      hashes.push(this.#hash(bytes.subarray(at, at + size)))
      sizes.push(size)
      at += size
    }
    assert(end - at <= FRONT_BYTES, 'less than a chunk is left over')
    this.#rest.set(bytes.subarray(at, end))
    this.#restBytes = end - at
    const all = new Uint8Array(hashes.length * HASH_BYTES)
    hashes.forEach((one, i) => all.set(one, i * HASH_BYTES))
    return { start, sizes, hashes: all }
  }
}
