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
import type { ChunkKey } from '../model/datum.ts'
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
   * Takes a chunk that is believed ready with this token; undefined: of which nobody made a row yet.
   * The lease, or the row as it stands (undefined: there is none).
   */
  async claim(
    key: ChunkKey,
    owner: string,
    token: number | undefined,
  ): Promise<Lease | WorkRow | undefined> {
    const lease = { owner, token: leaseToken(token) }
    const is = token === undefined ? 'absent' : { state: 'ready', token }
    const refused = await this.#write(key, is, { state: 'leased', ...lease })
    return refused === null ? lease : refused
  }

  /** Whether the result counts. Asking again after a yes is a yes. */
  async done(key: ChunkKey, lease: Lease, result: TreeRef): Promise<boolean> {
    const refused = await this.#write(
      key,
      { state: 'leased', ...lease },
      { state: 'done', ...lease, result },
    )
    return refused === null || (refused?.state === 'done' && refused.result === result)
  }

  /** Ready for others again. */
  async reopen(key: ChunkKey, lease: Lease): Promise<boolean> {
    const refused = await this.#write(
      key,
      { state: 'leased', ...lease },
      { state: 'ready', token: lease.token },
    )
    return refused === null
  }

  /** No result comes any more, unless there is one: then that. */
  async close(key: ChunkKey): Promise<TreeRef | undefined> {
    for (;;) {
      const row = await this.get(key)
      if (row?.state === 'done') return row.result as TreeRef
      if (row?.state === 'closed') return undefined
      const is = row ? { state: row.state, token: row.token } : 'absent'
      const refused = await this.#write(key, is, { state: 'closed', token: row?.token ?? 0 })
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
