// Memory of packs, used again: a new buffer of this size costs more than all else that is done with
// the bytes in it, because every page of it is fetched from the system and cleared. Small ones cost a
// collection of the whole heap for every hundred, because their memory is not in it.

import { assert } from '../../base/assert.ts'

/** Of a pack, unless a single frame is larger. */
export const MAX_PACK_BYTES: number = 32 * 1024 * 1024
const KEPT = 2

/** What JavaScript has that begins with a page of memory; the language's own types leave it out. */
declare const WebAssembly: {
  readonly Memory: new (pages: { readonly initial: number; readonly maximum: number }) => {
    readonly buffer: ArrayBuffer
  }
}
const WASM_PAGE_BYTES = 64 * 1024

/** Of a pack that holds a commit of little, and of what will share a frame. */
export const SMALL_PACK_BYTES: number = 128 * 1024
const KEPT_SMALL = 64

export class PackBuffers {
  readonly #free: Uint8Array[] = []
  readonly #freeSmall: Uint8Array[] = []

  /** MAX_PACK_BYTES long; what it holds is of no account. */
  take(): Uint8Array {
    return this.#free.pop() ?? fromPageOn(MAX_PACK_BYTES)
  }

  /** As `take`, SMALL_PACK_BYTES long. */
  takeSmall(): Uint8Array {
    return this.#freeSmall.pop() ?? new Uint8Array(SMALL_PACK_BYTES)
  }

  /** Nobody may look at it any more. One of another size is forgotten. */
  give(buffer: Uint8Array): void {
    if (buffer.length === MAX_PACK_BYTES) keep(this.#free, KEPT, buffer)
    else if (buffer.length === SMALL_PACK_BYTES) keep(this.#freeSmall, KEPT_SMALL, buffer)
  }
}

function keep(free: Uint8Array[], most: number, buffer: Uint8Array): void {
  assert(!free.includes(buffer), 'a buffer is given back once')
  if (free.length < most) free.push(buffer)
}

/** Beginning with a page, if it can be had: such memory a disk takes without a copy. */
function fromPageOn(sizeBytes: number): Uint8Array {
  const pages = sizeBytes / WASM_PAGE_BYTES
  try {
    return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer)
  } catch {
    return new Uint8Array(sizeBytes)
  }
}
