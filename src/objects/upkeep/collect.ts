// Collection: packs in which nothing is used go, beside writers, without locks.
//
//   list ─▶ mark ─▶ condemn what holds nothing used, or little ─▶ wait ─▶ close sessions ─▶ mark again
//        ─▶ carry over the little ─▶ delete
//
// Invariants:
//  - Packs are listed before the first root is read, so whoever announces a pack before it writes it is safe.
//  - Only what was condemned before sessions were closed, and was found unused by the mark after that, is
//    deleted. A pack is never used again once it was found so: its name is used once.
//  - One row says which round goes on. Who begins a round ends the one before, wherever it was: its
//    collector fails at the step from `marking` to `deleting`, and deletes nothing. A round that has come
//    to `deleting` is brought to its end by whoever comes next, before it begins its own.
//  - A row of `condemned` is taken away only in `deleting`, so that processes that load the list notice
//    (condemned.ts), and at a version of its round, so that a late write of a former one changes nothing.
//  - A crash anywhere leaves packs condemned, which costs space until the next round, and no more.

import { assert } from '../../base/assert.ts'
import { toHex } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import { VarveError } from '../../base/errors.ts'
import type { Random } from '../../base/random.ts'
import { backoffMs } from '../../base/retry.ts'
import type { BlobKey, BlobStore } from '../../blob/blob.ts'
import { settle } from '../../tables/settle.ts'
import type { Tables } from '../../tables/tables.ts'
import { COLLECTIONS, CONDEMNED, STORE } from './condemned.ts'
import { MARK_BYTES, Marker } from './mark.ts'
import type { Root } from './mark.ts'
import { BLOCK_BYTES, PackListing } from '../packs/pack-listing.ts'
import { packKey } from '../packs/pack-footer.ts'
import type { PackStore } from '../store.ts'
import { PurgedPacks } from './purge-packs.ts'
import { isWorthRepacking, repack } from './repack.ts'

/** What names the roots, and can close the sessions of those who write. */
export interface Keeping {
  /** Where it stands: before the first root is read. */
  stand(): Promise<Stand>
  roots(): AsyncIterable<Root>
  /**
   * On return nobody can make a root of what was written in a session begun before the call, and
   * everything that became a root until then is told by `roots` or by `since`.
   */
  close(): Promise<Stand>
  /** What became a root between the two, whatever has become of it since. */
  since(from: Stand, to: Stand): AsyncIterable<Root>
  /** Blobs other than packs that nobody names any more. */
  leftovers(): AsyncIterable<BlobKey>
}

/** Of each project, a seq of its log. */
export type Stand = ReadonlyMap<string, number>

export interface CollectOptions {
  readonly store: PackStore
  readonly blob: BlobStore
  readonly tables: Tables
  readonly clock: Clock
  readonly random: Random
  readonly keeping: Keeping
  readonly limits?: CollectLimits
}

export interface CollectLimits {
  /** Of memory, for a mark: see mark.ts. */
  readonly markBytes: number
  /** By which it is told how much of a pack is used. */
  readonly blockBytes: number
  /** A pack of which less than half is used is carried over where so much is won. */
  readonly winsBytes: number
}

const LIMITS: CollectLimits = {
  markBytes: MARK_BYTES,
  blockBytes: BLOCK_BYTES,
  winsBytes: 64 * 1024,
}

export interface CollectStep {
  readonly phase:
    | 'marking'
    | 'waiting'
    | 'closing'
    | 'marking-again'
    | 'repacking'
    | 'deleting'
    | 'done'
  readonly packs: number
  readonly packBytes: number
  /** Nodes walked so far. */
  readonly nodes: number
  /** Packs in which nothing is used, and those in use that are worth carrying over. */
  readonly unused: number
  readonly unusedBytes: number
  readonly underHalf: number
  readonly underHalfBytes: number
  readonly deleted: number
  readonly deletedBytes: number
  /** Of the deleted, those of which something was carried over. */
  readonly repacked: number
  /** Of those, packs that had something that is being purged. */
  readonly purged: number
  /** Pieces of what is being purged that stay, because something else uses them. */
  readonly shared: number
  /** Packs of which nobody can say whether they have any of it: they are damaged. */
  readonly unreadable: number
  /** Blobs of other kinds. */
  readonly leftovers: number
}

/** What one round condemns at most, purges apart; the rest is for the next. */
const MOST_CONDEMNED = 50_000
const DELETED_AT_ONCE = 500
const ROWS_AT_ONCE = 200
const BACKOFF = { firstMs: 10, maxMs: 5_000 }
const ATTEMPTS = 12

type Count = { -readonly [K in keyof CollectStep]: CollectStep[K] }

/** What would go, and nothing done about it. */
export async function* plan(options: CollectOptions): AsyncGenerator<CollectStep> {
  const { store, blob, keeping, limits = LIMITS } = options
  const listing = await PackListing.read(blob, limits.blockBytes)
  const count = counted(listing)
  yield { ...count }
  const marker = new Marker(store, listing, limits.markBytes)
  await marker.mark(keeping.roots())
  weigh(count, listing, marker, limits)
  for await (const _ of keeping.leftovers()) count.leftovers++
  count.phase = 'done'
  yield { ...count }
}

