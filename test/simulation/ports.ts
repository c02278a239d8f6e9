// The ports as one life of a process sees them: each call travels, is carried out on the shared memory
// adapters, and its answer travels back; on the way any of the faults may happen to it.

import { VarveError } from '../../src/base/errors.ts'
import type { BlobKey, BlobObject, BlobStore } from '../../src/blob/blob.ts'
import type {
  FactsSpec,
  GuardedSpec,
  KeyOf,
  PartitionOf,
  RowOf,
  TableSpec,
} from '../../src/tables/schema.ts'
import { shapeOf } from '../../src/tables/shape.ts'
import type {
  FactWrite,
  GuardedWrite,
  Outcome,
  ScanOptions,
  Tables,
  Version,
} from '../../src/tables/tables.ts'
import type { Faults } from './faults.ts'
import { never } from './world.ts'
import type { Life } from './world.ts'

export class Wire {
  readonly life: Life
  readonly faults: Faults

  constructor(life: Life, faults: Faults) {
    this.life = life
    this.faults = faults
  }

  /** One call of a port, with its two scheduling points. @throws VarveError UNAVAILABLE */
  call<T>(name: string, execute: () => Promise<T>): Promise<T> {
    const { life, faults } = this
    const { world } = life
    if (!life.isAlive) return never<T>()
    const outcome = faults.outcome(life.name, name)
    world.note(`${life.name} ${name} ${outcome}`)
    if (outcome === 'crash-before') {
      life.crash()
      return never<T>()
    }
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const toCaller = (settle: () => void): void => {
      if (life.isAlive) settle()
    }
    const unavailable = (why: string): void =>
      toCaller(() => reject(new VarveError('UNAVAILABLE', `${name}: ${why}`)))
    const carryOut = (delayMs: number, answered: boolean): void =>
      world.after(delayMs, async () => {
        try {
          const value = await execute()
          if (answered) world.after(world.between(0.1, 2), () => toCaller(() => resolve(value)))
        } catch (error) {
          // Only a broken belief can be thrown here: the memory adapters do not fail.
          world.violate('assertions', `${life.name} ${name}: ${(error as Error).message}`)
          toCaller(() => reject(error))
        }
      })
    const patienceMs = world.between(500, 3_000)
    const quickMs = world.between(0.1, 2)
    switch (outcome) {
      case 'ok':
        carryOut(quickMs, true)
        break
      case 'slow':
        carryOut(world.between(50, 2_000), true)
        break
      case 'fail':
        world.after(quickMs, () => unavailable('it failed'))
        break
      case 'lost-reply':
        carryOut(quickMs, false)
        world.after(patienceMs, () => unavailable('no answer'))
        break
      case 'lost-request':
        world.after(patienceMs, () => unavailable('no answer'))
        break
      case 'late':
        carryOut(patienceMs + world.between(1, 10_000), false)
        world.after(patienceMs, () => unavailable('no answer'))
        break
      case 'crash-after':
        carryOut(quickMs, false)
        life.crash()
        break
    }
    return promise
  }
}

export class SimTables implements Tables {
  readonly #wire: Wire
  readonly #store: Tables

  constructor(wire: Wire, store: Tables) {
    this.#wire = wire
    this.#store = store
  }

  get<T extends TableSpec>(
    table: T,
    key: KeyOf<T>,
    options?: { serial?: boolean },
  ): Promise<RowOf<T> | undefined> {
    return this.#wire.call(`get ${table.name}`, () => this.#store.get(table, key, options))
  }

  /** In small pages, each a call of its own, so that others write between them. */
  async *scan<T extends TableSpec>(
    table: T,
    partition: PartitionOf<T>,
    options: ScanOptions<T> = {},
  ): AsyncIterable<RowOf<T>> {
    const { world } = this.#wire.life
    const pageRows = world.pick([2, 8, 100])
    const clustering = shapeOf(table).spec.clustering
    let { after } = options
    let left = options.limit ?? Infinity
    while (left > 0) {
      const want = Math.min(left, pageRows)
      const page = await this.#wire.call(`scan ${table.name}`, () =>
        collect(
          this.#store.scan(table, partition, {
            ...options,
            limit: want,
            ...(after ? { after } : {}),
          }),
        ),
      )
      yield* page
      const last = page.at(-1) as Record<string, unknown> | undefined
      if (!last || page.length < want) return
      left -= page.length
      after = Object.fromEntries(clustering.map((name) => [name, last[name]])) as Partial<KeyOf<T>>
    }
  }

  put<T extends FactsSpec>(table: T, rows: readonly RowOf<T>[], at: Version): Promise<void> {
    return this.apply(rows.map((row) => ({ table, put: row, at })))
  }

  remove<T extends FactsSpec>(table: T, key: KeyOf<T>, at: Version): Promise<void> {
    return this.apply([{ table, remove: key, at }])
  }

  /** Not atomic together: sometimes partition by partition, others reading in between. */
  async apply(writes: readonly FactWrite[]): Promise<void> {
    const groups = this.#wire.life.world.chance(0.3) ? byPartition(writes) : [writes]
    for (const group of groups)
      await this.#wire.call(`apply ${group[0]?.table.name}`, () => this.#store.apply(group))
  }

  async writeIf<T extends GuardedSpec>(
    table: T,
    write: GuardedWrite<T>,
  ): Promise<Outcome<RowOf<T>>> {
    try {
      return await this.#wire.call(`writeIf ${table.name}`, () => this.#store.writeIf(table, write))
    } catch (cause) {
      if (cause instanceof VarveError) return { kind: 'unknown', cause }
      throw cause
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

/** Runs of writes of one partition, in their order. */
function byPartition(writes: readonly FactWrite[]): FactWrite[][] {
  const groups: FactWrite[][] = []
  let last: string | undefined
  for (const write of writes) {
    const row = 'put' in write ? write.put : write.remove
    const name = JSON.stringify([write.table.name, shapeOf(write.table).partition(row)])
    if (name !== last) groups.push([])
    groups.at(-1)?.push(write)
    last = name
  }
  return groups
}

export class SimBlobStore implements BlobStore {
  readonly #wire: Wire
  readonly #store: BlobStore

  constructor(wire: Wire, store: BlobStore) {
    this.#wire = wire
    this.#store = store
  }

  async put(objects: readonly BlobObject[]): Promise<void> {
    // A crash may leave any subset.
    const split = objects.length > 1 && this.#wire.life.world.chance(0.3)
    const groups = split ? objects.map((object) => [object]) : [objects]
    for (const group of groups) await this.#wire.call('blob put', () => this.#store.put(group))
  }

  get(
    key: BlobKey,
    range?: { readonly offset: number; readonly length: number },
  ): Promise<Uint8Array | undefined> {
    return this.#wire.call('blob get', () => this.#store.get(key, range))
  }

  head(key: BlobKey): Promise<number | undefined> {
    return this.#wire.call('blob head', () => this.#store.head(key))
  }

  async *list(
    prefix: string,
    after?: BlobKey,
  ): AsyncIterable<{ readonly key: BlobKey; readonly sizeBytes: number }> {
    yield* await this.#wire.call('blob list', () => collect(this.#store.list(prefix, after)))
  }

  delete(keys: readonly BlobKey[]): Promise<void> {
    return this.#wire.call('blob delete', () => this.#store.delete(keys))
  }
}

export async function collect<T>(all: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const one of all) list.push(one)
  return list
}
