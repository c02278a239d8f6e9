// The rows of uploads, and the one way they change.
//
// Invariants:
//  - a part is added only "if open and n = k", in one conditional write with the guard's n = k + 1: the
//    n of a guard that is no longer open stands for ever, and so many parts are there;
//  - sessions before the guard's `closed` add nothing (collection raises it); it is part of the condition;
//  - a part that is there stays as it is: who sends it again hears of the first;
//  - what a guard becomes, it becomes by one writer's condition on what it was: of those who finish,
//    give up and expire an upload at the same time, one does.

import { toHex } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { VarveError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { isId } from '../model/id.ts'
import type { Id } from '../model/id.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { RowOf } from '../tables/schema.ts'
import { settle } from '../tables/settle.ts'
import type { Tables } from '../tables/tables.ts'
import { GUARD, UPLOADS } from './tables.ts'

/** Uploads of a project lie in so many partitions: a part's write waits for those of few others. */
const SHARDS = 16

export interface UploadAbout {
  readonly repo: string
  readonly branch: string
  /** The author's own word for where it comes from, to find it again by; may be empty. */
  readonly source: string
  /** What the commit is about; may be empty. */
  readonly message: string
  readonly openedAtMs: number
  /** What has come. */
  readonly files: number
  readonly bytes: number
  /** Set when it is finished: the commit it became, or went into while that was open. */
  readonly made: { readonly commit: Id; readonly finished: boolean } | null
  /** While finishing: the open commit it goes into; null: it becomes one itself. */
  readonly into: Id | null
}

/** `opening`: it is not known yet as of which entry its parts have to be. */
export type UploadState = 'opening' | 'open' | 'finishing' | 'done' | 'dropped'

export interface Guard {
  readonly id: Id
  readonly state: UploadState
  readonly parts: number
  /** Parts of sessions before this seq are not added. */
  readonly closed: number
  readonly touchedAtMs: number
  /** Under which its commit is proposed, once it is finishing. */
  readonly request: Id | null
  readonly about: UploadAbout
}

/** What is said of a part; its content is at `root`. */
export interface PartAbout {
  /** A segment is a piece of one file; a batch is files, whole. */
  readonly kind: 'segment' | 'batch'
  /** Of a segment: its file, where in it the piece begins, and how long the whole file is. */
  readonly path: string
  readonly offset: number
  readonly totalBytes: number
  readonly files: number
  /** Of the content. */
  readonly sizeBytes: number
  /** 64 hex digits, of the bytes as they were sent. */
  readonly sha256: string
  /** The author's own word, to know it again by. */
  readonly mark: string
}

export interface Part extends PartAbout {
  readonly part: number
  readonly root: TreeRef
}

interface At {
  readonly project: string
  readonly shard: number
}

export class UploadRows {
  readonly #tables: Tables
  readonly #guests: { readonly clock: Clock; readonly random: Random }

  constructor(options: { tables: Tables; clock: Clock; random: Random }) {
    this.#tables = options.tables
    this.#guests = options
  }

  async guard(project: string, id: Id): Promise<Guard | undefined> {
    const key = { ...at(project, id), upload: id, row: GUARD }
    const row = await this.#tables.get(UPLOADS, key, { serial: true })
    return row && guardOf(row)
  }

  async part(project: string, id: Id, part: number): Promise<Part | undefined> {
    const key = { ...at(project, id), upload: id, row: part }
    const row = await this.#tables.get(UPLOADS, key, { serial: true })
    return row && partOf(row)
  }

  /** In order. @throws VarveError UNAVAILABLE when not all can be seen yet */
  async *parts(project: string, { id, parts }: Guard): AsyncGenerator<Part> {
    let seen = 0
    const after = { upload: id, row: GUARD }
    for await (const row of this.#tables.scan(UPLOADS, at(project, id), { after })) {
      if (row.upload !== id) break
      seen++
      yield partOf(row)
    }
    if (seen < parts)
      throw new VarveError('UNAVAILABLE', `cannot see all parts of upload "${id}" yet`)
  }

  /** Every upload of a project there is a row of. */
  async *guards(project: string): AsyncGenerator<Guard> {
    for (let shard = 0; shard < SHARDS; shard++) yield* this.#guardsIn({ project, shard })
  }

  /** Those beside this one. */
  beside(project: string, id: Id): AsyncGenerator<Guard> {
    return this.#guardsIn(at(project, id))
  }

  async *#guardsIn(partition: At): AsyncGenerator<Guard> {
    let after: { upload: string } | undefined
    for (;;) {
      const options = { limit: 1, ...(after && { after }) }
      const [row] = await Array.fromAsync(this.#tables.scan(UPLOADS, partition, options))
      if (!row) return
      after = { upload: row.upload }
      if (row.row === GUARD) yield guardOf(row)
    }
  }

  /**
   * From how it was seen (`undefined`: not at all) to `to`, with a part if one is added.
   * @returns undefined when that stands, else the guard that stood against it
   */
  async change(
    project: string,
    from: Guard | undefined,
    to: Guard,
    added?: Part,
  ): Promise<Guard | undefined> {
    const partition = at(project, to.id)
    const key = { ...partition, upload: to.id, row: GUARD }
    const { state, parts: n, touchedAtMs, request, about } = to
    const value = JSON.stringify(about)
    const guard = {
      ...key,
      state,
      n,
      closed: to.closed,
      touched_ms: touchedAtMs,
      request: request ?? '',
      value,
    }
    const outcome = await settle(
      this.#tables,
      UPLOADS,
      {
        partition,
        expect: {
          key,
          is: from
            ? { state: from.state, n: from.parts, closed: from.closed, request: from.request ?? '' }
            : 'absent',
        },
        put: added ? [guard, partRow(partition, to.id, added)] : [guard],
        writeId: this.#writeId(),
      },
      this.#guests,
    )
    if (outcome.kind === 'applied') return undefined
    if (outcome.current) return guardOf(outcome.current)
    throw noUpload(to.id)
  }

  /** Takes the rows away, the guard last. Whoever fails in between is followed by another. */
  async remove(project: string, guard: Guard): Promise<void> {
    const partition = at(project, guard.id)
    const upload = guard.id
    const key = { ...partition, upload, row: GUARD }
    const take = async (rows: readonly number[]): Promise<void> => {
      await this.#tables.writeIf(UPLOADS, {
        partition,
        expect: { key, is: { state: guard.state, n: guard.parts } },
        put: [],
        remove: rows.map((row) => ({ ...partition, upload, row })),
        writeId: this.#writeId(),
      })
    }
    let rows: number[] = []
    const after = { upload, row: GUARD }
    for await (const row of this.#tables.scan(UPLOADS, partition, { after })) {
      if (row.upload !== upload) break
      rows.push(row.row)
      if (rows.length === REMOVED_AT_ONCE) await take(rows.splice(0))
    }
    rows = [...rows, GUARD]
    await take(rows)
  }

  #writeId(): string {
    return toHex(this.#guests.random.bytes(16))
  }
}

const REMOVED_AT_ONCE = 200

function at(project: string, id: Id): At {
  return { project, shard: Number.parseInt(id.slice(-1), 16) % SHARDS }
}

function guardOf(row: RowOf<typeof UPLOADS>): Guard {
  return {
    id: row.upload as Id,
    state: row.state as UploadState,
    parts: row.n ?? 0,
    closed: row.closed ?? 0,
    touchedAtMs: row.touched_ms ?? 0,
    request: isId(row.request ?? '') ? (row.request as Id) : null,
    about: JSON.parse(row.value ?? '{}') as UploadAbout,
  }
}

function partRow(partition: At, upload: Id, { part, root, ...about }: Part) {
  return { ...partition, upload, row: part, root, value: JSON.stringify(about) }
}

function partOf(row: RowOf<typeof UPLOADS>): Part {
  const about = JSON.parse(row.value ?? '{}') as PartAbout
  return { ...about, part: row.row, root: row.root as TreeRef }
}

export function noUpload(id: string): VarveError {
  return new VarveError(
    'NOT_FOUND_UPLOAD',
    `cannot find the upload "${id}": it was given up, has expired, or never was on this branch`,
  )
}
