// The ids decided lately, in typed arrays: 2^21 of them take about 72 MB instead of 400.
//
// Entries are dense and each decides one id, so slot `seq mod capacity` of a ring holds an id, its
// decision time and the time it is kept from, and a table of linear probes leads from an id to its slot. Invariants: the ring
// holds exactly the seqs [first, next); the table holds exactly their slots, each reachable from its
// home without meeting an empty cell.

import { assert } from '../base/assert.ts'
import type { Id } from '../model/id.ts'

const FIRST_CAPACITY = 1024
/** Four 32-bit words an id. */
const WORDS = 4

export class RecentIds {
  readonly #limit: number
  /** Keeps authors of ids from choosing where they fall. */
  readonly #seed: number
  #capacity = FIRST_CAPACITY
  #words = new Uint32Array(FIRST_CAPACITY * WORDS)
  #times = new Float64Array(FIRST_CAPACITY)
  #kept = new Float64Array(FIRST_CAPACITY)
  /** Slot + 1; 0: empty. Twice the capacity. */
  #table = new Uint32Array(FIRST_CAPACITY * 2)
  #first = 1
  #next = 1

  /** `limit`: at most this many of the newest are kept; a power of two. */
  constructor(limit: number, seed: number) {
    assert(limit >= FIRST_CAPACITY && (limit & (limit - 1)) === 0, `limit ${limit}`)
    this.#limit = limit
    this.#seed = seed | 0
  }

  get size(): number {
    return this.#next - this.#first
  }

  /** One above the seq of the newest. */
  get nextSeq(): number {
    return this.#next
  }

  /** The seq that decided the id, if it is among the kept. */
  get(id: Id): number | undefined {
    const [a, b, c, d] = words(id)
    const mask = this.#table.length - 1
    for (let at = this.#home(a, b, c, d); ; at = (at + 1) & mask) {
      const slot = (this.#table[at] as number) - 1
      if (slot < 0) return undefined
      const w = slot * WORDS
      if (
        this.#words[w] === a &&
        this.#words[w + 1] === b &&
        this.#words[w + 2] === c &&
        this.#words[w + 3] === d
      )
        return this.#seqOfSlot(slot)
    }
  }

  /** The decision time of a seq, if it is among the kept. */
  timeOf(seq: number): number | undefined {
    if (seq < this.#first || seq >= this.#next) return undefined
    return this.#times[seq & (this.#capacity - 1)]
  }

  /** Seqs come dense and rising; the first one may be any. `keptMs`: what `dropBefore` goes by. */
  add(id: Id, seq: number, atMs: number, keptMs: number = atMs): void {
    if (this.size === 0) this.#first = this.#next = seq
    assert(seq === this.#next, () => `id of seq ${seq} after ${this.#next - 1}`)
    if (this.size === this.#capacity) {
      if (this.#capacity < this.#limit) this.#grow()
      else this.#dropFirst()
    }
    const slot = seq & (this.#capacity - 1)
    const [a, b, c, d] = words(id)
    this.#words.set([a, b, c, d], slot * WORDS)
    this.#times[slot] = atMs
    this.#kept[slot] = keptMs
    this.#next = seq + 1
    this.#link(slot)
  }

  /** Lets go of those kept from before `ms`, up to the first that is not. */
  dropBefore(ms: number): void {
    while (this.size > 0 && (this.#kept[this.#first & (this.#capacity - 1)] as number) < ms)
      this.#dropFirst()
  }

  #home(a: number, b: number, c: number, d: number): number {
    let h = this.#seed
    for (const word of [a, b, c, d]) {
      h = Math.imul(h ^ word, 0x9e3779b1)
      h ^= h >>> 15
    }
    h = Math.imul(h, 0x85ebca6b)
    return (h ^ (h >>> 13)) & (this.#table.length - 1)
  }

  #homeOfSlot(slot: number): number {
    const w = slot * WORDS
    const at = (i: number): number => this.#words[w + i] as number
    return this.#home(at(0), at(1), at(2), at(3))
  }

  #seqOfSlot(slot: number): number {
    const base = this.#first - (this.#first & (this.#capacity - 1))
    const seq = base + slot
    return seq >= this.#first ? seq : seq + this.#capacity
  }

  #link(slot: number): void {
    const mask = this.#table.length - 1
    let at = this.#homeOfSlot(slot)
    while (this.#table[at] !== 0) at = (at + 1) & mask
    this.#table[at] = slot + 1
  }

  #dropFirst(): void {
    const slot = this.#first & (this.#capacity - 1)
    const mask = this.#table.length - 1
    let hole = this.#homeOfSlot(slot)
    while (this.#table[hole] !== slot + 1) hole = (hole + 1) & mask
    // Close the hole: whatever stands behind it and may move forward does.
    for (let at = (hole + 1) & mask; this.#table[at] !== 0; at = (at + 1) & mask) {
      const home = this.#homeOfSlot((this.#table[at] as number) - 1)
      if (((at - home) & mask) < ((at - hole) & mask)) continue
      this.#table[hole] = this.#table[at] as number
      hole = at
    }
    this.#table[hole] = 0
    this.#first++
  }

  #grow(): void {
    const [words, times, kept] = [this.#words, this.#times, this.#kept]
    const mask = this.#capacity - 1
    this.#capacity *= 2
    this.#words = new Uint32Array(this.#capacity * WORDS)
    this.#times = new Float64Array(this.#capacity)
    this.#kept = new Float64Array(this.#capacity)
    this.#table = new Uint32Array(this.#capacity * 2)
    for (let seq = this.#first; seq < this.#next; seq++) {
      const from = (seq & mask) * WORDS
      const slot = seq & (this.#capacity - 1)
      this.#words.set(words.subarray(from, from + WORDS), slot * WORDS)
      this.#times[slot] = times[seq & mask] as number
      this.#kept[slot] = kept[seq & mask] as number
      this.#link(slot)
    }
  }
}

function words(id: Id): readonly [number, number, number, number] {
  return [
    Number.parseInt(id.slice(0, 8), 16),
    Number.parseInt(id.slice(8, 16), 16),
    Number.parseInt(id.slice(16, 24), 16),
    Number.parseInt(id.slice(24, 32), 16),
  ]
}
