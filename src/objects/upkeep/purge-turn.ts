// One purge of a store at a time: what is read instead of a node is made from what is read of it now, and
// two that did so side by side would bring back what the other took out.
//
//   {n, '', ''} ─▶ {n + 1, purge, ''} looking ─▶ {n + 1, purge, map} under way ─▶ {n + 1, '', ''}
//
// Who looks may be overtaken by another at any time, and has done nothing then. A purge that is under way
// is not overtaken: whoever comes next brings it to its end.

import { toHex } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import type { Random } from '../../base/random.ts'
import { defineTable } from '../../tables/schema.ts'
import { settle } from '../../tables/settle.ts'
import type { Tables } from '../../tables/tables.ts'

export const PURGING = defineTable({
  name: 'purging',
  kind: 'guarded',
  partition: ['store'],
  clustering: [],
  columns: {
    store: 'text',
    n: 'int',
    project: 'text',
    purge: 'text',
    map: 'text',
    write_id: 'text',
  },
})

/** One store of packs has one list. */
const STORE = { store: 'packs' } as const

/** Empty texts: nobody's. `map`: a reference; empty: it is being looked for what to purge. */
export interface PurgeTurn {
  readonly n: number
  readonly project: string
  readonly purge: string
  readonly map: string
}

const NOBODYS: PurgeTurn = { n: 0, project: '', purge: '', map: '' }

/** @throws VarveError UNAVAILABLE */
export async function purgeTurn(tables: Tables): Promise<PurgeTurn> {
  const row = await tables.get(PURGING, STORE, { serial: true })
  if (!row) return NOBODYS
  const { n = 0, project = '', purge = '', map = '' } = row
  return { n, project, purge, map }
}

/** Whether it was `from` until then. */
export async function moveTurn(
  guests: { readonly tables: Tables; readonly clock: Clock; readonly random: Random },
  from: PurgeTurn,
  to: PurgeTurn,
): Promise<boolean> {
  const { tables, random } = guests
  const write = {
    partition: STORE,
    expect: { key: STORE, is: from.n === 0 ? ('absent' as const) : { ...from } },
    put: [{ ...STORE, ...to }],
    writeId: toHex(random.bytes(16)),
  }
  return (await settle(tables, PURGING, write, guests)).kind === 'applied'
}
