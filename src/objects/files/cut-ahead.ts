// A long content on its way in, cut and hashed on another thread: while that works on one window, the next
// is filled here, and what was cut goes into packs.
//
// - Windows are given away in their order, each when it is full, the next before the one before is done: the
//   thread carries over what the cut of one leaves for the next, and never waits for a message to go on.
// - Chunks come out in their order, and are the same as without all this: a cut depends on bytes alone.

import { must } from '../../base/assert.ts'
import type { Cuts, CutWindow, Cutting } from '../guests.ts'
import { FRONT_BYTES, HASH_BYTES } from './cutting.ts'

/** Is told of each chunk. Its bytes are used again when it has returned. */
type Take = (chunk: Uint8Array, hash: Uint8Array) => void | Promise<void>

interface Given {
  readonly window: CutWindow
  readonly cuts: Promise<Cuts>
}

export class CutAhead {
  readonly #windows: readonly [CutWindow, CutWindow]
  readonly #take: Take
  #filling: CutWindow
  #end = FRONT_BYTES
  #cutting: Given | undefined

  private constructor(windows: readonly [CutWindow, CutWindow], take: Take) {
    this.#windows = windows
    this.#take = take
    this.#filling = windows[0]
  }

  /** Undefined: other contents have all windows. Who has it frees it. */
  static begin(cutting: Cutting, take: Take): CutAhead | undefined {
    const windows = cutting.windows()
    return windows && new CutAhead(windows, take)
  }

  async push(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const { bytes: room } = this.#filling
      const take = Math.min(bytes.length - at, room.length - this.#end)
      room.set(bytes.subarray(at, at + take), this.#end)
      at += take
      this.#end += take
      if (this.#end === room.length) await this.#turn(false)
    }
  }

  /** Nothing follows; every chunk has been taken when it returns. */
  async end(): Promise<void> {
    await this.#turn(true)
    await this.#took(must(this.#cutting, 'a window that is being cut'))
  }

  free(): void {
    for (const window of this.#windows) window.free()
  }

  /** Has what is filled cut; takes what was cut meanwhile. */
  async #turn(isLast: boolean): Promise<void> {
    const window = this.#filling
    const cuts = window.cut({ end: this.#end, isLast })
    // Whoever gives up never looks at it.
    cuts.catch(() => {})
    const before = this.#cutting
    this.#cutting = { window, cuts }
    if (before) await this.#took(before)
    this.#filling = this.#windows[window === this.#windows[0] ? 1 : 0]
    this.#end = FRONT_BYTES
  }

  async #took({ window, cuts }: Given): Promise<void> {
    const { start, sizes, hashes } = await cuts
    let at = start
    for (const [i, size] of sizes.entries()) {
      const hash = hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES)
      const waits = this.#take(window.bytes.subarray(at, at + size), hash)
      if (waits) await waits
      at += size
    }
  }
}
