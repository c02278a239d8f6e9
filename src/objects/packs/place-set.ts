// An exact set of pairs of numbers, as small as it gets: two 32-bit words a pair in an open table that
// is at most three quarters full. While it grows the old table lives beside the new one.

import { VarveError } from '../../base/errors.ts'

const FIRST_SLOTS = 1024

export class PlaceSet {
  readonly #limitBytes: number
  /** A pair is (first + 1, second): 0 stands for nothing. */
  #words = new Uint32Array(2 * FIRST_SLOTS)
  #size = 0

  /** @param limitBytes of the table, without what it grows from */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  get size(): number {
    return this.#size
  }

  get bytes(): number {
    return this.#words.byteLength
  }

  /** Whether it is new. @throws VarveError TOO_LARGE past the limit */
  add(first: number, second: number): boolean {
    const at = this.#find(this.#words, first, second)
    if (this.#words[at] !== 0) return false
    this.#words[at] = first + 1
    this.#words[at + 1] = second
    this.#size++
    if (this.#size * 8 > this.#words.length * 3) this.#grow()
    return true
  }

  has(first: number, second: number): boolean {
    return this.#words[this.#find(this.#words, first, second)] !== 0
  }

  /** Where it is, or where it would go. */
  #find(words: Uint32Array, first: number, second: number): number {
    const mask = words.length / 2 - 1
    let hash = Math.imul(first ^ 0x9e3779b1, 0x85ebca6b) ^ Math.imul(second, 0xc2b2ae35)
    hash = Math.imul(hash ^ (hash >>> 15), 0x27d4eb2f)
    let slot = (hash ^ (hash >>> 13)) & mask
    for (;;) {
      const at = 2 * slot
      if (words[at] === 0 || (words[at] === first + 1 && words[at + 1] === second)) return at
      slot = (slot + 1) & mask
    }
  }

  #grow(): void {
    const old = this.#words
    if (old.byteLength * 2 > this.#limitBytes)
      throw new VarveError(
        'TOO_LARGE',
        `cannot collect: more than ${this.#size} nodes are in use, which is all that ${this.#limitBytes} bytes hold`,
      )
    const grown = new Uint32Array(old.length * 2)
    for (let at = 0; at < old.length; at += 2) {
      const first = old[at] as number
      if (first === 0) continue
      const second = old[at + 1] as number
      const to = this.#find(grown, first - 1, second)
      grown[to] = first
      grown[to + 1] = second
    }
    this.#words = grown
  }
}
