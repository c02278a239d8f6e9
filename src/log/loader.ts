// The state of a project made from its log: the newest snapshot, the blocks after it, and the ids
// decided lately, which no snapshot holds.
//
// Invariants:
//  - A reading ends at the head exactly: the last block it applied is the one the head names.
//  - `ids` holds the ids of appended entries only, dense up to the last one read or added.
//  - A first reading takes back the ids before its snapshot from the blocks, as far as they are kept;
//    a later one keeps what is known, and reads back only where a snapshot of somebody else begins
//    beyond it.
//  - A reading may fail half way and be begun again: ids it added stay, and are not added twice.

import { assert } from '../base/assert.ts'
import type { Random } from '../base/random.ts'
import { say } from './diagnostics.ts'
import { Fold } from './fold.ts'
import type { Head, Journal } from './journal.ts'
import type { Entry, Machine } from './machine.ts'
import { RecentIds } from './recent-ids.ts'
import type { Snapshots } from './snapshots.ts'
import { HORIZON_MS } from './time.ts'

export interface LoaderOptions<Fact, State> {
  readonly project: string
  readonly machine: Pick<Machine<never, Fact, State, never>, 'empty' | 'fold' | 'restore'>
  readonly journal: Journal<Fact>
  readonly snapshots: Pick<Snapshots, 'load'>
  readonly random: Random
  /** How many decided ids are kept, a power of two; the line of expiry goes by half of it. */
  readonly keptIds: number
}

export interface Loaded<Fact, State> {
  readonly fold: Fold<Fact, State>
  /** The last entry in `fold`. */
  readonly head: Head
  /** Of the snapshot it began with; 0: there was none. */
  readonly snapshotBytes: number
  /** Of the blocks after it. */
  readonly sinceBytes: number
}

/** What is kept of an entry to know its id again. */
type Decided = Pick<Entry<unknown>, 'id' | 'seq' | 'atMs' | 'issuedAtMs'>

export class Loader<Fact, State> {
  readonly #o: LoaderOptions<Fact, State>
  #ids: RecentIds
  /** Whether a reading has come to its end. */
  #done = false

  constructor(options: LoaderOptions<Fact, State>) {
    this.#o = options
    this.#ids = this.#noIds()
  }

  /** To ask, and to add those of blocks as they are appended. Another one after each reading. */
  get ids(): RecentIds {
    return this.#ids
  }

  addId({ id, seq, atMs, issuedAtMs = 0 }: Decided): void {
    this.#ids.add(id, seq, atMs, Math.max(atMs, issuedAtMs))
  }

  /** Lets go of ids that may come no more when log time is `atMs`. */
  dropIds(atMs: number): void {
    this.#ids.dropBefore(atMs - 2 * HORIZON_MS)
  }

  /** Decision time of the n-th newest id, that of `seq` being the newest. */
  nthNewestMs(seq: number): number | undefined {
    return this.#ids.timeOf(seq - this.#o.keptIds / 2 + 1)
  }

  /** `known`: a head read or written before. @throws VarveError UNAVAILABLE, CORRUPT */
  async read(known: Head | undefined): Promise<Loaded<Fact, State>> {
    const { project, machine, journal, snapshots } = this.#o
    const saved = await snapshots.load()
    const state = saved ? machine.restore(saved.state) : machine.empty(project)
    const from = saved?.head ?? journal.genesis()
    const fold = new Fold<Fact, State>(machine, state, {
      seq: from.seq,
      atMs: saved?.atMs ?? 0,
      lineMs: saved?.lineMs ?? 0,
      view: saved?.view,
    })
    if (!this.#done || this.#ids.nextSeq <= from.seq)
      await this.#readIds(from.seq, fold.atMs - 2 * HORIZON_MS)
    const head = await journal.head(known && known.seq > from.seq ? known : from)
    if (!this.#done && head.seq > 0)
      say('takeover', { project, seq: head.seq, because: 'a lane begins' })
    const { last, sinceBytes } = await this.#readBlocks(fold, from, head)
    assert(last.seq === head.seq && last.write === head.write, 'the head is the last block')
    this.#done = true
    return { fold, head, snapshotBytes: saved?.sizeBytes ?? 0, sinceBytes }
  }

  /** Applies the blocks after `from` up to `head`, and adds their ids. */
  async #readBlocks(
    fold: Fold<Fact, State>,
    from: Head,
    head: Head,
  ): Promise<{ readonly last: Head; readonly sinceBytes: number }> {
    const { journal } = this.#o
    let last = from
    let sinceBytes = 0
    for await (const block of journal.blocksFrom(from, head.seq)) {
      for (const entry of await journal.entries(block)) {
        fold.apply(entry, this.nthNewestMs(entry.seq))
        if (this.#ids.size === 0 || entry.seq >= this.#ids.nextSeq) this.addId(entry)
      }
      this.dropIds(fold.atMs)
      sinceBytes += block.bytes.length
      last = { seq: block.lastSeq, write: block.writeId, chain: block.chain }
    }
    return { last, sinceBytes }
  }

  /**
   * Ids of entries at or before `seq` that are kept from `sinceMs` or later. That time rises with the
   * seqs but for the differences between clocks, for which it looks a horizon further back.
   */
  async #readIds(seq: number, sinceMs: number): Promise<void> {
    this.#ids = this.#noIds()
    const found: Decided[] = []
    blocks: for await (const block of this.#o.journal.blocksBackwards(seq)) {
      for (const one of block.stored.toReversed()) {
        if (one.seq > seq) continue
        const keptMs = Math.max(one.atMs, one.issuedAtMs ?? 0)
        if (keptMs < sinceMs - HORIZON_MS || found.length >= this.#o.keptIds) break blocks
        found.push(one)
      }
    }
    for (const one of found.reverse()) this.addId(one)
  }

  #noIds(): RecentIds {
    return new RecentIds(this.#o.keptIds, Math.floor(this.#o.random.next() * 2 ** 32))
  }
}
