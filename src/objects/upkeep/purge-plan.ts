// What a purge takes out, worked out before anything is touched: which nodes say something of it, which bytes
// were its own, and who else has them.

import { assert } from '../../base/assert.ts'
import { toHex } from '../../base/bytes.ts'
import { VarveError } from '../../base/errors.ts'
import type { Path } from '../../model/path.ts'
import type { TreeRef } from '../../model/tree-ref.ts'
import { makeTreeRef } from '../../model/tree-ref.ts'
import { namedChildrenOf } from '../trees/children.ts'
import { itemOfRef } from '../trees/entries.ts'
import { isListInner } from '../files/list-node.ts'
import { CHUNK, inlineBytes, LIST } from '../trees/item.ts'
import type { Item } from '../trees/item.ts'
import { isInner } from '../trees/node.ts'
import { encodeRedacted, Redaction } from '../trees/redact.ts'
import { PlaceSet } from '../packs/place-set.ts'
import type { Place } from '../packs/pack.ts'
import { unlaid } from '../packs/pack.ts'
import type { PackStore } from '../store.ts'
import type { PurgeMap } from './redactions.ts'

/** Ids and names of one purge are held in memory. */
const MOST_GONE = 2_000_000
const SEEN_BYTES = 192 * 1024 * 1024
/** Places elsewhere that are named; of more only the number. */
const MOST_ELSEWHERE = 1_000

/** What is purged: a path of all trees of one kind, as of a repo's commits. */
export interface PurgeTarget {
  readonly repo: string
  readonly path: Path
}

/** A tree that is kept. */
export interface KeptTree {
  /** For people. */
  readonly name: string
  /** Undefined: it is not of a repo. */
  readonly repo?: string
  readonly ref: TreeRef
}

/** Where something else has what is purged. */
export interface Elsewhere {
  readonly name: string
  readonly path: string
  /**
   * `content`: the same bytes, which stay. `directory`: the very directory that is purged, copied there,
   * which would lose the entry as well.
   */
  readonly has: 'content' | 'directory'
}

export interface PurgePlan {
  /** Trees that have, or had, one of the targets. */
  readonly trees: readonly string[]
  /** Files that go, different contents at one path counted each, and their bytes. */
  readonly files: number
  readonly bytes: number
  readonly nodes: number
  readonly elsewhere: readonly Elsewhere[]
  readonly elsewhereMore: number
}

export class PurgePlanning {
  readonly #store: PackStore
  readonly #targets: readonly PurgeTarget[]
  readonly #redaction: Redaction
  readonly #gone = new Set<string>()
  readonly #names = new Set<string>()
  readonly #trees: string[] = []
  readonly #contents = new Set<string>()
  #bytes = 0
  #isCounting = true

  constructor(store: PackStore, targets: readonly PurgeTarget[]) {
    this.#store = store
    this.#targets = targets
    this.#redaction = new Redaction(store, (item, name) => this.#bury(item, name))
  }

