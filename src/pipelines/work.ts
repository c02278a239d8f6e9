// Rows of work: one partition for each chunk of a job.
//
//   no row → leased(owner, 1)                            the first claim makes the row, if there is none
//   ready(token) → leased(owner, token + 1) → done(result)
//                         └→ ready(token)       when its owner was not seen for a while, or gave it back
//   no row | ready | leased → closed            the job was stopped
//
// The row is the result: what is done stays done, and only the lease that stands can make it so. A
// token rises at each claim, so each condition holds at most once: also that there is no row, for rows
// never go. Which chunks there are is in the recorded plan; anyone may make their rows.

import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import { toHex } from '../base/bytes.ts'
import { defineTable } from '../tables/schema.ts'
import type { PartitionOf, RowOf } from '../tables/schema.ts'
import { settle } from '../tables/settle.ts'
import type { Tables } from '../tables/tables.ts'
import { VarveError } from '../base/errors.ts'
import type { ChunkKey } from '../model/datum.ts'
import { chunkKey } from '../model/datum.ts'
import type { Session } from '../model/ops.ts'
import type { TreeRef } from '../model/tree-ref.ts'

export const WORK = defineTable({
  name: 'work',
  kind: 'guarded',
  partition: ['project', 'pipeline', 'job', 'n'],
  clustering: [],
  columns: {
    project: 'text',
    pipeline: 'text',
    job: 'text',
    n: 'int',
    state: 'text',
    owner: 'text',
    token: 'int',
    /** Results of sessions before this seq do not count: raised by collection. */
    closed: 'int',
    result: 'text',
    write_id: 'text',
  },
})

/** A worker's one heartbeat row names all it keeps. The version of a row is its beat. */
export const BEATS = defineTable({
  name: 'beats',
  kind: 'facts',
  partition: ['worker'],
  clustering: [],
  columns: { worker: 'text', beat: 'int', keeps: 'text' },
  ttlSeconds: 86_400,
})

export type WorkRow = RowOf<typeof WORK>

/** A row that is ready, as it is believed to be. */
export interface Ready {
  readonly token: number
  readonly closed: number
}

/** The lease of a claimed chunk. */
export interface Lease {
  readonly owner: string
  readonly token: number
}

export interface WorkOptions {
  readonly tables: Tables
  readonly clock: Clock
  readonly random: Random
}

export class WorkRows {
  readonly #options: WorkOptions

  constructor(options: WorkOptions) {
    this.#options = options
  }

  /** As it stands; undefined: nobody made it yet. */
  get(key: ChunkKey): Promise<WorkRow | undefined> {
    return this.#options.tables.get(WORK, partition(key))
  }

  /**
   * Takes a chunk that is believed ready like this; undefined: of which nobody made a row yet, in a job
   * that started when sessions before `born` were closed.
   * The lease, or the row as it stands (undefined: there is none).
   */
  async claim(
    key: ChunkKey,
    owner: string,
    ready: Ready | undefined,
    born = 0,
  ): Promise<Lease | WorkRow | undefined> {
    const lease = { owner, token: leaseToken(ready?.token) }
    const is = ready === undefined ? 'absent' : { state: 'ready', ...ready }
    const closed = ready?.closed ?? born
    const refused = await this.#write(key, is, { state: 'leased', ...lease, closed })
    return refused === null ? lease : refused
  }

  /**
   * Whether the result, written in this session, counts. Asking again after a yes is a yes.
   * @throws VarveError SESSION_CLOSED
   */
  async done(key: ChunkKey, lease: Lease, result: TreeRef, session: Session = 0): Promise<boolean> {
    // Mostly: no session was ever closed. Else the row says so.
    let closed = 0
    for (;;) {
      if (session < closed)
        throw new VarveError(
          'SESSION_CLOSED',
          `cannot take the result of "${chunkKey(key)}": its session is closed, as are all before entry ${closed}`,
        )
      const refused = await this.#write(
        key,
        { state: 'leased', ...lease, closed },
        { state: 'done', ...lease, closed, result },
      )
      if (refused === null) return true
      if (refused?.state === 'done') return refused.result === result
      if (refused?.state !== 'leased' || refused.token !== lease.token) return false
      if (refused.owner !== lease.owner || (refused.closed ?? 0) <= closed) return false
      closed = refused.closed ?? 0
    }
  }

  /** Ready for others again. */
  async reopen(key: ChunkKey, lease: Lease): Promise<boolean> {
    let closed = 0
    for (;;) {
      const refused = await this.#write(
        key,
        { state: 'leased', ...lease, closed },
        { state: 'ready', token: lease.token, closed },
      )
      if (refused === null) return true
      if (refused?.state !== 'leased' || refused.token !== lease.token) return false
      if (refused.owner !== lease.owner || (refused.closed ?? 0) <= closed) return false
      closed = refused.closed ?? 0
    }
  }

  /**
   * From here on no result of a session before this counts, whoever holds the chunk or will. A row
   * that is ready is another one then: who believed it ready looks again.
   */
  async raise(key: ChunkKey, before: number): Promise<void> {
    for (;;) {
      const row = await this.get(key)
      if (row?.state === 'done' || row?.state === 'closed') return
      const { token = 0, closed = 0, owner } = row ?? {}
      if (row && closed >= before) return
      const is = row ? { state: row.state, token, closed } : 'absent'
      const leased = row?.state === 'leased' && owner !== undefined
      const values = leased
        ? { state: 'leased', owner, token, closed: before }
        : { state: 'ready', token: leaseToken(token), closed: before }
      if ((await this.#write(key, is, values)) === null) return
    }
  }

  /** No result comes any more, unless there is one: then that. */
  async close(key: ChunkKey): Promise<TreeRef | undefined> {
    for (;;) {
      const row = await this.get(key)
      if (row?.state === 'done') return row.result as TreeRef
      if (row?.state === 'closed') return undefined
      const closed = row?.closed ?? 0
      const is = row ? { state: row.state, token: row.token, closed } : 'absent'
      const end = { state: 'closed', token: row?.token ?? 0, closed }
      const refused = await this.#write(key, is, end)
      if (refused === null) return undefined
    }
  }

  /** Null when it was written, else what stands. */
  async #write(
    key: ChunkKey,
    is: 'absent' | Partial<WorkRow>,
    values: Partial<WorkRow>,
  ): Promise<WorkRow | null | undefined> {
    const { tables, clock, random } = this.#options
    const where = partition(key)
    const outcome = await settle(
      tables,
      WORK,
      {
        partition: where,
        expect: { key: where, is },
        put: [{ ...values, ...where }],
        writeId: toHex(random.bytes(16)),
      },
      { clock, random },
    )
    return outcome.kind === 'applied' ? null : outcome.current
  }
}

/** The token of the lease that a claim with this belief takes. */
export function leaseToken(believed: number | undefined): number {
  return (believed ?? 0) + 1
}

function partition(key: ChunkKey): PartitionOf<typeof WORK> {
  return { project: key.project, pipeline: key.pipeline, job: key.job, n: key.n }
}
