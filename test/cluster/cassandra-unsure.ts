// A store whose conditional writes end, where the script says so, in another way than they were
// carried out.

import { setTimeout as sleep } from 'node:timers/promises'
import { VarveError } from '../../src/base/errors.ts'
import type {
  FactsSpec,
  GuardedSpec,
  KeyOf,
  PartitionOf,
  RowOf,
  TableSpec,
} from '../../src/tables/schema.ts'
import type {
  FactWrite,
  GuardedWrite,
  Outcome,
  ScanOptions,
  Tables,
  Version,
} from '../../src/tables/tables.ts'

/** How one attempt goes. */
export type Fate = 'ok' | 'not sent' | 'lost request' | 'lost reply' | 'late'

/** The fate of a write, asked once for each attempt. */
export type Script = (row: Readonly<Record<string, unknown>>) => Fate

export class UnsureTables implements Tables {
  readonly #inner: Tables
  readonly #script: Script
  readonly #late: Promise<unknown>[] = []

  constructor(inner: Tables, script: Script) {
    this.#inner = inner
    this.#script = script
  }

  async writeIf<T extends GuardedSpec>(
    table: T,
    write: GuardedWrite<T>,
  ): Promise<Outcome<RowOf<T>>> {
    const cause = new VarveError('UNAVAILABLE', 'no answer')
    const carryOut = (): Promise<Outcome<RowOf<T>>> => this.#inner.writeIf(table, write)
    switch (this.#script(write.put[0] as Record<string, unknown>)) {
      case 'ok':
        return carryOut()
      case 'not sent':
        return { kind: 'unknown', cause, never: true }
      case 'lost request':
        return { kind: 'unknown', cause }
      case 'lost reply': {
        const outcome = await carryOut()
        return outcome.kind === 'unknown' ? outcome : { kind: 'unknown', cause }
      }
      case 'late':
        // After the next attempt began, mostly after it ended.
        this.#late.push(sleep(30).then(carryOut))
        return { kind: 'unknown', cause }
    }
  }

  /** What is late has arrived. */
  async settled(): Promise<void> {
    await Promise.all(this.#late)
  }

  get<T extends TableSpec>(
    table: T,
    key: KeyOf<T>,
    options?: { serial?: boolean },
  ): Promise<RowOf<T> | undefined> {
    return this.#inner.get(table, key, options)
  }

  scan<T extends TableSpec>(
    table: T,
    partition: PartitionOf<T>,
    options?: ScanOptions<T>,
  ): AsyncIterable<RowOf<T>> {
    return this.#inner.scan(table, partition, options)
  }

  put<T extends FactsSpec>(table: T, rows: readonly RowOf<T>[], at: Version): Promise<void> {
    return this.#inner.put(table, rows, at)
  }

  remove<T extends FactsSpec>(table: T, key: KeyOf<T>, at: Version): Promise<void> {
    return this.#inner.remove(table, key, at)
  }

  apply(writes: readonly FactWrite[]): Promise<void> {
    return this.#inner.apply(writes)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
