// Looks up everything that roots name, depth first. A node that is whole with all below is not looked at
// again, whoever names it; what is hurt is found anew from every root that has it.

import { must } from '../../base/assert.ts'
import { concat } from '../../base/bytes.ts'
import { isVarveError } from '../../base/errors.ts'
import type { TreeRef } from '../../model/tree-ref.ts'
import { childrenOf, namedChildrenOf } from '../trees/children.ts'
import type { NamedChild } from '../trees/children.ts'
import { corrupt } from '../packs/codec.ts'
import { readContent } from '../files/content.ts'
import { itemOfRef } from '../trees/entries.ts'
import { CHUNK } from '../trees/item.ts'
import type { Item } from '../trees/item.ts'
import { Lru } from '../lru.ts'
import type { Root } from './mark.ts'
import { packKey, readFrames } from '../packs/pack-footer.ts'
import type { PackFrames } from '../packs/pack-footer.ts'
import type { PackListing } from '../packs/pack-listing.ts'
import { PlaceSet } from '../packs/place-set.ts'
import type { PackStore } from '../store.ts'
import { checkPack, reason } from './verify-pack.ts'
import type { PackFault, PackGuests } from './verify-pack.ts'
import type { Finding, VerifyReport } from './verify-report.ts'
import type { NamedRoot } from './verify.ts'

const SEEN_BYTES = 64 * 1024 * 1024
const TABLES_BYTES = 32 * 1024 * 1024
const READ_BEFORE = 64 * 1024
/** Nodes that lie side by side are fetched so many ahead. */
const AHEAD = 8

export interface TreeGuests extends PackGuests {
  readonly store: PackStore
  /** Is told what is in use. */
  readonly listing: PackListing
  readonly report: VerifyReport
}

/** One directory, file list or part of them on the way down. */
interface Open {
  readonly item: Item
  /** The stored node it stands in, whose hints say where its children lie. */
  readonly node: Item | undefined
  readonly path: string
  readonly children: readonly NamedChild[]
  readonly ahead: Map<number, Promise<readonly NamedChild[]>>
  at: number
  whole: boolean
}

/** A stored thing on the way from a root. */
interface Reached {
  readonly root: NamedRoot
  readonly path: string
  readonly item: Item
  /** The node that names it; undefined: the root itself does. */
  readonly from: Item | undefined
}

export class TreeChecking {
  readonly #guests: TreeGuests
  readonly #signal: AbortSignal | undefined
  readonly #tables = new Lru<PackFrames>(TABLES_BYTES)
  /** Chunks of suspect packs that were read: what came of it. */
  readonly #readBefore = new Lru<true | Error>(READ_BEFORE)
  /** Packs out of their turn that were found to be whole. */
  readonly #cleared = new Set<string>()
  /** Packs written since they were listed. */
  readonly #newer = new Set<string>()
  #whole = new Places()
  /** Nodes below which the text of files was read for what it names. */
  #named = new Places()
  #wasRead: (pack: string) => boolean = () => false
  /** Whether the root that is looked at is kept; undefined: nobody asked. */
  #kept: boolean | undefined

  constructor(guests: TreeGuests, signal: AbortSignal | undefined) {
    this.#guests = guests
    this.#signal = signal
  }

  /** Packs of which it is known by now whether they are whole. */
  packsWereRead(which: (pack: string) => boolean): void {
    this.#wasRead = which
  }

  /** That anything is whole. */
  forget(): void {
    this.#whole = new Places()
    this.#named = new Places()
  }