/**
 * One round. @param waitMs between condemning and closing: in that time writers learn by themselves
 * what is condemned, and fewer are refused.
 * @throws VarveError STALE_STATE: another round was begun meanwhile, and this one has deleted nothing
 */
export async function* collect(
  options: CollectOptions,
  { waitMs, signal }: { readonly waitMs: number; readonly signal: AbortSignal },
): AsyncGenerator<CollectStep> {
  const { store, blob, clock, keeping, limits = LIMITS } = options
  const rounds = new Rounds(options)
  const round = await rounds.begin()
  const stand = await keeping.stand()
  await store.condemned.load()
  const listing = await PackListing.read(blob, limits.blockBytes)
  const purge = new PurgedPacks({ store, blob, listing }, store.redactions.underWay)
  const count = counted(listing)
  yield { ...count }
  const marker = new Marker(store, listing, limits.markBytes, purge.watch)
  await marker.mark(keeping.roots())
  weigh(count, listing, marker, limits)
  signal.throwIfAborted()

  const purged = await purge.find(marker, signal)
  const isWorth = (n: number): boolean => isWorthRepacking(listing, n, limits.winsBytes)
  const candidates = await rounds.condemn(
    round,
    listing,
    (n) => !listing.isUsed(n) || isWorth(n),
    purged,
  )
  count.phase = 'waiting'
  yield { ...count }
  await clock.sleep(waitMs, signal)
  signal.throwIfAborted()
  count.phase = 'closing'
  yield { ...count }
  const closed = await keeping.close()

  count.phase = 'marking-again'
  yield { ...count }
  await marker.mark(keeping.since(stand, closed))
  await marker.mark(keeping.roots())
  weigh(count, listing, marker, limits)
  signal.throwIfAborted()

  const isUsed = (pack: string): boolean => listing.isUsed(listing.numberOf(pack))
  const numbers = (packs: readonly string[], which: (n: number) => boolean): string[] =>
    packs.filter((pack) => isUsed(pack) && which(listing.numberOf(pack)))
  const carrying = { store, blob, listing, round, winsBytes: limits.winsBytes }
  count.phase = 'repacking'
  yield { ...count }
  const cleaned = await repack(
    { ...carrying, purge },
    numbers(candidates, (n) => purged.has(n)),
    signal,
  )
  const worth = numbers(candidates, (n) => !purged.has(n) && isWorth(n))
  const repacked = [...cleaned, ...(await repack(carrying, worth, signal))]
  count.repacked = repacked.length
  count.purged = cleaned.length
  count.shared = purge.shared
  count.unreadable = purge.unreadable.length
  const dead = [...candidates.filter((pack) => !isUsed(pack)), ...repacked]
  const going = new Set(dead)
  const alive = candidates.filter((pack) => !going.has(pack))
  await rounds.sentence(round, dead)
  count.phase = 'deleting'
  yield { ...count }
  await rounds.execute(round, alive)
  await store.forwards.keep((pack) => going.has(pack) || listing.isNamed(pack), round)
  count.deleted = dead.length
  count.deletedBytes = dead.reduce(
    (sum, pack) => sum + listing.sizeBytes(listing.numberOf(pack)),
    0,
  )
  const leftovers = await Array.fromAsync(keeping.leftovers())
  await rounds.delete(leftovers)
  count.leftovers = leftovers.length
  count.phase = 'done'
  yield { ...count }
}

function counted(listing: PackListing): Count {
  let packBytes = 0
  for (let n = 0; n < listing.count; n++) packBytes += listing.sizeBytes(n)
  return {
    phase: 'marking',
    packs: listing.count,
    packBytes,
    nodes: 0,
    unused: 0,
    unusedBytes: 0,
    underHalf: 0,
    underHalfBytes: 0,
    deleted: 0,
    deletedBytes: 0,
    repacked: 0,
    purged: 0,
    shared: 0,
    unreadable: 0,
    leftovers: 0,
  }
}

function weigh(
  count: Count,
  listing: PackListing,
  marker: Marker,
  { winsBytes }: CollectLimits,
): void {
  Object.assign(count, { nodes: marker.nodes, unused: 0, unusedBytes: 0 })
  Object.assign(count, { underHalf: 0, underHalfBytes: 0 })
  for (let n = 0; n < listing.count; n++) {
    const sizeBytes = listing.sizeBytes(n)
    if (!listing.isUsed(n)) {
      count.unused++
      count.unusedBytes += sizeBytes
    } else if (isWorthRepacking(listing, n, winsBytes)) {
      count.underHalf++
      count.underHalfBytes += sizeBytes
    }
  }
}

interface RoundRow {
  readonly round: number
  readonly phase: string
}

/** The rows of a round. Versions of a condemned pack: 3 × round, + 1 found dead, + 2 taken away. */
class Rounds {
  readonly #o: CollectOptions

