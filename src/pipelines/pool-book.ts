// Which hosts of a pool may be given work, and which of them hold some. A host that is to go away must
// not be given a chunk by some server after it was found to hold none; so, with rows alone:
//
//   whoever gives     notes "host, chunk", takes the lease; with both → reads the pool: retired? then
//                     gives back
//   whoever retires   writes "retired" to the pool → reads the notes → looks at the row of each
//
// Either the first reads "retired", or its note and its lease stood before the second reads. Notes may be
// left over, and missing only of a lease that nobody works under yet: only the row says whether the chunk
// is still held. Who retires strikes no note whose lease may be on its way: the host may be let in again
// before it comes.
//
// A pool also has an incarnation, which its tokens carry. A pool that was forgotten has none: what its
// tokens open is nothing, also when a pool of the same name is made again.

import type { Clock } from '../base/clock.ts'
import { toHex } from '../base/bytes.ts'
import type { Random } from '../base/random.ts'
import type { ChunkKey } from '../model/datum.ts'
import { chunkKey } from '../model/datum.ts'
import type { Id } from '../model/id.ts'
import { hostOf, poolOfOwner } from '../model/worker-name.ts'
import { defineTable } from '../tables/schema.ts'
import type { RowOf } from '../tables/schema.ts'
import { settle } from '../tables/settle.ts'
import type { Tables } from '../tables/tables.ts'
import type { Lease, WorkRows } from './work.ts'

export const POOLS = defineTable({
  name: 'pools',
  kind: 'guarded',
  partition: ['pool'],
  clustering: [],
  // `incarnation`: empty when the pool is forgotten. `retired`: hosts, a JSON list in order.
  columns: { pool: 'text', incarnation: 'text', retired: 'text', write_id: 'text' },
})

export const HOLDINGS = defineTable({
  name: 'holdings',
  kind: 'facts',
  partition: ['host'],
  clustering: ['chunk', 'token', 'worker'],
  columns: { host: 'text', chunk: 'text', token: 'int', worker: 'text', key: 'text' },
  ttlSeconds: 86_400,
})

/** What is remembered of a pool by a server that gives work; a lease is checked against the row. */
const BELIEVED_MS = 2_000
/** Whoever keeps a pool asks all the time that nobody be retired: so long that is believed to be so. */
const ALL_IN_MS = 30_000

export class PoolBook {
  readonly #tables: Tables
  readonly #rows: WorkRows
  readonly #clock: Clock
  readonly #random: Random
  readonly #ids: () => Id
  readonly #believed = new Map<string, { row: RowOf<typeof POOLS> | undefined; atMs: number }>()

  constructor(options: {
    tables: Tables
    rows: WorkRows
    clock: Clock
    random: Random
    ids: () => Id
  }) {
    this.#tables = options.tables
    this.#rows = options.rows
    this.#clock = options.clock
    this.#random = options.random
    this.#ids = options.ids
  }

