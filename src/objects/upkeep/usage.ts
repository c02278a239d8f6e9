// What trees cost in the store, and what of that each has to itself.
//
// - Counted is what lies in packs: nodes, and frames of chunks, each by its place and with its stored
//   (compressed) length. Small files share a frame, which counts whole for whoever uses a part of it.
//   Content within nodes (small files) counts with its node. Footers of packs count for nobody.
// - A group is any number of trees. `uniqueBytes` is what no other group uses: freed, once collected, if it
//   went alone. It is exact among the groups that are given; what is not given is not looked at.
// - A node is read when it first comes up, when it first turns out to be shared, and when it comes and goes
//   between one group and the next: trees that stand in the order of history cost what changed between them.
// - Memory: PLACE_BYTES at most, however much is stored. Chunks that do not fit are counted in further
//   passes, each over one part of all places; nodes must fit (one in some hundred places is one).

import { assert } from '../../base/assert.ts'
import { VarveError } from '../../base/errors.ts'
import type { TreeRef } from '../../model/tree-ref.ts'
import { childrenOf } from '../trees/children.ts'
import { itemOfRef } from '../trees/entries.ts'
import type { Item } from '../trees/item.ts'
import type { PackStore } from '../store.ts'

export interface UsageOf {
  /** All it uses, each place once. */
  readonly storedBytes: number
  /** What of that no other group uses. */
  readonly uniqueBytes: number
}

export interface Usage {
  /** In the order of the groups. */
  readonly groups: readonly UsageOf[]
  /** All that is used, each place once. */
  readonly storedBytes: number
}

export const PLACE_BYTES: number = 128 * 1024 * 1024
/** Nodes read at once. */
const AT_ONCE = 16
const MOST_PASSES = 1024

/** @throws VarveError CORRUPT, UNAVAILABLE, TOO_LARGE: the nodes alone do not fit */
export async function usageOf(
  store: PackStore,
  groups: readonly (readonly TreeRef[])[],
  {
    signal,
    placeBytes = PLACE_BYTES,
  }: { signal?: AbortSignal | undefined; placeBytes?: number } = {},
): Promise<Usage> {
  for (let passes = 1; passes <= MOST_PASSES; passes *= 2) {
    const sum = new Sum(groups.length)
    let pass = 0
    while (pass < passes) {
      const count = new Count(store, { pass, passes, placeBytes, signal })
      if (!(await count.all(groups, sum))) break
      pass++
    }
    if (pass === passes) return sum.usage()
  }
  throw new VarveError(
    'TOO_LARGE',
    `cannot tell what is used: its directories alone take more than ${placeBytes} bytes to count`,
  )
}

class Sum {
  readonly stored: number[]
  readonly unique: number[]
  all = 0

  constructor(groups: number) {
    this.stored = Array.from({ length: groups }, () => 0)
    this.unique = Array.from({ length: groups }, () => 0)
  }

  usage(): Usage {
    return {
      groups: this.stored.map((storedBytes, i) => ({
        storedBytes,
        uniqueBytes: this.unique[i] ?? 0,
      })),
      storedBytes: this.all,
    }
  }
}

/** Entering and leaving say who refers to a place now; sharing only says that several do. */
type How = 'enter' | 'leave' | 'share'

