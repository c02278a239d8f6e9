// A conditional write in cells, checked once: every adapter gets the same thing to carry out.

import { assert } from '../base/assert.ts'
import type { Cell, GuardedSpec } from './schema.ts'
import { equalCells, shapeOf } from './shape.ts'
import type { Cells } from './shape.ts'
import type { GuardedWrite } from './tables.ts'

export interface GuardedCells {
  /** Cells of the partition columns: all keys below begin with them. */
  readonly partition: Cells
  /** The whole key of the row the condition is about. */
  readonly guardKey: Cells
  /** null: the row is absent; else pairs of (index of column, value; null: absent). */
  readonly expect: readonly (readonly [number, Cell | null])[] | null
  readonly put: readonly Cells[]
  readonly remove: readonly Cells[]
}

/** Asserts what the port's comments ask of a caller. */
export function guardedCells<T extends GuardedSpec>(
  table: T,
  write: GuardedWrite<T>,
): GuardedCells {
  const shape = shapeOf(table)
  const partition = shape.partition(write.partition)
  const inside = (key: Cells): void => {
    for (let i = 0; i < partition.length; i++)
      assert(equalCells(partition[i], key[i]), `table "${table.name}": a row of another partition`)
  }
  assert(write.writeId.length > 0, `table "${table.name}": a conditional write without an id`)
  const writeIdAt = shape.index('write_id')
  const guardKey = shape.key(write.expect.key)
  inside(guardKey)
  const put = write.put.map((row) => {
    const cells = shape.cells(row)
    cells[writeIdAt] = write.writeId
    inside(cells)
    return cells
  })
  const remove = (write.remove ?? []).map((key) => {
    const cells = shape.key(key)
    inside(cells)
    return cells
  })
  const is = write.expect.is
  if (is === 'absent') return { partition, guardKey, expect: null, put, remove }
  const expect = Object.entries(is).map(
    ([name, value]) => [shape.index(name), (value as Cell | undefined) ?? null] as const,
  )
  return { partition, guardKey, expect, put, remove }
}

/** Whether the guard row as it stands (undefined: absent) is what the write expects. */
export function holds(
  expect: GuardedCells['expect'],
  current: readonly (Cell | null)[] | undefined,
): boolean {
  if (expect === null) return current === undefined
  if (current === undefined) return false
  for (const [at, value] of expect) if (!equalCells(current[at], value)) return false
  return true
}
