// A long content on its way in, cut and hashed on another thread: while that works on one window, the next
// is filled here, and what was cut goes into packs.
//
// - Windows are cut in their order, each when it is full: what the cut of one leaves over is copied to the
//   front of the next, where room is kept for it.
// - Chunks come out in their order, and are the same as without all this: a cut depends on bytes alone.

import { must } from '../../base/assert.ts'
import type { Cuts, CutWindow, Cutting } from '../guests.ts'
import { MAX_CHUNK_BYTES } from './chunker.ts'
import { HASH_BYTES } from './cutting.ts'

/** Less than this is left over. */
const FRONT_BYTES = MAX_CHUNK_BYTES

/** Is told of each chunk. Its bytes are used again when it has returned. */
type Take = (chunk: Uint8Array, hash: Uint8Array) => void | Promise<void>

interface Stretch {
  readonly window: CutWindow
  readonly start: number
  readonly end: number
  readonly cuts: Promise<Cuts>
}

export class CutAhead {
  readonly #windows: readonly [CutWindow, CutWindow]
  readonly #take: Take
  #filling: CutWindow
  #end = FRONT_BYTES
  #cutting: Stretch | undefined

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
    const { stretch, cuts } = await this.#done()
    await this.#took(stretch, cuts)
  }

  free(): void {
    for (const window of this.#windows) window.free()
  }

  /** Has what is filled cut; takes what was cut meanwhile. */
  async #turn(isLast: boolean): Promise<void> {
    const before = this.#cutting && (await this.#done())
    const window = this.#filling
    let start = FRONT_BYTES
    if (before) {
      const rest = before.stretch.window.bytes.subarray(before.end, before.stretch.end)
      start -= rest.length
      window.bytes.set(rest, start)
    }
    const end = this.#end
    const cuts = window.cut({ start, end, isLast })
    // Whoever gives up never looks at it.
    cuts.catch(() => {})
    this.#cutting = { window, start, end, cuts }
    if (before) await this.#took(before.stretch, before.cuts)
    this.#filling = this.#windows[window === this.#windows[0] ? 1 : 0]
    this.#end = FRONT_BYTES
  }

  async #done(): Promise<{ stretch: Stretch; cuts: Cuts; end: number }> {
    const stretch = must(this.#cutting, 'a window that is being cut')
    const cuts = await stretch.cuts
    const end = cuts.sizes.reduce((at, size) => at + size, stretch.start)
    return { stretch, cuts, end }
  }

  async #took({ window, start }: Stretch, { sizes, hashes }: Cuts): Promise<void> {
    let at = start
    for (const [i, size] of sizes.entries()) {
      const hash = hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES)
      const waits = this.#take(window.bytes.subarray(at, at + size), hash)
      if (waits) await waits
      at += size
    }
  }
}
