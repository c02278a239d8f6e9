// One project's log as it lies in the table: where it ends, its blocks, and the one way to append.
//
// Invariants: seqs are dense; a block lies in one bucket; the guard of a bucket exists from the
// bucket's first block on; a bucket is begun only by a writer that knows from a definite answer that
// the one before is full, so at any time exactly one guard row decides who may append.

import { assert, must } from '../base/assert.ts'
import { concat, equalBytes, toHex, utf8 } from '../base/bytes.ts'
import { VarveError } from '../base/errors.ts'
import type { KeyOf } from '../tables/schema.ts'
import { settle } from '../tables/settle.ts'
import { decodeBlock, encodeBlock, isEntryRef, resolveEntries } from './block.ts'
import type { EncodedEntry, Stored } from './block.ts'
import type { LogGuests } from './guests.ts'
import type { Entry } from './machine.ts'
import { BUCKET_SEQS, LOG, bucketEnd, bucketOf } from './tables.ts'
import type { LogRow } from './tables.ts'

/** Where a log ends: the guard an append must meet. */
export interface Head {
  readonly seq: number
  /** The write id of the newest block; '' while there is none. */
  readonly write: string
  readonly chain: Uint8Array
}

/** Entries of several blocks are taken together up to about this weight. */
const RUN_BYTES = 4 * 1024 * 1024

export interface Block<Fact> {
  readonly firstSeq: number
  readonly lastSeq: number
  readonly bytes: Uint8Array
  readonly chain: Uint8Array
  readonly writeId: string
  readonly stored: readonly Stored<Fact>[]
}

export class Journal<Fact> {
  readonly project: string
  readonly generation: number
  readonly #guests: LogGuests
  /** The one asked for last: those who look up one entry of it look up its neighbours too. */
  #lastBlock: Block<Fact> | undefined

  constructor(guests: LogGuests, project: string, generation: number) {
    this.#guests = guests
    this.project = project
    this.generation = generation
  }

