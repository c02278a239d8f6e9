// How a call of facts becomes requests: waves, one after the other; in each wave one unlogged batch for
// each partition (the server applies the rows of one partition as one), all of them side by side. A
// version is the write's timestamp, so the order in which requests arrive decides nothing.

import { assert } from '../../../base/assert.ts'
import { equalRows, shapeOf } from '../../shape.ts'
import type { Cells, TableShape } from '../../shape.ts'
import type { FactWrite, Version } from '../../tables.ts'
import { toParameters, weightOf } from './values.ts'
import type { Parameter } from './values.ts'
import type { Cql } from './cql.ts'

/** A batch is one entry of the server's commit log, which holds at most half a segment of it. */
const BATCH_BYTES = 1 << 20
const BATCH_ROWS = 1_000
/** Rows that are compared with what was last written of them by this process. */
const REMEMBERED_ROWS = 8_192

export interface Statement {
  readonly query: string
  readonly params: Parameter[]
}

/** Statements of one partition. */
export type Batch = Statement[]

interface Open {
  batch: Batch
  bytes: number
}

/** @returns waves of batches */
export function batchesOf(
  cql: StatementsOf,
  writes: readonly FactWrite[],
  recent: Recent,
): Batch[][] {
  const waves: Batch[][] = []
  let wave: Batch[] = []
  let open = new Map<string, Open>()
  for (const write of writes) {
    if (write.after && wave.length > 0) {
      waves.push(wave)
      wave = []
      open = new Map()
    }
    const { table, at } = write
    assert(table.kind === 'facts', `table "${table.name}" takes conditional writes only`)
    assert(Number.isSafeInteger(at) && at >= 0, `table "${table.name}": version ${at}`)
    const shape = shapeOf(table)
    const isPut = 'put' in write
    const cells = isPut ? shape.cells(write.put) : shape.key(write.remove)
    const partition = nameOf(shape, cells, shape.partitionSize)
    recent.check(shape, nameOf(shape, cells, shape.keySize), cells, at, !isPut)
    const bytes = weightOf(cells)
    let current = open.get(partition)
    if (!current || current.bytes + bytes > BATCH_BYTES || current.batch.length >= BATCH_ROWS) {
      current = { batch: [], bytes: 0 }
      open.set(partition, current)
      wave.push(current.batch)
    }
    current.bytes += bytes
    const params = toParameters(cells)
    if (isPut) params.push(at)
    else params.unshift(at)
    const { insert, remove } = cql.of(shape)
    current.batch.push({ query: isPut ? insert : remove, params })
  }
  if (wave.length > 0) waves.push(wave)
  return waves
}

/** The text of a table's writes, made once. */
export class StatementsOf {
  readonly #cql: Cql
  readonly #made = new Map<TableShape, { insert: string; remove: string }>()

  constructor(cql: Cql) {
    this.#cql = cql
  }

  of(shape: TableShape): { insert: string; remove: string } {
    let made = this.#made.get(shape)
    if (!made) {
      made = { insert: this.#cql.insert(shape), remove: this.#cql.remove(shape) }
      this.#made.set(shape, made)
    }
    return made
  }
}

/**
 * The last writes of this process. Two different writes of one row at one version would leave cells of
 * both, the greater of each: asking the server before every write costs too much, but who makes such
 * writes mostly makes both.
 */
export class Recent {
  readonly #rows = new Map<string, { cells: Cells; at: Version; gone: boolean }>()

  check(shape: TableShape, name: string, cells: Cells, at: Version, gone: boolean): void {
    const known = this.#rows.get(name)
    if (known?.at === at) {
      const equal = known.gone === gone && (gone || equalRows(known.cells, cells))
      assert(
        equal,
        () =>
          `table "${shape.spec.name}": two different writes of ${JSON.stringify(cells.slice(0, shape.keySize))} at version ${at}`,
      )
    }
    if (known && known.at >= at) return
    this.#rows.delete(name)
    // The bytes are the caller's.
    const kept = cells.map((cell) => (cell instanceof Uint8Array ? cell.slice() : cell))
    this.#rows.set(name, { cells: kept, at, gone })
    if (this.#rows.size <= REMEMBERED_ROWS) return
    for (const oldest of this.#rows.keys()) {
      this.#rows.delete(oldest)
      break
    }
  }
}

function nameOf(shape: TableShape, cells: Cells, size: number): string {
  let name = shape.spec.name
  for (let i = 0; i < size; i++) {
    const text = String(cells[i])
    name += `/${text.length}:${text}`
  }
  return name
}
