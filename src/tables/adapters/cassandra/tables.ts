// The rows of a cluster: Cassandra. Facts are written at LOCAL_QUORUM with their version as timestamp
// and repeated until they stand; a conditional write is one light-weight transaction, sent once, whose
// outcome may be unknown. The two never meet in one table, because a transaction does not see the
// timestamps of plain writes.

import type { Client, QueryOptions, types } from 'cassandra-driver'
import { assert } from '../../../base/assert.ts'
import { Semaphore } from '../../../base/async.ts'
import { systemClock } from '../../../base/clock.ts'
import { VarveError } from '../../../base/errors.ts'
import { systemRandom } from '../../../base/random.ts'
import { backoffMs } from '../../../base/retry.ts'
import { guardedCells } from '../../guard.ts'
import type { FactsSpec, GuardedSpec, KeyOf, PartitionOf, RowOf, TableSpec } from '../../schema.ts'
import { shapeOf } from '../../shape.ts'
import type { Cells, TableShape } from '../../shape.ts'
import type {
  FactWrite,
  GuardedWrite,
  Outcome,
  ScanOptions,
  Tables,
  Version,
} from '../../tables.ts'
import { makeClient, profilesOf, timeoutsOf, whyNotConnected } from './connect.ts'
import { endClient } from './control-connection.ts'
import type { CassandraOptions, Profiles } from './connect.ts'
import { Cql } from './cql.ts'
import { Recent, StatementsOf, batchesOf } from './facts.ts'
import type { Statement } from './facts.ts'
import { failureOf, toError, toOutcome } from './failure.ts'
import { guardedBatch } from './guarded.ts'
import { migrate } from './migrate.ts'
import { scanPages } from './scan.ts'
import { toCells, toParameters } from './values.ts'

/** Requests under way of each kind; the others wait their turn. */
const FACTS_AT_ONCE = 64
const READS_AT_ONCE = 256
const GUARDED_AT_ONCE = 256
const BACKOFF = { firstMs: 20, maxMs: 1_000 }

export class CassandraTables implements Tables {
  readonly #client: Client
  readonly #profiles: Profiles
  readonly #cql: Cql
  readonly #patienceMs: number
  readonly #statements: StatementsOf
  readonly #recent = new Recent()
  readonly #facts = new Semaphore(FACTS_AT_ONCE)
  readonly #reads = new Semaphore(READS_AT_ONCE)
  readonly #guarded = new Semaphore(GUARDED_AT_ONCE)
  readonly #underWay = new Set<Promise<unknown>>()
  #closed = false

  private constructor(client: Client, profiles: Profiles, options: CassandraOptions) {
    this.#client = client
    this.#profiles = profiles
    this.#cql = new Cql(options.keyspace)
    this.#statements = new StatementsOf(this.#cql)
    this.#patienceMs = timeoutsOf(options).patienceMs
  }

  /**
   * Connects, makes the keyspace and its tables where they are missing and permitted.
   * @throws VarveError UNAVAILABLE, MISCONFIGURED with what is wrong and the remedy
   */
  static async open(
    options: CassandraOptions,
    specs: readonly TableSpec[],
  ): Promise<CassandraTables> {
    const client = await makeClient(options)
    try {
      try {
        await client.connect()
      } catch (error) {
        const { found, remedy, mayPass } = whyNotConnected(error, options)
        const where = options.contactPoints.join(', ')
        throw new VarveError(
          mayPass ? 'UNAVAILABLE' : 'MISCONFIGURED',
          `cannot connect to Cassandra at ${where}: ${found}; ${remedy}`,
          { cause: error },
        )
      }
      const tables = new CassandraTables(client, await profilesOf(options), options)
      await migrate({ client, tables, options, specs, clock: systemClock, random: systemRandom })
      return tables
    } catch (error) {
      await endClient(client)
      throw error
    }
  }

  async get<T extends TableSpec>(
    table: T,
    key: KeyOf<T>,
    options?: { serial?: boolean },
  ): Promise<RowOf<T> | undefined> {
    const shape = shapeOf(table)
    const cells = await this.#row(shape, shape.key(key), options?.serial === true)
    return cells && (shape.row(cells) as RowOf<T>)
  }

