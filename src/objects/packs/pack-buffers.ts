// Memory of packs, used again: a new buffer of this size costs more than all else that is done with
// the bytes in it, because every page of it is fetched from the system and cleared.

import { assert } from '../../base/assert.ts'

/** Of a pack, unless a single frame is larger. */
export const MAX_PACK_BYTES: number = 32 * 1024 * 1024
const KEPT = 2

export class PackBuffers {
  readonly #free: Uint8Array[] = []

  /** MAX_PACK_BYTES long; what it holds is of no account. */
  take(): Uint8Array {
    return this.#free.pop() ?? new Uint8Array(MAX_PACK_BYTES)
  }

  /** Nobody may look at it any more. One of another size is forgotten. */
  give(buffer: Uint8Array): void {
    assert(!this.#free.includes(buffer), 'a buffer is given back once')
    if (buffer.length === MAX_PACK_BYTES && this.#free.length < KEPT) this.#free.push(buffer)
  }
}