  constructor(options: CollectOptions) {
    this.#o = options
  }

  /** The number of a new round. */
  async begin(): Promise<number> {
    for (;;) {
      const row = await this.#row()
      if (row?.phase === 'deleting') await this.execute(row.round, [])
      const from = row?.phase === 'deleting' ? { ...row, phase: 'idle' } : row
      const round = (from?.round ?? 0) + 1
      if (await this.#move(from, { round, phase: 'marking' })) return round
    }
  }

  /** Condemns what may go and what has to. All that is condemned by then, of whatever round, and was listed. */
  async condemn(
    round: number,
    listing: PackListing,
    mayGo: (n: number) => boolean,
    mustGo: ReadonlySet<number>,
  ): Promise<string[]> {
    const { tables } = this.#o
    const known = new Set<string>()
    for await (const { pack } of tables.scan(CONDEMNED, STORE)) known.add(pack)
    const rows: { pack: string; size_bytes: number }[] = []
    for (let n = 0; n < listing.count; n++) {
      const isFull = known.size + rows.length >= MOST_CONDEMNED
      const pack = listing.name(n)
      if (!mustGo.has(n) && (isFull || !mayGo(n))) continue
      if (known.has(pack)) continue
      rows.push({ pack, size_bytes: listing.sizeBytes(n) })
    }
    for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
      const some = rows.slice(at, at + ROWS_AT_ONCE)
      const put = some.map((row) => ({ ...STORE, ...row, round, dead: 0 }))
      await this.#patiently(() => tables.put(CONDEMNED, put, 3 * round))
    }
    const gone = await this.#gone(
      [...known].filter((pack) => listing.numberOf(pack) >= listing.count),
    )
    return [...known, ...rows.map(({ pack }) => pack)].filter(
      (pack) => gone.has(pack) || listing.numberOf(pack) < listing.count,
    )
  }

  /** Not to be deleted any more, or written since: the latter is left alone. */
  async #gone(packs: readonly string[]): Promise<Set<string>> {
    const gone = new Set<string>()
    for (const pack of packs)
      if ((await this.#patiently(() => this.#o.blob.head(packKey(pack)))) === undefined)
        gone.add(pack)
    return gone
  }

  /** From here on they are deleted, by this collector or the next. @throws VarveError STALE_STATE */
  async sentence(round: number, dead: readonly string[]): Promise<void> {
    const { tables } = this.#o
    for (let at = 0; at < dead.length; at += ROWS_AT_ONCE) {
      const some = dead.slice(at, at + ROWS_AT_ONCE)
      const put = some.map((pack) => ({ ...STORE, pack, round, dead: round }))
      await this.#patiently(() => tables.put(CONDEMNED, put, 3 * round + 1))
    }
    if (await this.#move({ round, phase: 'marking' }, { round, phase: 'deleting' })) return
    throw new VarveError(
      'STALE_STATE',
      'cannot go on collecting: another collection was begun meanwhile, and nothing was deleted here',
    )
  }

  /** Deletes what was sentenced and forgets it, and `alive`. As often as you like. */
  async execute(round: number, alive: readonly string[]): Promise<void> {
    const { tables } = this.#o
    const dead: string[] = []
    for await (const row of tables.scan(CONDEMNED, STORE))
      if (row.dead === round) dead.push(row.pack)
    await this.delete(dead.map(packKey))
    for (const pack of [...dead, ...alive])
      await this.#patiently(() => tables.remove(CONDEMNED, { ...STORE, pack }, 3 * round + 2))
    await this.#move({ round, phase: 'deleting' }, { round, phase: 'idle' })
  }

  async delete(keys: readonly BlobKey[]): Promise<void> {
    for (let at = 0; at < keys.length; at += DELETED_AT_ONCE)
      await this.#patiently(() => this.#o.blob.delete(keys.slice(at, at + DELETED_AT_ONCE)))
  }

  async #row(): Promise<RoundRow | undefined> {
    const row = await this.#patiently(() =>
      this.#o.tables.get(COLLECTIONS, STORE, { serial: true }),
    )
    if (!row) return undefined
    assert(row.round !== undefined && row.phase !== undefined, 'a round has a number and a phase')
    return { round: row.round, phase: row.phase }
  }

  async #move(from: RoundRow | undefined, to: RoundRow): Promise<boolean> {
    const { tables, random, clock } = this.#o
    const write = {
      partition: STORE,
      expect: { key: STORE, is: from ? { ...from } : ('absent' as const) },
      put: [{ ...STORE, ...to }],
      writeId: toHex(random.bytes(16)),
    }
    return (await settle(tables, COLLECTIONS, write, { clock, random })).kind === 'applied'
  }

  /** Ports may be away for a while. @throws VarveError what stays */
  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    const { clock, random } = this.#o
    for (let attempt = 0; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        if (attempt >= ATTEMPTS || !(error instanceof VarveError) || !error.spec.retry) throw error
      }
      await clock.sleep(backoffMs(BACKOFF, attempt, random))
    }
  }
}