  /** Whether tokens of this incarnation open anything; as it was two seconds ago at most. */
  async isOpen(pool: string, incarnation: string): Promise<boolean> {
    const known = this.#believed.get(pool)
    // A pool made a moment ago is known only to its maker.
    const row = known?.row?.incarnation === incarnation ? await this.#lately(pool) : undefined
    return (row ?? (await this.#read(pool)))?.incarnation === incarnation
  }

  /** Whether the worker was to be given work two seconds ago; saves tries that would be in vain. */
  async mayTry(owner: string): Promise<boolean> {
    const pool = poolOfOwner(owner)
    return pool === undefined || !retires(await this.#lately(pool), owner)
  }

  /** Before `mayKeep` is asked; beside the lease, or before it: `token` is the one it will have. */
  async note(owner: string, chunk: ChunkKey, token: number): Promise<void> {
    const host = podOf(owner)
    if (host === undefined) return
    const { project, pipeline, job, n } = chunk
    const key = JSON.stringify({ project, pipeline, job, n })
    const row = { host, chunk: chunkKey(chunk), token, worker: owner, key }
    await this.#tables.put(HOLDINGS, [row], 1)
  }

  /** After lease and note. False: the host was retired; the lease must be given back. */
  async mayKeep(owner: string): Promise<boolean> {
    const pool = poolOfOwner(owner)
    return pool === undefined || !retires(await this.#read(pool), owner)
  }

  /** The chunk is no longer held. Losing this costs whoever retires the host a look at the row. */
  async strike(chunk: ChunkKey, { owner, token }: Lease): Promise<void> {
    const host = podOf(owner)
    if (host === undefined) return
    const key = { host, chunk: chunkKey(chunk), token, worker: owner }
    await this.#tables.remove(HOLDINGS, key, 2)
  }

  /**
   * Opens again what earlier workers of this worker's host still hold: they ended with their process,
   * for in a pod there is one. Nobody waits for their leases then.
   */
  async inherit(owner: string): Promise<readonly ChunkKey[]> {
    const host = podOf(owner)
    const opened: ChunkKey[] = []
    if (host === undefined) return opened
    for await (const { worker, token, key } of this.#tables.scan(HOLDINGS, { host })) {
      if (worker === owner) continue
      const chunk = JSON.parse(key ?? '') as ChunkKey
      const lease = { owner: worker, token }
      if (await this.#rows.reopen(chunk, lease)) opened.push(chunk)
      await this.strike(chunk, lease)
    }
    return opened
  }

  /** From now on these hosts get no work, all others of the pool do. Returns those that hold none. */
  async retire(pool: string, hosts: readonly string[]): Promise<ReadonlySet<string>> {
    if (hosts.length === 0 && this.#areAllIn(pool)) return new Set()
    const retired = JSON.stringify([...hosts].sort())
    await this.#write(pool, (row) => (row?.retired ?? '[]') !== retired && { ...row, retired })
    const idle = await Promise.all(
      hosts.map(async (host) => ((await this.#holdsNone(host)) ? [host] : [])),
    )
    return new Set(idle.flat())
  }

  async #holdsNone(host: string): Promise<boolean> {
    for await (const note of this.#tables.scan(HOLDINGS, { host })) {
      const chunk = JSON.parse(note.key ?? '') as ChunkKey
      const row = await this.#rows.get(chunk)
      const { owner, token, state } = row ?? {}
      if (state === 'leased' && owner === note.worker && token === note.token) return false
      const isOver = state === 'done' || state === 'closed' || (token ?? 0) >= note.token
      if (isOver) await this.strike(chunk, { owner: note.worker, token: note.token })
    }
    return true
  }

  #areAllIn(pool: string): boolean {
    const known = this.#believed.get(pool)
    if (!known || this.#clock.monotonicMs() - known.atMs >= ALL_IN_MS) return false
    return (known.row?.retired ?? '[]') === '[]'
  }

  /** The pool's incarnation, a new one when it has none. */
  async open(pool: string): Promise<string> {
    const row = await this.#write(
      pool,
      (row) => !row?.incarnation && { retired: '[]', incarnation: this.#ids() },
    )
    return row?.incarnation ?? ''
  }

  async forget(pool: string): Promise<void> {
    await this.#write(
      pool,
      (row) => Boolean(row?.incarnation) && { retired: '[]', incarnation: '' },
    )
  }

  async #lately(pool: string): Promise<RowOf<typeof POOLS> | undefined> {
    const known = this.#believed.get(pool)
    const nowMs = this.#clock.monotonicMs()
    return known && nowMs - known.atMs < BELIEVED_MS ? known.row : this.#read(pool)
  }

  async #read(pool: string): Promise<RowOf<typeof POOLS> | undefined> {
    const atMs = this.#clock.monotonicMs()
    const row = await this.#tables.get(POOLS, { pool })
    this.#believed.set(pool, { row, atMs })
    return row
  }

  /** Changes the row as it stands; `change` says false when it is as wanted. Returns it as it then is. */
  async #write(
    pool: string,
    change: (
      row: RowOf<typeof POOLS> | undefined,
    ) =>
      | false
      | { readonly incarnation?: string | undefined; readonly retired?: string | undefined },
  ): Promise<RowOf<typeof POOLS> | undefined> {
    for (let row = await this.#read(pool); ;) {
      const to = change(row)
      if (to === false) return row
      const is = row ? { incarnation: row.incarnation, retired: row.retired } : 'absent'
      const put = { pool, incarnation: to.incarnation, retired: to.retired }
      const outcome = await settle(
        this.#tables,
        POOLS,
        {
          partition: { pool },
          expect: { key: { pool }, is },
          put: [put],
          writeId: toHex(this.#random.bytes(16)),
        },
        { clock: this.#clock, random: this.#random },
      )
      const atMs = this.#clock.monotonicMs()
      row = outcome.kind === 'applied' ? put : outcome.current
      this.#believed.set(pool, { row, atMs })
      if (outcome.kind === 'applied') return row
    }
  }
}

/** The host of a worker that is of a pool; other workers are no concern of the book. */
function podOf(owner: string): string | undefined {
  return poolOfOwner(owner) === undefined ? undefined : hostOf(owner)
}

function retires(row: RowOf<typeof POOLS> | undefined, owner: string): boolean {
  const hosts = JSON.parse(row?.retired ?? '[]') as readonly string[]
  return hosts.includes(hostOf(owner) ?? '')
}
