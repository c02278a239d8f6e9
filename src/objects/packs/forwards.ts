// Where frames have gone that were carried over before their pack was deleted. Hints in nodes never change, so
// what names the old place finds the new one here.
//
// While a pack is there its row means nothing: a collection that was overtaken carried over in vain, and its
// copies may go before the next one writes the row anew. So a row is read, and remembered, only of a pack
// that was seen to be gone.
//
//   varint packs · 16 bytes of name each · varint frames · for each, in order of where it lay:
//     varint offset − the one before · varint which pack · varint offset there · varint length there, 0: as before

import { fromHex, toHex } from '../../base/bytes.ts'
import type { BlobStore } from '../../blob/blob.ts'
import { defineTable } from '../../tables/schema.ts'
import type { Tables } from '../../tables/tables.ts'
import { Lru } from '../lru.ts'
import { ByteReader, ByteWriter } from './codec.ts'
import type { Place } from './pack.ts'
import { packKey } from './pack-footer.ts'

export const FORWARDS = defineTable({
  name: 'forwards',
  kind: 'facts',
  partition: ['store', 'bucket'],
  clustering: ['pack'],
  columns: { store: 'text', bucket: 'text', pack: 'text', frames: 'bytes' },
})

/** One store of packs has one list. */
const STORE = 'packs'
const CACHE_BYTES = 16 * 1024 * 1024
const FRAME_WEIGHT_BYTES = 120
/** So often at most a frame was carried over. */
const MOST_STEPS = 1_000

/** By where a frame lay in its pack, where it lies now; length 0: it is as long as it was. */
export type Moves = ReadonlyMap<number, Place>

export class Forwards {
  readonly #tables: Tables | undefined
  readonly #blob: Pick<BlobStore, 'head'>
  readonly #cache = new Lru<Moves>(CACHE_BYTES)

  /** Without tables nothing was ever carried over. */
  constructor(tables: Tables | undefined, blob: Pick<BlobStore, 'head'>) {
    this.#tables = tables
    this.#blob = blob
  }

  /** Undefined: it is there, or nothing of it was kept. @throws VarveError UNAVAILABLE */
  async of(pack: string): Promise<Moves | undefined> {
    const cached = this.#cache.get(pack)
    if (cached) return cached
    if (!this.#tables || (await this.isThere(pack))) return undefined
    const row = await this.#tables?.get(FORWARDS, keyOf(pack))
    if (!row?.frames) return undefined
    const moves = decodeMoves(row.frames)
    this.#cache.set(pack, moves, moves.size * FRAME_WEIGHT_BYTES)
    return moves
  }

  async isThere(pack: string): Promise<boolean> {
    return (await this.#blob.head(packKey(pack))) !== undefined
  }

  /** Where a frame has gone, and from there, step by step. @throws VarveError UNAVAILABLE */
  async *from(place: Place): AsyncGenerator<Place> {
    let at = (await this.of(place.pack))?.get(place.offset)
    let { length } = place
    for (let step = 0; at && step < MOST_STEPS; step++) {
      length = at.length || length
      yield { ...at, length }
      at = (await this.of(at.pack))?.get(at.offset)
    }
  }

  /** @param round of the collection: a later one knows better */
  async put(pack: string, moves: Moves, round: number): Promise<void> {
    await this.#tables?.put(FORWARDS, [{ ...keyOf(pack), frames: encodeMoves(moves) }], 2 * round)
    this.#cache.delete(pack)
  }

  /** Forgets those of packs that nothing names any more. */
  async keep(isNamed: (pack: string) => boolean, round: number): Promise<void> {
    const tables = this.#tables
    for (let n = 0; tables && n < BUCKETS; n++)
      for await (const { pack } of tables.scan(FORWARDS, { store: STORE, bucket: bucketName(n) }))
        if (!isNamed(pack)) await tables.remove(FORWARDS, keyOf(pack), 2 * round + 1)
  }
}

const BUCKETS = 256

function bucketName(n: number): string {
  return n.toString(16).padStart(2, '0')
}

function keyOf(pack: string): { store: string; bucket: string; pack: string } {
  return { store: STORE, bucket: pack.slice(0, 2), pack }
}

function encodeMoves(moves: Moves): Uint8Array {
  const packs = [...new Set([...moves.values()].map(({ pack }) => pack))]
  const out = new ByteWriter(16 + packs.length * 16 + moves.size * 7)
  out.varint(packs.length)
  for (const pack of packs) out.copy(fromHex(pack), 0, 16)
  out.varint(moves.size)
  let last = 0
  for (const [offset, to] of [...moves].toSorted(([a], [b]) => a - b)) {
    out.varint(offset - last)
    out.varint(packs.indexOf(to.pack))
    out.varint(to.offset)
    out.varint(to.length)
    last = offset
  }
  return out.done().slice()
}

function decodeMoves(bytes: Uint8Array): Moves {
  const reader = new ByteReader(bytes)
  const packs = Array.from({ length: reader.varint() }, () => {
    const at = reader.skip(16)
    return toHex(bytes.subarray(at, at + 16))
  })
  const moves = new Map<number, Place>()
  let last = 0
  for (let left = reader.varint(); left > 0; left--) {
    last += reader.varint()
    const pack = packs[reader.varint()] ?? ''
    moves.set(last, { pack, offset: reader.varint(), length: reader.varint() })
  }
  reader.end()
  return moves
}
