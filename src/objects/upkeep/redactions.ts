// What stands in the stead of nodes that held what was purged, and which bytes are gone for ever. Ids stay
// as they were, so roots, keys and receipts made before still name what they named; who looks a node up
// by such an id is given another one, which says the same without what was purged.
//
// - While a purge is under way its map is in memory, and the old nodes are not looked at even where
//   they can still be read: nobody builds on what is about to go.
// - Afterwards their packs are gone. Who misses a node there looks it up in the table, one row each.
// - What the same id names in a pack written later is whole: somebody put it again, which is not purged.

import { fromHex, toHex } from '../../base/bytes.ts'
import type { TreeRef } from '../../model/tree-ref.ts'
import { makeTreeRef } from '../../model/tree-ref.ts'
import { defineTable } from '../../tables/schema.ts'
import type { Tables } from '../../tables/tables.ts'
import { ID_BYTES } from '../ids.ts'
import { ByteReader, ByteWriter } from '../packs/codec.ts'
import { purgeTurn } from './purge-turn.ts'

/** `instead`: the node that is read for it; empty: a chunk, or a node of which nothing is left. */
export const REDACTIONS = defineTable({
  name: 'redactions',
  kind: 'facts',
  partition: ['store', 'bucket'],
  clustering: ['id'],
  columns: { store: 'text', bucket: 'text', id: 'text', instead: 'text' },
})

/** One store of packs has one list. */
const STORE = { store: 'packs' } as const
const ROWS_AT_ONCE = 200

/** By hex id. Of a purge, small enough for memory: see purge-plan.ts. */
export interface PurgeMap {
  readonly instead: ReadonlyMap<string, TreeRef>
  /** Chunks, lists and directories that stood where something was purged. Others may use them still. */
  readonly gone: ReadonlySet<string>
  /** What entries were called there. */
  readonly names: ReadonlySet<string>
}

export class Redactions {
  readonly #tables: Tables | undefined
  readonly #read: (ref: TreeRef) => Promise<Uint8Array>
  #mapRef = ''
  /** Of the purge under way, as of the last load. */
  underWay: PurgeMap | undefined
  /** Rises when another purge is under way than before: what was decoded by then may be shown no more. */
  generation = 0

  constructor(tables: Tables | undefined, read: (ref: TreeRef) => Promise<Uint8Array>) {
    this.#tables = tables
    this.#read = read
  }

  /** Of what was not found where it lay: what is read for it; empty text: it was purged; undefined: it was not. */
  async find(id: string): Promise<TreeRef | '' | undefined> {
    const row = await this.#tables?.get(REDACTIONS, { ...STORE, bucket: id.slice(0, 2), id })
    return row?.instead as TreeRef | '' | undefined
  }

  /** Returns whether another purge is under way than at the load before. @throws VarveError UNAVAILABLE */
  async load(): Promise<boolean> {
    if (!this.#tables) return false
    for (;;) {
      const { map } = await purgeTurn(this.#tables)
      if (map === this.#mapRef) return false
      try {
        this.underWay = map === '' ? undefined : decodePurgeMap(await this.#read(map as TreeRef))
      } catch (error) {
        // It has ended meanwhile, and its map is gone.
        if ((await purgeTurn(this.#tables)).map === map) throw error
        continue
      }
      this.#mapRef = map
      this.generation++
      return true
    }
  }

  /** For whoever looks for what is gone. As often as you like. @param n its turn: of one node the later one counts */
  async tell(mapRef: TreeRef, n: number): Promise<void> {
    const map = decodePurgeMap(await this.#read(mapRef))
    const row = (id: string, instead: string) => ({ ...STORE, bucket: id.slice(0, 2), id, instead })
    // A node stands in both where the directory it belonged to is gone as well.
    const rows = [...map.gone].filter((id) => !map.instead.has(id)).map((id) => row(id, ''))
    for (const [id, ref] of map.instead) rows.push(row(id, ref))
    for (let at = 0; at < rows.length; at += ROWS_AT_ONCE)
      await this.#tables?.put(REDACTIONS, rows.slice(at, at + ROWS_AT_ONCE), n)
  }
}

// varint nodes · for each: id · id of the one instead · 16 bytes of its pack · varint offset · varint length
// varint gone · so many ids · varint names · so many texts

export function encodePurgeMap({ instead, gone, names }: PurgeMap): Uint8Array {
  const out = new ByteWriter(64 + instead.size * 96 + gone.size * ID_BYTES)
  out.varint(instead.size)
  for (const [id, ref] of instead) {
    const [to = '', pack = '', offset, length] = ref.split('.')
    out.copy(fromHex(id), 0, ID_BYTES)
    out.copy(fromHex(to), 0, ID_BYTES)
    out.copy(fromHex(pack), 0, 16)
    out.varint(Number(offset))
    out.varint(Number(length))
  }
  out.varint(gone.size)
  for (const id of gone) out.copy(fromHex(id), 0, ID_BYTES)
  out.varint(names.size)
  for (const name of names) out.text(name)
  return out.done().slice()
}

export function decodePurgeMap(bytes: Uint8Array): PurgeMap {
  const reader = new ByteReader(bytes)
  const hex = (size: number): string => {
    const at = reader.skip(size)
    return toHex(bytes.subarray(at, at + size))
  }
  const instead = new Map<string, TreeRef>()
  for (let left = reader.varint(); left > 0; left--) {
    const [id, to, pack] = [hex(ID_BYTES), hex(ID_BYTES), hex(16)]
    instead.set(id, makeTreeRef(to, { pack, offset: reader.varint(), length: reader.varint() }))
  }
  const gone = new Set<string>()
  for (let left = reader.varint(); left > 0; left--) gone.add(hex(ID_BYTES))
  const names = new Set<string>()
  for (let left = reader.varint(); left > 0; left--) names.add(reader.text())
  reader.end()
  return { instead, gone, names }
}
