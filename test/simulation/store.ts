// What is durable in a simulated world: it outlives every process. Remembers which partitions were
// written, so that checkers can look at everything.

import { createHash, createHmac } from 'node:crypto'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import type { Mac } from '../../src/log/guests.ts'
import { MemoryTables } from '../../src/tables/adapters/memory.ts'
import type { Row, TableSpec } from '../../src/tables/schema.ts'
import { shapeOf } from '../../src/tables/shape.ts'
import type { FactWrite, Tables } from '../../src/tables/tables.ts'
import { BusFabric } from './bus.ts'
import { collect } from './ports.ts'
import type { World } from './world.ts'

export const storeKey = new Uint8Array(32).fill(7)

export function hash(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest())
}

/** Of the cluster, or of somebody else. */
export function macOf(secret: string): Mac {
  const sign = (bytes: Uint8Array): string =>
    createHmac('sha256', secret).update(bytes).digest('hex')
  return { sign, verify: (bytes, mac) => sign(bytes) === mac }
}

export const clusterMac = macOf('the secret of the cluster')

export class Durable {
  readonly tables: Tables
  readonly blob = new MemoryBlobStore()
  readonly fabric = new BusFabric()
  readonly #partitions = new Map<string, { table: TableSpec; partition: Row }>()

  constructor(world: World) {
    const memory = new MemoryTables({ nowMs: () => world.dayMs })
    this.tables = {
      get: memory.get.bind(memory),
      scan: memory.scan.bind(memory),
      put: memory.put.bind(memory),
      remove: memory.remove.bind(memory),
      writeIf: memory.writeIf.bind(memory),
      close: memory.close.bind(memory),
      apply: (writes) => {
        for (const write of writes) this.#remember(write)
        return memory.apply(writes)
      },
    }
  }

  /** Every row of the facts that have these values, as `table: JSON`, without `without`. */
  async rows(having: Row, without: string): Promise<string[]> {
    const all: string[] = []
    for (const { table, partition } of this.#partitions.values()) {
      if (Object.entries(having).some(([name, value]) => partition[name] !== value)) continue
      for (const row of await collect(this.tables.scan(table, partition as never)))
        all.push(`${table.name}: ${JSON.stringify({ ...(row as Row), [without]: undefined })}`)
    }
    return all.toSorted()
  }

  #remember({ table, ...write }: FactWrite): void {
    const shape = shapeOf(table)
    const row = 'put' in write ? write.put : write.remove
    const name = `${table.name} ${JSON.stringify(shape.partition(row))}`
    if (this.#partitions.has(name)) return
    const partition = Object.fromEntries(
      table.partition.map((column) => [column, (row as Row)[column]]),
    )
    this.#partitions.set(name, { table, partition })
  }
}
