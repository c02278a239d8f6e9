// SQL of a table's declaration. Every table is WITHOUT ROWID with (partition, clustering) as its key,
// so a partition is one range of one B-tree in the declared order. Facts carry `_version` and `_gone`
// (a removed row stays as a mark, or an older put would bring it back); rows that expire `_expires`.

import type { Cell, ColumnType } from '../schema.ts'
import type { Cells, TableShape } from '../shape.ts'

export type SqlValue = null | number | string | Uint8Array

const SQL_TYPES: Record<ColumnType, string> = {
  text: 'TEXT',
  int: 'INTEGER',
  bytes: 'BLOB',
  bool: 'INTEGER',
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Columns of our own, after the declared ones. */
export function ownColumns(shape: TableShape): string[] {
  const facts = shape.spec.kind === 'facts' ? ['_version', '_gone'] : []
  return shape.spec.ttlSeconds === undefined ? facts : [...facts, '_expires']
}

export function createTable(shape: TableShape): string {
  const columns = shape.columns.map((name, i) => {
    const type = SQL_TYPES[shape.types[i] as ColumnType]
    return `${quote(name)} ${type}${i < shape.keySize ? ' NOT NULL' : ''}`
  })
  const own = ownColumns(shape).map((name) => `${name} INTEGER NOT NULL`)
  const key = shape.columns.slice(0, shape.keySize).map((name, i) => {
    const down = i >= shape.partitionSize && shape.descending[i - shape.partitionSize]
    return `${quote(name)}${down ? ' DESC' : ''}`
  })
  const parts = [...columns, ...own, `PRIMARY KEY (${key.join(', ')})`]
  return `CREATE TABLE IF NOT EXISTS ${quote(shape.spec.name)} (${parts.join(', ')}) WITHOUT ROWID`
}

export function addColumn(shape: TableShape, column: string): string {
  const type = SQL_TYPES[shape.types[shape.index(column)] as ColumnType]
  return `ALTER TABLE ${quote(shape.spec.name)} ADD COLUMN ${quote(column)} ${type}`
}

export function tableInfo(shape: TableShape): string {
  return `SELECT name, pk FROM pragma_table_info(${quoteText(shape.spec.name)}) ORDER BY pk, cid`
}

const quoteText = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** A fact at a version: the higher version wins; no change tells the caller to compare. */
export function upsertFact(shape: TableShape): string {
  const names = [...shape.columns.map(quote), ...ownColumns(shape)]
  const key = shape.columns.slice(0, shape.keySize).map(quote)
  const sets = names.slice(shape.keySize).map((name) => `${name} = excluded.${name}`)
  return (
    `INSERT INTO ${quote(shape.spec.name)} (${names.join(', ')}) ` +
    `VALUES (${names.map(() => '?').join(', ')}) ` +
    `ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${sets.join(', ')} ` +
    `WHERE excluded._version > _version`
  )
}

export function replaceRow(shape: TableShape): string {
  const names = [...shape.columns.map(quote), ...ownColumns(shape)]
  return (
    `INSERT OR REPLACE INTO ${quote(shape.spec.name)} (${names.join(', ')}) ` +
    `VALUES (${names.map(() => '?').join(', ')})`
  )
}

export function deleteRow(shape: TableShape): string {
  return `DELETE FROM ${quote(shape.spec.name)} WHERE ${keyIs(shape, shape.keySize)}`
}

export function deleteExpired(shape: TableShape): string {
  return `DELETE FROM ${quote(shape.spec.name)} WHERE _expires <= ?`
}

/** The whole row as stored, our own columns too, marks of removed rows included. */
export function selectStored(shape: TableShape): string {
  const names = [...shape.columns.map(quote), ...ownColumns(shape)]
  return `SELECT ${names.join(', ')} FROM ${quote(shape.spec.name)} WHERE ${keyIs(shape, shape.keySize)}`
}

/** Parameters: the key; then, where rows expire, the time. */
export function selectRow(shape: TableShape): string {
  return `SELECT ${shape.columns.map(quote).join(', ')} FROM ${quote(shape.spec.name)} WHERE ${keyIs(shape, shape.keySize)}${isLive(shape)}`
}

/**
 * A page of a partition. Parameters: the partition; where rows expire, the time; `after`; `before`
 * (see boundParameters for both); the limit.
 */
export function selectPage(
  shape: TableShape,
  afterSize: number,
  beforeSize: number,
  reverse: boolean,
): string {
  const clustering = shape.columns.slice(shape.partitionSize, shape.keySize).map(quote)
  const order = clustering.map((name, i) => `${name}${isUp(shape, i, reverse) ? '' : ' DESC'}`)
  const bounds = [
    afterSize > 0 ? bound(shape, afterSize, reverse, true) : '',
    beforeSize > 0 ? bound(shape, beforeSize, reverse, false) : '',
  ]
  return (
    `SELECT ${shape.columns.map(quote).join(', ')} FROM ${quote(shape.spec.name)} ` +
    `WHERE ${keyIs(shape, shape.partitionSize)}${isLive(shape)}` +
    bounds
      .filter((text) => text !== '')
      .map((text) => ` AND ${text}`)
      .join('') +
    (order.length > 0 ? ` ORDER BY ${order.join(', ')}` : '') +
    ` LIMIT ?`
  )
}

/**
 * Strictly beyond a key in scan order. Where all columns run one way it is a row comparison, which
 * the B-tree seeks; a mixed order is spelt out, with a bound on its first column to seek by.
 */
function bound(shape: TableShape, size: number, reverse: boolean, after: boolean): string {
  const names = shape.columns.slice(shape.partitionSize, shape.partitionSize + size).map(quote)
  const signs = names.map((_, i) => (isUp(shape, i, reverse) === after ? '>' : '<'))
  if (signs.every((sign) => sign === signs[0]))
    return `(${names.join(', ')}) ${signs[0]} (${names.map(() => '?').join(', ')})`
  const cases = names.map((name, i) =>
    [...names.slice(0, i).map((prior) => `${prior} = ?`), `${name} ${signs[i]} ?`].join(' AND '),
  )
  return `${names[0]} ${signs[0]}= ? AND ((${cases.join(') OR (')}))`
}

/** What `bound` takes for a key. */
export function boundParameters(shape: TableShape, key: Cells, reverse: boolean): SqlValue[] {
  const values = key.map(toSql)
  const ups = values.map((_, i) => isUp(shape, i, reverse))
  if (ups.every((up) => up === ups[0])) return values
  return [values[0] as SqlValue, ...values.flatMap((_, i) => values.slice(0, i + 1))]
}

function isUp(shape: TableShape, clusteringIndex: number, reverse: boolean): boolean {
  return (shape.descending[clusteringIndex] ?? false) === reverse
}

function keyIs(shape: TableShape, size: number): string {
  return shape.columns
    .slice(0, size)
    .map((name) => `${quote(name)} = ?`)
    .join(' AND ')
}

function isLive(shape: TableShape): string {
  const gone = shape.spec.kind === 'facts' ? ' AND _gone = 0' : ''
  return shape.spec.ttlSeconds === undefined ? gone : `${gone} AND _expires > ?`
}

export function toSql(cell: Cell | null): SqlValue {
  if (typeof cell === 'boolean') return cell ? 1 : 0
  return cell
}

/** Turns what SQLite gave back into cells, in place. */
export function fromSql(shape: TableShape, values: SqlValue[]): Cells {
  const cells = values as Cells
  for (let i = 0; i < shape.columns.length; i++)
    if (shape.types[i] === 'bool' && cells[i] !== null) cells[i] = cells[i] === 1
  return cells
}
