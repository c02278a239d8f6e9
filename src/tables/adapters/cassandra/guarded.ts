// A conditional write as one unlogged batch of one partition: the condition stands on one row, the rest
// goes with it or not at all. Every row of a guarded table carries its write id, so "the row is there"
// is `write_id != null`. All statements of a batch have one timestamp, at which a removal hides a put:
// a row that is put is not removed as well.

import { assert } from '../../../base/assert.ts'
import type { GuardedCells } from '../../guard.ts'
import { compareCells } from '../../shape.ts'
import type { Cells, TableShape } from '../../shape.ts'
import type { Cell } from '../../schema.ts'
import type { Cql } from './cql.ts'
import type { Statement } from './facts.ts'
import { toParameters } from './values.ts'

export function guardedBatch(cql: Cql, shape: TableShape, write: GuardedCells): Statement[] {
  const { guardKey, expect } = write
  const put: Cells[] = []
  for (const cells of write.put) {
    assert(
      !put.some((other) => sameKey(shape, other, cells)),
      `table "${shape.spec.name}": a row put twice`,
    )
    put.push(cells)
  }
  const isPut = (key: Cells): boolean => put.some((cells) => sameKey(shape, cells, key))
  const removed = write.remove.filter((key) => !isPut(key))
  const guard = put.find((cells) => sameKey(shape, cells, guardKey))
  const removesGuard = removed.some((key) => sameKey(shape, key, guardKey))
  const statements = [
    expect === null
      ? ifAbsent(cql, shape, guardKey, guard)
      : ifStands(cql, shape, guardKey, guard, removesGuard, expect),
  ]
  const insert = cql.insert(shape)
  for (const cells of put)
    if (cells !== guard) statements.push({ query: insert, params: toParameters(cells) })
  const remove = cql.remove(shape)
  for (const key of removed)
    if (!sameKey(shape, key, guardKey))
      statements.push({ query: remove, params: toParameters(key) })
  return statements
}

function ifAbsent(cql: Cql, shape: TableShape, key: Cells, guard: Cells | undefined): Statement {
  if (guard) return { query: `${cql.insert(shape)} IF NOT EXISTS`, params: toParameters(guard) }
  return { query: cql.unlessThere(shape), params: toParameters(key) }
}

function ifStands(
  cql: Cql,
  shape: TableShape,
  key: Cells,
  guard: Cells | undefined,
  removesGuard: boolean,
  expect: readonly (readonly [number, Cell | null])[],
): Statement {
  const compared = expect.filter(([at, value]) => {
    if (at >= shape.keySize) return true
    assert(
      value !== null && compareCells(value, key[at] as Cell) === 0,
      `table "${shape.spec.name}": a condition about another row`,
    )
    return false
  })
  const columns = compared.map(([at]) => at)
  const values = toParameters(compared.map(([, value]) => value))
  if (removesGuard)
    return { query: cql.removeIf(shape, columns), params: [...toParameters(key), ...values] }
  if (guard) {
    const set = shape.columns.map((_, i) => i).slice(shape.keySize)
    const params = [...toParameters(guard.slice(shape.keySize)), ...toParameters(key), ...values]
    return { query: cql.updateIf(shape, set, columns), params }
  }
  // A condition needs a change to stand on: what is there anyway is written again.
  const [first] = compared
  assert(first, `table "${shape.spec.name}": a condition that compares nothing, on a row not put`)
  return {
    query: cql.updateIf(shape, [first[0]], columns),
    params: [...toParameters([first[1]]), ...toParameters(key), ...values],
  }
}

function sameKey(shape: TableShape, a: Cells, b: Cells): boolean {
  for (let i = shape.partitionSize; i < shape.keySize; i++)
    if (compareCells(a[i] as Cell, b[i] as Cell) !== 0) return false
  return true
}
