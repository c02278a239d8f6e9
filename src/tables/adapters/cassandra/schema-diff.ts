// What a keyspace lacks of the declared tables.

import { VarveError } from '../../../base/errors.ts'
import type { TableSpec } from '../../schema.ts'
import { shapeOf } from '../../shape.ts'
import type { TableShape } from '../../shape.ts'
import { cqlType } from './cql.ts'
import type { Cql } from './cql.ts'

/** A row of system_schema.columns. */
export interface StoredColumn {
  readonly table_name: string
  readonly column_name: string
  readonly type: string
  readonly kind: string
  readonly position: number
  readonly clustering_order: string
}

/**
 * Statements that bring what is there to what is declared, in order; more than is declared may be there.
 * @throws VarveError MISCONFIGURED when a column is there and differs: nothing can be added to mend it
 */
export function missingStatements(
  cql: Cql,
  specs: readonly TableSpec[],
  stored: Iterable<StoredColumn>,
): string[] {
  const tables = new Map<string, Map<string, StoredColumn>>()
  for (const column of stored) {
    const columns = tables.get(column.table_name) ?? new Map<string, StoredColumn>()
    columns.set(column.column_name, column)
    tables.set(column.table_name, columns)
  }
  return specs.flatMap((spec) => {
    const shape = shapeOf(spec)
    const columns = tables.get(spec.name)
    if (!columns) return [cql.createTable(shape)]
    return shape.columns.flatMap((name, i) => {
      const column = columns.get(name)
      const wanted = describe(shape, i)
      if (!column && i >= shape.keySize) return [cql.addColumn(shape, name)]
      const found = column ? describeStored(column) : 'not there'
      if (found === wanted) return []
      throw new VarveError(
        'MISCONFIGURED',
        `cannot use table "${spec.name}": its column "${name}" is ${found}, not ${wanted}; it was made by another program`,
      )
    })
  })
}

function describe(shape: TableShape, i: number): string {
  const type = cqlType(shape, shape.columns[i] as string)
  if (i < shape.partitionSize) return `${type} partition_key ${i}`
  if (i >= shape.keySize) return type
  const at = i - shape.partitionSize
  return `${type} clustering ${at} ${shape.descending[at] ? 'desc' : 'asc'}`
}

function describeStored({ type, kind, position, clustering_order: order }: StoredColumn): string {
  if (kind === 'regular') return type
  return `${type} ${kind} ${position}${kind === 'clustering' ? ` ${order}` : ''}`
}