class Count {
  readonly #store: PackStore
  readonly #o: {
    readonly pass: number
    readonly passes: number
    readonly signal: AbortSignal | undefined
  }
  readonly #places: PlaceTable
  readonly #packs = new Map<string, number>()
  readonly #steps: { readonly item: Item; readonly how: How }[] = []
  #group = 0
  /** Of what is referred to now. */
  #liveBytes = 0
  #sum = new Sum(0)

  constructor(
    store: PackStore,
    options: {
      readonly pass: number
      readonly passes: number
      readonly placeBytes: number
      readonly signal: AbortSignal | undefined
    },
  ) {
    this.#store = store
    this.#o = options
    this.#places = new PlaceTable(options.placeBytes)
  }

  /** Adds what this pass counts; false: it did not fit. */
  async all(groups: readonly (readonly TreeRef[])[], sum: Sum): Promise<boolean> {
    this.#sum = sum
    let before: readonly TreeRef[] = []
    for (const [i, roots] of groups.entries()) {
      this.#group = i
      if (!(await this.#walk('enter', roots))) return false
      if (!(await this.#walk('leave', before))) return false
      sum.stored[i] = (sum.stored[i] ?? 0) + this.#liveBytes
      before = roots
    }
    return true
  }

  async #walk(how: How, roots: readonly TreeRef[]): Promise<boolean> {
    for (const ref of roots) {
      if (ref !== this.#store.emptyRef) this.#meet(itemOfRef(ref), how, true)
      while (this.#steps.length > 0) {
        this.#o.signal?.throwIfAborted()
        if (this.#places.isFull) return false
        const steps = this.#steps.splice(-AT_ONCE)
        const children = await Promise.all(steps.map(({ item }) => childrenOf(this.#store, item)))
        for (const [i, { nodes, chunks }] of children.entries()) {
          const step = steps[i]
          assert(step, 'a step for its children')
          for (const node of nodes) this.#meet(node, step.how, true)
          for (const chunk of chunks) this.#meet(chunk, step.how, false)
        }
      }
    }
    return !this.#places.isFull
  }

  #meet(item: Item, how: How, isNode: boolean): void {
    const { place } = item
    // It lies within the node that names it.
    if (!place) {
      if (isNode) this.#steps.push({ item, how })
      return
    }
    if (place.pack === '-' || this.#places.isFull) return
    const pack = this.#packs.get(place.pack) ?? this.#packs.size
    this.#packs.set(place.pack, pack)
    const { pass, passes } = this.#o
    if (!isNode && partOf(pack, place.offset, passes) !== pass) return
    const counted = !isNode || pass === 0 ? place.length : 0
    const next = this.#note(this.#places.at(pack, place.offset), how, counted)
    if (next && isNode) this.#steps.push({ item, how: next })
  }

  /** What is to be done with what it names. */
  #note(at: number, how: How, bytes: number): How | undefined {
    const places = this.#places
    if (how === 'leave') {
      if (places.addUser(at, -1) > 0) return undefined
      this.#liveBytes -= bytes
      return 'leave'
    }
    const isNewlyShared = this.#own(at, how, bytes)
    if (how === 'enter' && places.addUser(at, 1) === 1) {
      this.#liveBytes += bytes
      return 'enter'
    }
    return isNewlyShared ? 'share' : undefined
  }

  #own(at: number, how: How, bytes: number): boolean {
    const owner = this.#places.owner(at)
    if (owner === NOBODY) {
      this.#places.setOwner(at, this.#group)
      this.#sum.all += bytes
      this.#sum.unique[this.#group] = (this.#sum.unique[this.#group] ?? 0) + bytes
      return false
    }
    if (owner === SEVERAL || (owner === this.#group && how === 'enter')) return false
    this.#places.setOwner(at, SEVERAL)
    this.#sum.unique[owner] = (this.#sum.unique[owner] ?? 0) - bytes
    return true
  }
}

const NOBODY = -1
const SEVERAL = -2
const FIRST_SLOTS = 64
const WORDS = 4

/** By place: which group uses it, and how often it is referred to now. 16 bytes, at most ¾ full. */
class PlaceTable {
  readonly #limitBytes: number
  /** pack + 1 (0: free), offset, group + 3 (1: several, 2: nobody), users. */
  #words = new Uint32Array(WORDS * FIRST_SLOTS)
  #size = 0
  #isFull = false

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** It takes no more: what it says from now on is wrong. */
  get isFull(): boolean {
    return this.#isFull
  }

  /** Where a place is kept; good until the next is asked for. */
  at(pack: number, offset: number): number {
    if (this.#size * WORDS * 4 > this.#words.length * 3) this.#grow()
    const at = find(this.#words, pack, offset)
    if (this.#words[at] === 0) {
      this.#words.set([pack + 1, offset, NOBODY + 3, 0], at)
      this.#size++
    }
    return at
  }

  owner(at: number): number {
    return (this.#words[at + 2] as number) - 3
  }

  setOwner(at: number, owner: number): void {
    this.#words[at + 2] = owner + 3
  }

  /** @returns users after it */
  addUser(at: number, by: 1 | -1): number {
    const users = (this.#words[at + 3] as number) + by
    assert(users >= 0, 'what is left was entered')
    this.#words[at + 3] = users
    return users
  }

  #grow(): void {
    const old = this.#words
    if (old.byteLength * 2 > this.#limitBytes) {
      this.#isFull = true
      // It goes on to its last slots, which end no search; nobody looks at what comes of it.
      return
    }
    const grown = new Uint32Array(old.length * 2)
    for (let at = 0; at < old.length; at += WORDS) {
      const pack = old[at] as number
      if (pack === 0) continue
      const to = find(grown, pack - 1, old[at + 1] as number)
      grown.set(old.subarray(at, at + WORDS), to)
    }
    this.#words = grown
  }
}

function find(words: Uint32Array, pack: number, offset: number): number {
  const mask = words.length / WORDS - 1
  for (let slot = hashOf(pack, offset) & mask; ; slot = (slot + 1) & mask) {
    const at = WORDS * slot
    if (words[at] === 0 || (words[at] === pack + 1 && words[at + 1] === offset)) return at
  }
}

function hashOf(pack: number, offset: number): number {
  let hash = Math.imul(pack ^ 0x9e3779b1, 0x85ebca6b) ^ Math.imul(offset, 0xc2b2ae35)
  hash = Math.imul(hash ^ (hash >>> 15), 0x27d4eb2f)
  return (hash ^ (hash >>> 13)) >>> 0
}

/** Other bits of the hash than those that choose a slot. */
function partOf(pack: number, offset: number, parts: number): number {
  return (Math.imul(hashOf(pack, offset), 0x9e3779b1) >>> 16) % parts
}
