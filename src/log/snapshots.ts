// The folded state, saved now and then so that a lane need not read its log from the first entry.

import { equalBytes, fromHex, fromUtf8, toHex, utf8 } from '../base/bytes.ts'
import { say } from './diagnostics.ts'
import type { LogGuests } from './guests.ts'
import type { Head } from './journal.ts'
import { SNAPSHOTS } from './tables.ts'

/** Everything a fold is, as of one entry. */
export interface Saved {
  readonly head: Head
  /** Log time of that entry. */
  readonly atMs: number
  readonly lineMs: number
  readonly state: unknown
  readonly sizeBytes: number
}

/** Older ones are taken away. */
const KEPT = 2

export class Snapshots {
  readonly #guests: LogGuests
  readonly #partition: { readonly project: string; readonly generation: number }

  constructor(guests: LogGuests, project: string, generation: number) {
    this.#guests = guests
    this.#partition = { project, generation }
  }

  /**
   * The newest that is whole; undefined: begin at the first entry, which is always there.
   * @throws VarveError UNAVAILABLE
   */
  async load(): Promise<Saved | undefined> {
    const { tables, blob, hash } = this.#guests
    for await (const row of tables.scan(SNAPSHOTS, this.#partition)) {
      const bytes = await blob.get(row.blob)
      if (!bytes || !row.hash || !equalBytes(hash(bytes), row.hash)) {
        say('anomaly', { ...this.#partition, what: 'a snapshot is not what was written', row })
        continue
      }
      const { write, chain, ...rest } = JSON.parse(fromUtf8(bytes)) as Printed
      const head = { seq: row.seq, write, chain: fromHex(chain) }
      return { ...rest, head, sizeBytes: bytes.length }
    }
    return undefined
  }

  /** The bytes of a snapshot, made at once: the state may change right after. */
  print(saved: Omit<Saved, 'sizeBytes'>): Uint8Array {
    const { head, ...rest } = saved
    const printed: Printed = { ...rest, write: head.write, chain: toHex(head.chain) }
    return utf8(JSON.stringify(printed))
  }

  /** @throws VarveError UNAVAILABLE, DISK_FULL: then there is none, which is no harm */
  async save(seq: number, bytes: Uint8Array): Promise<void> {
    const { tables, blob, random, hash } = this.#guests
    const { project, generation } = this.#partition
    const key = `snapshots/${project}/${generation}/${seq}-${toHex(random.bytes(8))}`
    await blob.put([{ key, bytes }])
    const size_bytes = bytes.length
    const row = { ...this.#partition, seq, blob: key, size_bytes, hash: hash(bytes) }
    await tables.put(SNAPSHOTS, [row], seq)
    let n = 0
    for await (const old of tables.scan(SNAPSHOTS, this.#partition)) {
      if (++n <= KEPT) continue
      await tables.remove(
        SNAPSHOTS,
        { ...this.#partition, seq: old.seq, blob: old.blob },
        old.seq + 1,
      )
      await blob.delete([old.blob])
    }
  }
}

type Printed = Omit<Saved, 'head' | 'sizeBytes'> & {
  readonly write: string
  readonly chain: string
}
