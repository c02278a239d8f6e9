// The folded state, saved now and then so that a lane need not read its log from the first entry.

import { concat, equalBytes, fromHex, fromUtf8, toHex, utf8 } from '../base/bytes.ts'
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
  /** The current view of the projections; undefined: the first. */
  readonly view?: number
  readonly state: unknown
  readonly sizeBytes: number
}

/** Older ones are taken away. */
const KEPT = 2
/** Items of a list that are printed in one go, and text after which others get their turn. */
const SLICE_ITEMS = 256
const SLICE_CHARS = 256 * 1024
/** Levels of objects that may hold long lists: the whole, and the state in it. */
const LEVELS = 2

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

  /** The bytes of a snapshot, made in slices: whoever serves other requests meanwhile goes on. */
  async print(saved: Omit<Saved, 'sizeBytes'>): Promise<Uint8Array> {
    const { head, ...rest } = saved
    const printed: Printed = { ...rest, write: head.write, chain: toHex(head.chain) }
    const parts: Uint8Array[] = []
    let text = ''
    for (const piece of pieces(printed, LEVELS)) {
      text += piece
      if (text.length < SLICE_CHARS) continue
      parts.push(utf8(text))
      text = ''
      await this.#guests.clock.sleep(0)
    }
    return concat([...parts, utf8(text)])
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

/** The JSON of a value, long lists in it a few items at a time. */
function* pieces(value: unknown, levels: number): Generator<string> {
  if (Array.isArray(value) && value.length > SLICE_ITEMS) {
    for (let at = 0; at < value.length; at += SLICE_ITEMS)
      yield (at === 0 ? '[' : ',') + JSON.stringify(value.slice(at, at + SLICE_ITEMS)).slice(1, -1)
    yield ']'
  } else if (levels > 0 && isPlain(value)) {
    let before = '{'
    for (const [name, part] of Object.entries(value)) {
      if (part === undefined) continue
      yield `${before}${JSON.stringify(name)}:`
      yield* pieces(part, levels - 1)
      before = ','
    }
    yield before === '{' ? '{}' : '}'
  } else yield JSON.stringify(value)
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

type Printed = Omit<Saved, 'head' | 'sizeBytes'> & {
  readonly write: string
  readonly chain: string
}
