// CQL of a table's declaration, as pure functions. Statements name their keyspace, so that one session
// serves before the keyspace is there, and quote every name: some columns are reserved words.

import { assert } from '../../../base/assert.ts'
import type { ColumnType } from '../../schema.ts'
import type { ScanBounds, TableShape } from '../../shape.ts'

const TYPES: Record<ColumnType, string> = {
  text: 'text',
  int: 'bigint',
  bytes: 'blob',
  bool: 'boolean',
}

export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`
export const quoteText = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** Statements of one keyspace; without one (printed schemas) names stand alone. */
export class Cql {
  readonly #prefix: string

  constructor(keyspace?: string) {
    this.#prefix = keyspace === undefined ? '' : `${quote(keyspace)}.`
  }

  table(shape: TableShape): string {
    return this.name(shape.spec.name)
  }

  name(table: string): string {
    return `${this.#prefix}${quote(table)}`
  }

  createTable(shape: TableShape): string {
    const { spec, columns, keySize, partitionSize } = shape
    const lines = columns.map((name) => `${quote(name)} ${cqlType(shape, name)}`)
    const partition = columns.slice(0, partitionSize).map(quote).join(', ')
    const clustering = columns.slice(partitionSize, keySize)
    const key = [`(${partition})`, ...clustering.map(quote)].join(', ')
    const order = clustering.map(
      (name, i) => `${quote(name)} ${shape.descending[i] ? 'DESC' : 'ASC'}`,
    )
    // Guarded rows are written over and over and read by key: few overlapping files for each key.
    // Facts are mostly written once: fewer rewrites of them.
    const scaling = spec.kind === 'guarded' ? 'L10' : 'T4'
    const settings = [
      ...(order.length > 0 ? [`CLUSTERING ORDER BY (${order.join(', ')})`] : []),
      `compaction = {'class': 'UnifiedCompactionStrategy', 'scaling_parameters': '${scaling}'}`,
      ...(spec.ttlSeconds === undefined ? [] : [`default_time_to_live = ${spec.ttlSeconds}`]),
    ]
    assert(
      spec.kind === 'facts' || spec.ttlSeconds === undefined,
      `table "${spec.name}": rows of a guarded table do not expire`,
    )
    return (
      `CREATE TABLE IF NOT EXISTS ${this.table(shape)} (\n` +
      [...lines, `PRIMARY KEY (${key})`].map((line) => `  ${line}`).join(',\n') +
      `\n) WITH ${settings.join('\n  AND ')}`
    )
  }

  addColumn(shape: TableShape, column: string): string {
    const type = cqlType(shape, column)
    return `ALTER TABLE ${this.table(shape)} ADD IF NOT EXISTS ${quote(column)} ${type}`
  }

  /** Parameters: all columns; for facts then the version. */
  insert(shape: TableShape): string {
    const names = shape.columns.map(quote).join(', ')
    const marks = shape.columns.map(() => '?').join(', ')
    const at = shape.spec.kind === 'facts' ? ' USING TIMESTAMP ?' : ''
    return `INSERT INTO ${this.table(shape)} (${names}) VALUES (${marks})${at}`
  }

  /** Parameters: for facts the version first; the key. */
  remove(shape: TableShape): string {
    const at = shape.spec.kind === 'facts' ? ' USING TIMESTAMP ?' : ''
    return `DELETE FROM ${this.table(shape)}${at} WHERE ${keyIs(shape, shape.keySize)}`
  }

  /** Parameters: the given columns; the key; what the condition compares with. */
  updateIf(shape: TableShape, set: readonly number[], expect: readonly number[]): string {
    const sets = set.map((i) => `${column(shape, i)} = ?`).join(', ')
    const where = keyIs(shape, shape.keySize)
    return `UPDATE ${this.table(shape)} SET ${sets} WHERE ${where} IF ${condition(shape, expect)}`
  }

  /** Parameters: the key; what the condition compares with. */
  removeIf(shape: TableShape, expect: readonly number[]): string {
    const where = keyIs(shape, shape.keySize)
    return `DELETE FROM ${this.table(shape)} WHERE ${where} IF ${condition(shape, expect)}`
  }

  /** Changes nothing of a row that is not there, and applies only then. Parameters: the key. */
  unlessThere(shape: TableShape): string {
    const where = keyIs(shape, shape.keySize)
    return `DELETE "write_id" FROM ${this.table(shape)} WHERE ${where} IF "write_id" = null`
  }

  /** Parameters: the key. */
  selectRow(shape: TableShape): string {
    return `SELECT ${columns(shape)} FROM ${this.table(shape)} WHERE ${keyIs(shape, shape.keySize)}`
  }

  /** Parameters: the partition; the segment's; the limit, if there is one. */
  selectSegment(shape: TableShape, segment: Segment, reverse: boolean, limited: boolean): string {
    const clustering = shape.columns.slice(shape.partitionSize, shape.keySize)
    const order = clustering.map(
      (name, i) => `${quote(name)} ${isUp(shape, i, reverse) ? 'ASC' : 'DESC'}`,
    )
    return (
      `SELECT ${columns(shape)} FROM ${this.table(shape)} WHERE ` +
      [keyIs(shape, shape.partitionSize), ...segment.where].join(' AND ') +
      (reverse && order.length > 0 ? ` ORDER BY ${order.join(', ')}` : '') +
      (limited ? ' LIMIT ?' : '')
    )
  }
}