  async *scan<T extends TableSpec>(
    table: T,
    partition: PartitionOf<T>,
    options?: ScanOptions<T>,
  ): AsyncIterable<RowOf<T>> {
    const shape = shapeOf(table)
    const page = (query: string, params: Statement['params'], more: QueryOptions) =>
      this.#read(table, { query, params }, { ...this.#profiles.page, ...more })
    const pages = scanPages(
      this.#cql,
      shape,
      shape.partition(partition),
      shape.bounds(options),
      page,
    )
    for await (const rows of pages) for (const cells of rows) yield shape.row(cells) as RowOf<T>
  }

  put<T extends FactsSpec>(table: T, rows: readonly RowOf<T>[], at: Version): Promise<void> {
    return this.apply(rows.map((row) => ({ table, put: row, at })))
  }

  remove<T extends FactsSpec>(table: T, key: KeyOf<T>, at: Version): Promise<void> {
    return this.apply([{ table, remove: key, at }])
  }

  async apply(writes: readonly FactWrite[]): Promise<void> {
    for (const wave of batchesOf(this.#statements, writes, this.#recent)) {
      const [only] = wave
      if (wave.length === 1 && only) await this.#write(only)
      else await allOf(wave.map((batch) => this.#write(batch)))
    }
  }

  async writeIf<T extends GuardedSpec>(
    table: T,
    write: GuardedWrite<T>,
  ): Promise<Outcome<RowOf<T>>> {
    assert(table.kind === 'guarded', `table "${table.name}" takes versioned puts only`)
    const shape = shapeOf(table)
    const cells = guardedCells(table, write)
    const batch = guardedBatch(this.#cql, shape, cells)
    if (this.#closed) return { kind: 'unknown', cause: closedError(), never: true }
    const doing = `write to table "${table.name}"`
    let result: types.ResultSet
    try {
      result = await this.#track(
        this.#guarded.with(() => this.#send(batch, this.#profiles.guarded)),
      )
    } catch (error) {
      return toOutcome(error, doing)
    }
    if (result.wasApplied()) return { kind: 'applied' }
    try {
      // The refusal itself names only what was compared.
      const current = await this.#row(shape, cells.guardKey, true)
      return { kind: 'refused', current: current && (shape.row(current) as RowOf<T>) }
    } catch (cause) {
      // It was refused, but we cannot say by what: asked again, it will be refused again or apply.
      return { kind: 'unknown', cause }
    }
  }

  /** Lets what is under way end, then disconnects. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.allSettled(this.#underWay)
    await this.#client.shutdown()
  }

  async #row(shape: TableShape, key: Cells, serial: boolean): Promise<Cells | undefined> {
    const statement = { query: this.#cql.selectRow(shape), params: toParameters(key) }
    const profile = serial ? this.#profiles.serial : this.#profiles.read
    const result = await this.#read(shape.spec, statement, profile)
    const row = result.first()
    return row ? toCells(shape, row) : undefined
  }

  #read(table: TableSpec, statement: Statement, profile: QueryOptions): Promise<types.ResultSet> {
    return this.#patiently(`read table "${table.name}"`, () =>
      this.#reads.with(() => this.#client.execute(statement.query, statement.params, profile)),
    )
  }

  async #write(batch: readonly Statement[]): Promise<void> {
    await this.#patiently('write rows', () =>
      this.#facts.with(() => this.#send(batch, this.#profiles.facts)),
    )
  }

  #send(batch: readonly Statement[], profile: QueryOptions): Promise<types.ResultSet> {
    const [only] = batch
    if (batch.length === 1 && only) return this.#client.execute(only.query, only.params, profile)
    return this.#client.batch(batch as Statement[], profile)
  }

  /** Repeats what may be repeated: a lost race of a serial read, a node that is away, too much at once. */
  #patiently<T>(doing: string, work: () => Promise<T>): Promise<T> {
    const giveUpMs = systemClock.monotonicMs() + this.#patienceMs
    const trying = async (): Promise<T> => {
      for (let attempt = 0; ; attempt++) {
        if (this.#closed) throw closedError()
        try {
          return await work()
        } catch (error) {
          const failure = failureOf(error)
          if (failure.kind !== 'transient' || systemClock.monotonicMs() >= giveUpMs)
            throw toError(failure, doing, error)
          await systemClock.sleep(backoffMs(BACKOFF, attempt, systemRandom))
        }
      }
    }
    return this.#track(trying())
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work)
    const done = (): void => void this.#underWay.delete(work)
    work.then(done, done)
    return work
  }
}

/** Waits for all, also when one fails: nothing of a call is under way after it returned. */
async function allOf(work: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(work)
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

function closedError(): VarveError {
  return new VarveError('UNAVAILABLE', 'cannot use the tables: they were closed')
}