  async *run(roots: AsyncIterable<NamedRoot>): AsyncGenerator<Finding> {
    const { report } = this.#guests
    try {
      for await (const root of roots) {
        this.#kept = undefined
        report.counts.roots++
        const item = itemOfRef(root.ref, root.chunk ? CHUNK : undefined)
        yield* this.#below(root, item)
        if (root.names)
          for await (const named of this.#namedIn(item, root.names))
            yield* this.#below(root, itemOfRef(named))
        yield* report.take()
        yield report.progress('trees')
      }
    } catch (error) {
      // What says what is kept lies here as well.
      if (!isVarveError(error, 'CORRUPT')) throw error
      report.lost('what is kept beside what was looked at', error.message)
    }
    yield* report.take()
  }

  /** On a stack of its own: a generator in a generator hands everything through every level. */
  async *#below(root: NamedRoot, item: Item): AsyncGenerator<Finding> {
    const { report } = this.#guests
    const stack: Open[] = [open(item, undefined, '', [{ name: undefined, item }])]
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      this.#signal?.throwIfAborted()
      if (!report.isEmpty) yield* report.take()
      if (this.#kept === false) return
      const i = top.at++
      const child = top.children[i]
      if (!child) {
        stack.pop()
        const above = stack.at(-1)
        if (!above) break
        if (top.whole || report.isEnough) this.#add(this.#whole, top.item)
        else above.whole = false
        continue
      }
      const path = pathOf(top.path, child.name)
      const reached = { root, path, item: child.item, from: top.node }
      const { place, kind } = child.item
      // The tree without entries lies nowhere; a small directory lies in the node above.
      if (place?.pack === '-') continue
      if (place && !(await this.#use(child.item))) {
        top.whole = false
        await this.#hurt(reached, corrupt('it is missing'))
      } else if (kind === CHUNK) {
        const whole = this.#chunk(reached)
        if (!(typeof whole === 'boolean' ? whole : await whole)) top.whole = false
      } else if (!this.#isWhole(child.item)) {
        const loading = top.ahead.get(i) ?? this.#children(child.item)
        top.ahead.delete(i)
        this.#fetchAhead(top, i + 1)
        try {
          stack.push(open(child.item, place ? child.item : top.node, path, await loading))
        } catch (error) {
          top.whole = false
          await this.#hurt(reached, error)
        }
      }
    }
  }

  /** What the files of a tree name in their text, as far as that can be read: `#below` told the rest. */
  async *#namedIn(item: Item, names: NonNullable<Root['names']>): AsyncGenerator<TreeRef> {
    const { store } = this.#guests
    if (!this.#add(this.#named, item)) return
    try {
      const { nodes, files } = await childrenOf(store, item)
      for (const file of files)
        yield* names(concat(await Array.fromAsync(readContent(store, file))))
      for (const node of nodes) if (node.isDir) yield* this.#namedIn(node, names)
    } catch (error) {
      if (!isVarveError(error, 'CORRUPT')) throw error
    }
  }

  /**
   * Says that it is in use. @returns whether its pack is there. That is asked, not tried: somebody may hold
   * the file open that is gone.
   */
  #use(item: Item): boolean | Promise<boolean> {
    const { listing } = this.#guests
    const { pack, offset, length } = must(item.place, 'a place')
    const n = listing.numberOf(pack)
    listing.use(n, offset, length)
    if (n < listing.count || this.#newer.has(pack)) return true
    return this.#isElsewhere(item)
  }

  /** Written since the packs were listed, or carried over from a pack that is gone, or purged of something. */
  async #isElsewhere(item: Item): Promise<boolean> {
    const { listing, report, store } = this.#guests
    for await (const { pack, offset, length } of store.elsewhere(item)) {
      listing.use(listing.numberOf(pack), offset, length)
      if (listing.has(pack) || this.#newer.has(pack)) return true
    }
    const { pack } = must(item.place, 'a place')
    return !report.isSuspect(pack) && this.#isNewer(pack)
  }

  async #isNewer(pack: string): Promise<boolean> {
    if ((await this.#guests.blob.head(packKey(pack))) === undefined) return false
    this.#newer.add(pack)
    return true
  }

  #isWhole({ place }: Item): boolean {
    if (!place) return false
    return this.#whole.has(this.#guests.listing.numberOf(place.pack), place.offset)
  }

  #add(places: Places, { place }: Item): boolean {
    if (!place) return true
    return places.add(this.#guests.listing.numberOf(place.pack), place.offset)
  }

  #fetchAhead(top: Open, from: number): void {
    for (let i = from; i < top.children.length && top.ahead.size < AHEAD; i++) {
      const { item } = top.children[i] as NamedChild
      if (item.kind === CHUNK) break
      if (top.ahead.has(i) || !item.place || this.#isWhole(item)) continue
      const loading = this.#children(item)
      loading.catch(() => {}) // it is awaited in its turn
      top.ahead.set(i, loading)
    }
  }

  async #children(item: Item): Promise<readonly NamedChild[]> {
    return await namedChildrenOf(this.#guests.store, item)
  }

  #chunk(at: Reached): boolean | Promise<boolean> {
    const { pack, offset, length } = must(at.item.place, 'the place of a chunk')
    const frames = this.#guests.report.isSuspect(pack) ? undefined : this.#tables.get(pack)
    if (!frames) return this.#lookUp(at)
    const frame = frames.find(offset, length)
    return frame >= 0 && !frames.isNode(frame) ? true : this.#read(at)
  }

