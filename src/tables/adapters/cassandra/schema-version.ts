// Which schema a keyspace has, and which this program knows. Schemas only grow (CREATE, ADD): a program
// goes on with a newer schema as long as that says it is still understood.

import { defineTable } from '../../schema.ts'
import type { RowOf } from '../../schema.ts'

export interface KnownSchema {
  readonly version: number
  readonly minCompatible: number
}

/**
 * Of this program. Raise `version` with every change of a declaration and run `npm run generate`: it
 * writes the change to schemas/cassandra. Raise `minCompatible` when programs of earlier versions
 * would do harm.
 */
export const SCHEMA: KnownSchema = { version: 5, minCompatible: 1 }

/** One row, `schema`: also the guard by which one process at a time changes the schema. */
export const SCHEMA_VERSION = defineTable({
  name: 'schema_version',
  kind: 'guarded',
  partition: ['name'],
  clustering: [],
  columns: {
    name: 'text',
    version: 'int',
    /** The lowest version a program has to know. */
    min_compatible: 'int',
    /** Who is changing the schema; "" nobody. */
    owner: 'text',
    /** Rises with each step of a change, and never comes back. */
    step: 'int',
    write_id: 'text',
  },
})

export const SCHEMA_KEY = { name: 'schema' } as const

export type SchemaRow = RowOf<typeof SCHEMA_VERSION>

/** Why a program that knows `known` must not use a keyspace with this row; undefined: it may. */
export function misfit(
  row: SchemaRow | undefined,
  known: KnownSchema = SCHEMA,
): string | undefined {
  const { version = 0, min_compatible: needed = 0 } = row ?? {}
  if (needed <= known.version) return undefined
  return `the schema has version ${version} and needs a program that knows version ${needed}; this one knows ${known.version}`
}
