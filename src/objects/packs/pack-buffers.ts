// Memory of packs, used again: a new buffer of this size costs more than all else that is done with
// the bytes in it, because every page of it is fetched from the system and cleared. Small ones cost a
// collection of the whole heap for every hundred, because their memory is not in it.
//
// Of whole ones there are MAX_WHOLE, however many write: what writers hold of memory is bounded for the
// process, not for each. Nobody may wait for one that a writer fills, for its caller may be gone for an hour;
// one that is being put comes back by itself. Who gets none and can wait for none makes a smaller pack.

import { assert } from '../../base/assert.ts'

/** Of a pack, unless a single frame is larger. */
export const MAX_PACK_BYTES: number = 32 * 1024 * 1024
/** Fewer leave the disk idle while packs are filled. */
export const MAX_WHOLE = 3

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
  /** Whole ones that are out. */
  #taken = 0
  /** Of them, those being put. */
  #leaving = 0
  #waiting: (() => void)[] = []

  /** MAX_PACK_BYTES long; what it holds is of no account. Undefined: all are out. */
  take(): Uint8Array | undefined {
    if (this.#taken === MAX_WHOLE) return undefined
    this.#taken++
    return this.#free.pop() ?? fromPageOn(MAX_PACK_BYTES)
  }

  get hasWhole(): boolean {
    return this.#taken < MAX_WHOLE
  }

  /** None is there, and one comes back by itself: `change` is soon. */
  get isShort(): boolean {
    return !this.hasWhole && this.#leaving > 0
  }

  /** Until one comes back, or is lost. */
  change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** As `take`, SMALL_PACK_BYTES long. */
  takeSmall(): Uint8Array {
    return this.#freeSmall.pop() ?? new Uint8Array(SMALL_PACK_BYTES)
  }

  /** Nobody may look at it any more. One of another size is forgotten. */
  give(buffer: Uint8Array): void {
    if (buffer.length === SMALL_PACK_BYTES) keep(this.#freeSmall, KEPT_SMALL, buffer)
    if (buffer.length !== MAX_PACK_BYTES) return
    keep(this.#free, MAX_WHOLE, buffer)
    this.#back()
  }

  /** Gives it when `put` has ended. Where that fails it stays away: who knows what is still sent of it. */
  async giveAfter(buffer: Uint8Array, put: Promise<void>): Promise<void> {
    if (buffer.length !== MAX_PACK_BYTES) return put.then(() => this.give(buffer))
    this.#leaving++
    try {
      await put
      keep(this.#free, MAX_WHOLE, buffer)
    } finally {
      this.#leaving--
      this.#back()
    }
  }

  #back(): void {
    this.#taken--
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
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