  /** As `#chunk`, of a pack whose table is not at hand. */
  async #lookUp(at: Reached): Promise<boolean> {
    const { blob, report } = this.#guests
    const pack = packOf(at.item)
    if (report.isSuspect(pack)) return this.#read(at)
    try {
      const frames = await readFrames(blob, pack)
      if (frames) {
        this.#tables.set(pack, frames, frames.count * 9 + 200)
        return await this.#chunk(at)
      }
    } catch (error) {
      if (!isVarveError(error, 'CORRUPT')) throw error
      const why = `its footer cannot be read: ${reason(error)}`
      report.suspect(pack, 'damaged', { faults: [{ why }], moreFaults: 0 })
    }
    // Perhaps it can be read all the same, or lies elsewhere now.
    return this.#read(at)
  }

  async #read(at: Reached): Promise<boolean> {
    const { pack, offset } = must(at.item.place, 'the place of a chunk')
    const key = `${at.item.id}.${pack}.${offset}`
    let before = this.#readBefore.get(key)
    if (!before) {
      try {
        await this.#guests.store.chunk(at.item)
        before = true
      } catch (error) {
        if (!isVarveError(error, 'CORRUPT')) throw error
        before = error
      }
      this.#readBefore.set(key, before)
    }
    if (before === true) return true
    await this.#hurt(at, before)
    return false
  }

  /** @throws whatever is no damage */
  async #hurt({ root, path, item, from }: Reached, error: unknown): Promise<void> {
    if (!isVarveError(error, 'CORRUPT')) throw error
    this.#kept ??= root.kept ? await root.kept() : true
    if (!this.#kept) return
    const { blob, report } = this.#guests
    // Hints are not hashed: damaged ones point at what is whole, or at what never was.
    const misled = from !== undefined && (await this.#misleads(from))
    const pack = packOf(misled ? from : item)
    const why = misled ? 'what stands above it says wrongly where it lies' : reason(error)
    const isGone = !misled && (await blob.head(packKey(pack))) === undefined
    if (isGone) report.suspect(pack, 'missing', { faults: [], moreFaults: 0 })
    else report.suspect(pack, 'damaged', { faults: [faultAt(item, why)], moreFaults: 0 })
    report.hurt(root.name, path, pack, why)
  }

  /** Whether a node that could be read may have damaged hints, by the checksum of its pack. */
  async #misleads(node: Item): Promise<boolean> {
    const { listing, report } = this.#guests
    const { pack, offset } = must(node.place, 'the place of a node')
    const known = report.isSuspect(pack) || this.#cleared.has(pack) || this.#wasRead(pack)
    const n = listing.numberOf(pack)
    if (!known && n < listing.count) {
      const checked = await checkPack(this.#guests, pack, listing.sizeBytes(n))
      if (checked?.faults.length) report.suspect(pack, 'damaged', checked)
      else this.#cleared.add(pack)
    }
    const faults = report.faultsOf(pack)
    return faults.some((fault) => fault.offset === undefined || fault.offset === offset)
  }
}

/** Forgets when it is full: then something is looked at twice. */
class Places {
  #set = new PlaceSet(SEEN_BYTES)

  has(pack: number, offset: number): boolean {
    return this.#set.has(pack, offset)
  }

  /** Whether it is new. */
  add(pack: number, offset: number): boolean {
    try {
      return this.#set.add(pack, offset)
    } catch (error) {
      if (!isVarveError(error, 'TOO_LARGE')) throw error
      this.#set = new PlaceSet(SEEN_BYTES)
      return true
    }
  }
}

function open(
  item: Item,
  node: Item | undefined,
  path: string,
  children: readonly NamedChild[],
): Open {
  return { item, node, path, children, ahead: new Map(), at: 0, whole: true }
}

function faultAt(item: Item, why: string): PackFault {
  const { offset, length } = must(item.place, 'a place')
  const holds = item.kind === CHUNK ? 'chunks' : 'node'
  return { why, offset, length, holds, ids: [item.id.slice(0, 16)] }
}

function packOf(item: Item): string {
  return must(item.place, 'the place of a stored item').pack
}

function pathOf(above: string, name: string | undefined): string {
  if (name === undefined) return above
  return above === '' ? name : `${above}/${name}`
}
