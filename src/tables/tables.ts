// The port of rows. Its comments are the contract; test/contract/tables.ts runs it on every adapter.

import type { FactsSpec, GuardedSpec, KeyOf, PartitionOf, RowOf, TableSpec } from './schema.ts'

/** A version of a fact: a whole number ≥ 0 that only rises for one row (a seq, or the row's own). */
export type Version = number

export interface ScanOptions<T extends TableSpec> {
  /** Clustering values, a prefix of the clustering columns; rows strictly after it in scan order. */
  readonly after?: Partial<KeyOf<T>>
  /** Rows strictly before it in scan order. */
  readonly before?: Partial<KeyOf<T>>
  /** Against the declared order. */
  readonly reverse?: boolean
  readonly limit?: number
}

/** How a conditional write ended. `unknown` is a value callers must handle: see settle.ts. */
export type Outcome<R> =
  | { readonly kind: 'applied' }
  /** The condition did not hold; `current` is the guard row as it stands, undefined if absent. */
  | { readonly kind: 'refused'; readonly current: R | undefined }
  /**
   * It may have happened, may happen later, or not at all. `never`: it did not happen and will not
   * (rolled back, as on a full disk), though the condition may hold.
   */
  | { readonly kind: 'unknown'; readonly cause: unknown; readonly never?: true }

export interface GuardedWrite<T extends GuardedSpec> {
  /** All rows of the write lie in this partition. */
  readonly partition: PartitionOf<T>
  /** The condition, on one row: the named columns hold exactly these values, or the row is absent. */
  readonly expect: {
    readonly key: KeyOf<T>
    readonly is: 'absent' | Partial<RowOf<T>>
  }
  /** Whole rows, replacing what is there; the adapter sets `write_id` on each of them. */
  readonly put: readonly Omit<RowOf<T>, 'write_id'>[]
  readonly remove?: readonly KeyOf<T>[]
  /** Unique for this attempt's content; repeating the identical write uses the same one. */
  readonly writeId: string
}

export interface Tables {
  /**
   * The row, or undefined. `serial`: linearizable with conditional writes of a guarded table (a read
   * that sees no write may still be followed by one that was in flight).
   * @throws VarveError UNAVAILABLE
   */
  get<T extends TableSpec>(
    table: T,
    key: KeyOf<T>,
    options?: { serial?: boolean },
  ): Promise<RowOf<T> | undefined>

  /** Rows of one partition in clustering order, fetched in pages; not a snapshot. */
  scan<T extends TableSpec>(
    table: T,
    partition: PartitionOf<T>,
    options?: ScanOptions<T>,
  ): AsyncIterable<RowOf<T>>

  /**
   * Whole rows at a version, durable on return (but see `derived` in schema.ts). The higher version
   * wins in whatever order writes arrive; two writes of one row at one version must be equal (adapters
   * assert it where they see both). Rows of one partition become visible together, as long as they are
   * no more than 1,000 and 1 MiB. Idempotent: after an error the caller repeats it.
   * @throws VarveError UNAVAILABLE, DISK_FULL
   */
  put<T extends FactsSpec>(table: T, rows: readonly RowOf<T>[], at: Version): Promise<void>

  /** Takes the row away at a version: an older put that arrives later does not bring it back. */
  remove<T extends FactsSpec>(table: T, key: KeyOf<T>, at: Version): Promise<void>

  /**
   * Several facts of several tables in one call, each with the promises of `put` and `remove`. A write
   * marked `after` begins a wave: it and what follows are not seen by anybody before all that stands
   * before it in the call can be. Within a wave the order is the adapter's, and a failed call may
   * have carried out any of its last wave. Not atomic together.
   */
  apply(writes: readonly FactWrite[]): Promise<void>

  /**
   * One conditional write of one partition, linearizable with all others of that partition. Durable
   * when `applied`. Never retried inside. @throws only on programmer errors
   */
  writeIf<T extends GuardedSpec>(table: T, write: GuardedWrite<T>): Promise<Outcome<RowOf<T>>>

  close(): Promise<void>
}

export type FactWrite =
  | {
      readonly table: FactsSpec
      readonly put: Readonly<Record<string, unknown>>
      readonly at: Version
      readonly after?: true
    }
  | {
      readonly table: FactsSpec
      readonly remove: Readonly<Record<string, unknown>>
      readonly at: Version
      readonly after?: true
    }

/** A typed FactWrite. */
export function putFact<T extends FactsSpec>(table: T, row: RowOf<T>, at: Version): FactWrite {
  return { table, put: row, at }
}

export function removeFact<T extends FactsSpec>(table: T, key: KeyOf<T>, at: Version): FactWrite {
  return { table, remove: key, at }
}
