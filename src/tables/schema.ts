// Tables are declared once; SQLite's DDL, Cassandra's CQL and the row types come from the declaration.

export type ColumnType = 'text' | 'int' | 'bytes' | 'bool'

type ColumnValue<C extends ColumnType> = C extends 'text'
  ? string
  : C extends 'int'
    ? number // safe integers only
    : C extends 'bytes'
      ? Uint8Array
      : boolean

export interface TableSpec {
  readonly name: string
  /** `facts` take only versioned puts, `guarded` tables only conditional writes: never both. */
  readonly kind: 'facts' | 'guarded'
  /** Columns that choose the partition, the unit of atomic writes. */
  readonly partition: readonly string[]
  /** Columns that order rows inside it; the order is ascending unless named in `descending`. */
  readonly clustering: readonly string[]
  readonly descending?: readonly string[]
  /** Every column, keys included. A column may be absent in a row; keys may not. */
  readonly columns: Readonly<Record<string, ColumnType>>
  readonly ttlSeconds?: number
  /**
   * Facts that are made again from elsewhere when they are missing: a crash of the machine, never one
   * of the process, may take back the newest writes of all such tables together, in the order they
   * were made. It saves a barrier of the disk for each write.
   */
  readonly derived?: true
}

export type Cell = string | number | boolean | Uint8Array
export type Row = Readonly<Record<string, Cell | undefined>>

type KeyNames<T extends TableSpec> = T['partition'][number] | T['clustering'][number]

/** The row of a table: keys are there, other columns may be absent. */
export type RowOf<T extends TableSpec> = {
  readonly [C in keyof T['columns'] & string as C extends KeyNames<T> ? C : never]: ColumnValue<
    T['columns'][C]
  >
} & {
  readonly [C in keyof T['columns'] & string as C extends KeyNames<T> ? never : C]?:
    | ColumnValue<T['columns'][C]>
    | undefined
}

export type PartitionOf<T extends TableSpec> = {
  readonly [C in T['partition'][number]]: C extends keyof T['columns']
    ? ColumnValue<T['columns'][C]>
    : never
}

export type KeyOf<T extends TableSpec> = {
  readonly [C in KeyNames<T>]: C extends keyof T['columns'] ? ColumnValue<T['columns'][C]> : never
}

export type FactsSpec = TableSpec & { readonly kind: 'facts' }
export type GuardedSpec = TableSpec & { readonly kind: 'guarded' }

/** Keeps literal types, checks that the keys are declared columns. */
export function defineTable<const T extends TableSpec>(spec: T): T {
  for (const column of [...spec.partition, ...spec.clustering])
    if (!(column in spec.columns)) throw new Error(`table "${spec.name}": no column "${column}"`)
  if (spec.kind === 'guarded' && spec.columns['write_id'] !== 'text')
    throw new Error(`table "${spec.name}": a guarded table needs the column write_id: 'text'`)
  return spec
}