  /** The head of an empty log. */
  genesis(): Head {
    const name = utf8(`varve log ${this.project} ${this.generation}`)
    return { seq: 0, write: '', chain: this.#guests.hash(name) }
  }

  /**
   * The head now, linearizable; `from` is a head known to have been there. An append that is still
   * in flight may land after it. @throws VarveError UNAVAILABLE
   */
  async head(from: Head): Promise<Head> {
    let head = from
    for (;;) {
      // Of a full bucket only its successor can tell more.
      const bucket = bucketOf(head.seq + 1)
      const guard = await this.#guests.tables.get(LOG, this.#key(bucket, 0), { serial: true })
      if (!guard || guard.head === head.seq) return head
      head = headOf(guard)
      if (head.seq < bucketEnd(bucket)) return head
    }
  }

  /**
   * Appends the first entries as one block, or learns that somebody else wrote. Repeats the identical
   * write until the answer is definite.
   * @returns the new head, or undefined when refused
   * @throws VarveError DISK_FULL, UNAVAILABLE: surely nothing was written; anything after an abort
   */
  async append(
    head: Head,
    entries: readonly EncodedEntry<Fact>[],
    signal: AbortSignal,
  ): Promise<Head | undefined> {
    const first = entries[0]?.entry.seq
    const last = entries.at(-1)?.entry.seq
    assert(first === head.seq + 1, `append of seq ${first} after ${head.seq}`)
    assert(last === head.seq + entries.length, 'a block is dense')
    const bucket = bucketOf(first)
    assert(bucketOf(last) === bucket, 'a block lies in one bucket')
    const { tables, random, hash } = this.#guests
    const bytes = encodeBlock(entries)
    const chain = hash(concat([head.chain, bytes]))
    const writeId = toHex(random.bytes(16))
    const guardKey = this.#key(bucket, 0)
    const begins = head.seq % BUCKET_SEQS === 0
    const write = {
      partition: { project: this.project, generation: this.generation, bucket },
      expect: {
        key: guardKey,
        is: begins ? ('absent' as const) : { head: head.seq, head_write: head.write },
      },
      put: [
        { ...guardKey, head: last, head_write: writeId, chain },
        { ...this.#key(bucket, first), last_seq: last, entries: bytes, chain },
      ],
      writeId,
    }
    // The guard's {head, head_write} never comes back, so what is refused once is refused for ever.
    const outcome = await settle(tables, LOG, write, this.#guests, signal)
    return outcome.kind === 'applied' ? { seq: last, write: writeId, chain } : undefined
  }

  /**
   * Blocks that hold seqs after `after`, in order, through seq `through` (which is known to be
   * there) or as far as they go. The first may begin before; check only what is dense.
   * @throws VarveError CORRUPT, UNAVAILABLE
   */
  async *blocks(after: number, through = Infinity): AsyncGenerator<Block<Fact>> {
    let at = after
    let chain: Uint8Array | undefined
    while (at < through) {
      const bucket = bucketOf(at + 1)
      const end = bucketEnd(bucket)
      let seen = false
      for await (const block of this.#bucket(bucket, at)) {
        if (block.lastSeq <= at) continue
        if (block.firstSeq > at + 1) throw this.#corrupt(at + 1, 'it is missing')
        if (chain) this.#checkChain(chain, block)
        chain = block.chain
        seen = true
        at = block.lastSeq
        yield block
        if (at >= through) return
      }
      if (!seen || at < end) {
        if (through === Infinity) return
        throw this.#corrupt(at + 1, `it is missing below seq ${through}`)
      }
    }
  }

  /** Blocks from the one that holds seq `from` backwards. */
  async *blocksBackwards(from: number): AsyncGenerator<Block<Fact>> {
    for (let bucket = bucketOf(from); from > 0 && bucket >= 0; bucket--) {
      const rows = this.#guests.tables.scan(LOG, this.#partition(bucket), {
        reverse: true,
        after: { first_seq: from + 1 },
      })
      for await (const row of rows) if (row.first_seq > 0) yield this.#block(row)
    }
  }

  /** Fails unless the block follows a block with that chain. @throws VarveError CORRUPT */
  #checkChain(before: Uint8Array, block: Block<Fact>): void {
    if (!equalBytes(this.#guests.hash(concat([before, block.bytes])), block.chain))
      throw this.#corrupt(block.firstSeq, 'the chain of hashes does not hold')
  }

  /** As `blocks`, from a head on, the chain checked from there. */
  async *blocksFrom(head: Head, through: number): AsyncGenerator<Block<Fact>> {
    let first = true
    for await (const block of this.blocks(head.seq, through)) {
      if (first) this.#checkChain(head.chain, block)
      first = false
      yield block
    }
  }

  /** The entries of a block, big ones fetched. @throws VarveError CORRUPT, UNAVAILABLE */
  entries(block: Block<Fact>): Promise<readonly Entry<Fact>[]> {
    return resolveEntries(block.stored, this.#guests.blob, this.#guests.hash)
  }

  /**
   * Entries after `after` through `through` (which are known to be there), dense, in runs of `least`
   * or more, or of some megabytes: small blocks are taken together.
   * @throws VarveError CORRUPT, UNAVAILABLE
   */
  async *runs(
    after: number,
    through: number,
    least: number,
  ): AsyncGenerator<readonly Entry<Fact>[]> {
    let run: Entry<Fact>[] = []
    let at = after
    let sizeBytes = 0
    for await (const block of this.blocks(after, through)) {
      for (const entry of await this.entries(block)) {
        if (entry.seq <= at || entry.seq > through) continue
        at = entry.seq
        run.push(entry)
      }
      for (const one of block.stored) if (isEntryRef(one)) sizeBytes += one.blob.sizeBytes
      sizeBytes += block.bytes.length
      if (run.length === 0 || (run.length < least && sizeBytes < RUN_BYTES)) continue
      yield run
      run = []
      sizeBytes = 0
    }
    if (run.length > 0) yield run
  }

  /** One entry that is known to be there. @throws VarveError CORRUPT, UNAVAILABLE */
  async entry(seq: number): Promise<Entry<Fact>> {
    const block = await this.#blockOf(seq)
    const stored = block?.stored.find((one) => one.seq === seq)
    if (!stored) throw this.#corrupt(seq, 'it is missing')
    const [entry] = await resolveEntries([stored], this.#guests.blob, this.#guests.hash)
    return must(entry, 'a resolved entry')
  }

  /** Blocks of one bucket, from the one that holds seq `at + 1`. */
  async *#bucket(bucket: number, at: number): AsyncGenerator<Block<Fact>> {
    const tables = this.#guests.tables
    // Readers mostly stand at the end of a block: then this is all.
    let first = true
    for await (const row of tables.scan(LOG, this.#partition(bucket), {
      after: { first_seq: at },
    })) {
      if (row.first_seq === 0) continue
      if (first && row.first_seq !== at + 1) break
      first = false
      yield this.#block(row)
    }
    if (!first) return
    // They stand inside one: from its beginning.
    const inside = await this.#blockOf(at + 1)
    if (!inside) return
    yield inside
    const on = { after: { first_seq: inside.firstSeq } }
    for await (const row of tables.scan(LOG, this.#partition(bucket), on)) yield this.#block(row)
  }

  /** The block with the highest first seq not above `seq`, in its bucket. */
  async #blockOf(seq: number): Promise<Block<Fact> | undefined> {
    const last = this.#lastBlock
    if (last && last.firstSeq <= seq && seq <= last.lastSeq) return last
    // Backwards, «after» seq + 1 is: at seq or below.
    const back = { reverse: true, after: { first_seq: seq + 1 }, limit: 1 }
    for await (const row of this.#guests.tables.scan(LOG, this.#partition(bucketOf(seq)), back))
      return row.first_seq > 0 ? (this.#lastBlock = this.#block(row)) : undefined
    return undefined
  }

  #block(row: LogRow): Block<Fact> {
    const { first_seq: firstSeq, last_seq: lastSeq, entries: bytes, chain, write_id } = row
    if (lastSeq === undefined || !bytes || !chain)
      throw this.#corrupt(firstSeq, 'its row is not whole')
    const stored = decodeBlock<Fact>(bytes)
    if (stored.length !== lastSeq - firstSeq + 1 || stored[0]?.seq !== firstSeq)
      throw this.#corrupt(firstSeq, 'its row does not hold what it says')
    return { firstSeq, lastSeq, bytes, chain, writeId: write_id ?? '', stored }
  }

  #partition(bucket: number): { project: string; generation: number; bucket: number } {
    return { project: this.project, generation: this.generation, bucket }
  }

  #key(bucket: number, firstSeq: number): KeyOf<typeof LOG> {
    return { ...this.#partition(bucket), first_seq: firstSeq }
  }

  #corrupt(seq: number, why: string): VarveError {
    return new VarveError(
      'CORRUPT',
      `cannot read entry ${seq} of the log of project "${this.project}": ${why}`,
    )
  }
}

function headOf(guard: LogRow): Head {
  const { head, head_write, chain } = guard
  assert(head !== undefined && head_write !== undefined && chain, 'a guard row is whole')
  return { seq: head, write: head_write, chain }
}