  /** Looks for the targets in a tree of their repo; whether it has one. @throws VarveError CORRUPT, UNAVAILABLE, TOO_LARGE */
  async take({ name, repo, ref }: KeptTree): Promise<boolean> {
    let had = false
    for (const target of this.#targets)
      if (target.repo === repo && (await this.#redaction.take(ref, target.path))) had = true
    if (had) this.#trees.push(name)
    return had
  }

  /**
   * The same contents as somebody keeps them beside the trees of their repo, with what speaks of them: goes as
   * well, and is not counted. @throws VarveError CORRUPT, UNAVAILABLE, TOO_LARGE
   */
  async takeAlso(ref: TreeRef, path: Path): Promise<void> {
    this.#isCounting = false
    await this.#redaction.take(ref, path)
    this.#isCounting = true
  }

  /** After all trees of the targets were taken. `trees`: all there are, those as well. */
  async plan(trees: AsyncIterable<KeptTree>): Promise<PurgePlan> {
    const found: Elsewhere[] = []
    let more = 0
    if (this.#trees.length > 0)
      for await (const one of this.#elsewhere(trees))
        if (found.length < MOST_ELSEWHERE) found.push(one)
        else more++
    return {
      trees: this.#trees,
      files: this.#contents.size,
      bytes: this.#bytes,
      nodes: this.#redaction.nodes.size,
      elsewhere: found,
      elsewhereMore: more,
    }
  }

  /** Stores what stands for the nodes from now on: durable on return, and known to nobody yet. */
  async store(): Promise<PurgeMap> {
    const pack = this.#store.openPack()
    const laid: [id: string, to: string, place: Place][] = []
    try {
      for (const [id, node] of this.#redaction.nodes) {
        const to = this.#store.ids.ofNode(encodeRedacted(node).canonical)
        const place = unlaid()
        pack.addNode(to, () => encodeRedacted(node).stored(), place)
        laid.push([id, toHex(to), place])
        if (pack.busy) await pack.room()
      }
      await pack.close()
    } catch (error) {
      pack.abandon()
      throw error
    }
    const instead = new Map(laid.map(([id, to, place]) => [id, makeTreeRef(to, place)]))
    return { instead, gone: this.#gone, names: this.#names }
  }

  async #bury(item: Item, name: string): Promise<void> {
    const open: [Item, string | undefined][] = [[item, name]]
    for (let next = open.pop(); next; next = open.pop()) {
      const [one, called] = next
      if (called !== undefined) this.#names.add(called)
      if (one.isFile && called !== undefined && this.#isCounting) this.#count(one, called)
      if (one.place && this.#isNew(one)) open.push(...(await this.#below(one)))
      else if (one.rare.dir) open.push(...entriesOf(one.rare.dir.node))
      if (this.#gone.size + this.#contents.size > MOST_GONE)
        throw new VarveError(
          'TOO_LARGE',
          `cannot purge so much at once: it has more than ${MOST_GONE} pieces; purge what is in it one by one`,
        )
    }
  }

  /** The same content under the same name stands in many trees. */
  #count(file: Item, name: string): void {
    const { ids } = this.#store
    const id = file.place ? file.id : toHex(ids.ofChunk(inlineBytes(file)))
    if (this.#contents.has(`${id} ${name}`)) return
    this.#contents.add(`${id} ${name}`)
    this.#bytes += file.sizeBytes
  }

  #isNew(item: Item): boolean {
    if (this.#gone.has(item.id)) return false
    this.#gone.add(item.id)
    return true
  }

  async #below(item: Item): Promise<[Item, string | undefined][]> {
    if (item.kind === CHUNK) return []
    if (item.kind === LIST) {
      const list = await this.#store.listNode(item)
      const parts = isListInner(list) ? list.branches.map((one) => one.item) : list.chunks
      return parts.map((one) => [one, undefined])
    }
    const node = await this.#store.node(item)
    if (!isInner(node)) return entriesOf(node)
    return node.branches.map((one) => [one.item, undefined])
  }

  /** Walks all trees, each node once, but those on the way to what goes in every tree they stand in. */
  async *#elsewhere(trees: AsyncIterable<KeptTree>): AsyncGenerator<Elsewhere> {
    const packs = new Map<string, number>()
    const seen = new PlaceSet(SEEN_BYTES)
    const told = new Set<string>()
    const isNew = ({ place, id }: Item): boolean => {
      assert(place, 'a node lies somewhere')
      const pack = packs.get(place.pack) ?? packs.size
      packs.set(place.pack, pack)
      const isOnTheWay = this.#redaction.above.has(id) || this.#redaction.nodes.has(id)
      return seen.add(pack, place.offset) || isOnTheWay
    }
    for await (const { name, repo, ref } of trees) {
      if (ref === this.#store.emptyRef) continue
      const targets = this.#targets.filter((target) => target.repo === repo)
      const open: { readonly item: Item; readonly path: string }[] = [
        { item: itemOfRef(ref), path: '' },
      ]
      for (let at = open.pop(); at; at = open.pop()) {
        const { item, path } = at
        if (targets.some((target) => target.path === path)) continue
        const has = this.#has(item, path, targets)
        if (has && !told.has(`${repo ?? name} ${path}`)) {
          told.add(`${repo ?? name} ${path}`)
          yield { name, path, has }
        }
        if (has === 'content') continue
        if (item.kind === CHUNK || (item.place && (item.place.pack === '-' || !isNew(item))))
          continue
        for (const child of await namedChildrenOf(this.#store, item)) {
          const below =
            child.name === undefined ? path : path === '' ? child.name : `${path}/${child.name}`
          open.push({ item: child.item, path: below })
        }
      }
    }
  }

  #has(item: Item, path: string, targets: readonly PurgeTarget[]): Elsewhere['has'] | undefined {
    if (!item.place) return undefined
    if (this.#gone.has(item.id)) return 'content'
    if (!this.#redaction.nodes.has(item.id)) return undefined
    const isOfTarget = targets.some((target) => path === '' || target.path.startsWith(`${path}/`))
    return isOfTarget ? undefined : 'directory'
  }
}

function entriesOf(node: {
  readonly names: readonly string[]
  readonly items: readonly Item[]
}): [Item, string][] {
  return node.items.map((item, i) => [item, node.names[i] as string])
}