/** A part of a scan that one statement can ask for. */
export interface Segment {
  readonly where: readonly string[]
  readonly parameters: ScanBounds['after'] & {}
}

/**
 * The parts of a scan, in scan order. Where the columns of a bound run one way it is a comparison of
 * tuples and one part does. CQL has no OR, so a bound on columns that run different ways becomes a
 * part for each column: first what shares all but the last column with `after`, and so on upwards;
 * an upper bound of that kind is left to the reader (`stopsAtBefore`).
 */
export function segmentsOf(shape: TableShape, bounds: ScanBounds): Segment[] {
  const { after, before, reverse } = bounds
  const upper =
    before && isUniform(shape, before.length) ? beyond(shape, 0, before, reverse, false) : undefined
  const limitedBy = (segment: Segment): Segment =>
    upper
      ? {
          where: [...segment.where, ...upper.where],
          parameters: [...segment.parameters, ...upper.parameters],
        }
      : segment
  if (!after) return [limitedBy({ where: [], parameters: [] })]
  if (isUniform(shape, after.length)) return [limitedBy(beyond(shape, 0, after, reverse, true))]
  const segments: Segment[] = []
  for (let size = after.length; size > 0; size--) {
    const shared = after.slice(0, size - 1)
    const last = beyond(shape, size - 1, after.slice(size - 1, size), reverse, true)
    segments.push({
      where: [
        ...shared.map((_, i) => `${column(shape, shape.partitionSize + i)} = ?`),
        ...last.where,
      ],
      parameters: [...shared, ...last.parameters],
    })
  }
  return segments
}

/** Whether the reader has to end the scan at `before` by itself. */
export function stopsAtBefore(shape: TableShape, { after, before }: ScanBounds): boolean {
  if (!before) return false
  return !isUniform(shape, before.length) || (!!after && !isUniform(shape, after.length))
}

function beyond(
  shape: TableShape,
  from: number,
  key: Segment['parameters'],
  reverse: boolean,
  after: boolean,
): Segment {
  const names = key.map((_, i) => column(shape, shape.partitionSize + from + i))
  const sign = isUp(shape, from, reverse) === after ? '>' : '<'
  const tuple = (parts: readonly string[]): string =>
    parts.length === 1 ? (parts[0] as string) : `(${parts.join(', ')})`
  return { where: [`${tuple(names)} ${sign} ${tuple(names.map(() => '?'))}`], parameters: key }
}

function isUniform(shape: TableShape, size: number): boolean {
  return shape.descending.slice(0, size).every((down) => down === shape.descending[0])
}

function isUp(shape: TableShape, i: number, reverse: boolean): boolean {
  return shape.descending[i] === reverse
}

/** That the row is there, and the named columns hold these values (null: are absent). */
function condition(shape: TableShape, expect: readonly number[]): string {
  return [...expect.map((i) => `${column(shape, i)} = ?`), '"write_id" != null'].join(' AND ')
}

function keyIs(shape: TableShape, size: number): string {
  const names = shape.columns.slice(0, size).map((name) => `${quote(name)} = ?`)
  return names.join(' AND ')
}

function column(shape: TableShape, i: number): string {
  return quote(shape.columns[i] as string)
}

function columns(shape: TableShape): string {
  return shape.columns.map(quote).join(', ')
}

export function cqlType(shape: TableShape, name: string): string {
  return TYPES[shape.types[shape.index(name)] as ColumnType]
}
