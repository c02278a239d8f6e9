// The embedded store of rows: one SQLite database in WAL mode. All writes go to one thread that groups
// them (sqlite-writer.ts); reads run on the caller's thread through a read-only connection, which a
// writer never blocks, and which costs less than a message to another thread and back.

import { extname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { StatementSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import { AssertionError, assert, must } from '../../base/assert.ts'
import { VarveError } from '../../base/errors.ts'
import { guardedCells } from '../guard.ts'
import type { FactsSpec, GuardedSpec, KeyOf, PartitionOf, RowOf, TableSpec } from '../schema.ts'
import { shapeOf } from '../shape.ts'
import type { Cells, TableShape } from '../shape.ts'
import type { FactWrite, GuardedWrite, Outcome, ScanOptions, Tables, Version } from '../tables.ts'
import type { FactJobRow, FromWriter, Job, JobResult, WriterOptions } from './sqlite-jobs.ts'
import * as sql from './sqlite-sql.ts'

const PAGE_ROWS_FIRST = 32
const PAGE_ROWS_MAX = 512
/** A page that held more makes the next one shorter: rows of the log are up to 512 KiB. */
const PAGE_BYTES = 1 << 20

export interface SqliteOptions {
  /** An upper bound of the database in pages of 4 KiB: writes beyond end with DISK_FULL. */
  readonly maxPages?: number
}

type Settle = (result: JobResult) => void

export class SqliteTables implements Tables {
  /** Undefined: it was opened to be read. */
  readonly #worker: Worker | undefined
  readonly #reader: DatabaseSync
  readonly #indexes: ReadonlyMap<string, number>
  readonly #statements = new Map<string, StatementSync>()
  readonly #pending = new Map<number, Settle>()
  readonly #closed = Promise.withResolvers<void>()
  #queue: Job[] = []
  #nextId = 1
  /** Why nothing can be written any more. */
  #ended: string | undefined

  private constructor(
    worker: Worker | undefined,
    reader: DatabaseSync,
    tables: readonly TableSpec[],
  ) {
    this.#worker = worker
    this.#reader = reader
    this.#indexes = new Map(tables.map((table, i) => [table.name, i]))
    if (!worker) {
      this.#ended = 'it was opened to be read'
      return
    }
    worker.on('message', (message: FromWriter) => this.#receive(message))
    worker.on('error', (error: Error) => this.#end(`the writer ended: ${error.message}`))
    worker.on('exit', () => this.#end('the writer ended'))
    worker.unref()
  }

  /**
   * Creates the file, its tables and new columns where they are missing. One process at a time.
   * @throws VarveError UNAVAILABLE when the database cannot be opened
   */
  static async open(
    file: string,
    tables: readonly TableSpec[],
    options: SqliteOptions = {},
  ): Promise<SqliteTables> {
    // The extension is ours: .ts as written, .js as published.
    const entry = new URL(`./sqlite-writer${extname(import.meta.filename)}`, import.meta.url)
    const workerData: WriterOptions = { file, tables, maxPages: options.maxPages }
    const worker = new Worker(entry, { workerData })
    const failed = (why: string): VarveError =>
      new VarveError('UNAVAILABLE', `cannot open the database "${file}": ${why}`)
    await new Promise<void>((resolve, reject) => {
      worker.once('error', (error: Error) => reject(failed(error.message)))
      worker.once('message', (message: FromWriter) => {
        if (message === 'open') resolve()
        else reject(failed(JSON.stringify(message)))
      })
    })
    worker.removeAllListeners('error').removeAllListeners('message')
    const reader = new DatabaseSync(file, { readOnly: true })
    reader.exec('PRAGMA cache_size = -65536')
    return new SqliteTables(worker, reader, tables)
  }

  /** As it is, for who only reads; no other process writes meanwhile. @throws VarveError UNAVAILABLE */
  static openToRead(file: string, tables: readonly TableSpec[]): SqliteTables {
    try {
      return new SqliteTables(undefined, new DatabaseSync(file, { readOnly: true }), tables)
    } catch (error) {
      const why = (error as Error).message
      throw new VarveError('UNAVAILABLE', `cannot open the database "${file}": ${why}`)
    }
  }

  // oxlint-disable-next-line typescript/require-await -- what it throws becomes a rejection
  async get<T extends TableSpec>(
    table: T,
    key: KeyOf<T>,
    _options?: { serial?: boolean },
  ): Promise<RowOf<T> | undefined> {
    const shape = shapeOf(table)
    const statement = this.#statement(`${table.name} row`, () => sql.selectRow(shape))
    const parameters = [...shape.key(key).map(sql.toSql), ...now(shape)]
    const values = statement.get(...parameters) as unknown as sql.SqlValue[] | undefined
    return values && (shape.row(sql.fromSql(shape, values)) as RowOf<T>)
  }

  async *scan<T extends TableSpec>(
    table: T,
    partition: PartitionOf<T>,
    options?: ScanOptions<T>,
  ): AsyncIterable<RowOf<T>> {
    const shape = shapeOf(table)
    const { before, reverse, limit, ...rest } = shape.bounds(options)
    let { after } = rest
    const partitionCells = shape.partition(partition).map(sql.toSql)
    let left = limit
    let pageRows = PAGE_ROWS_FIRST
    while (left > 0) {
      const want = Math.min(left, pageRows)
      const name = `${table.name} page ${after?.length ?? 0} ${before?.length ?? 0} ${reverse}`
      const statement = this.#statement(name, () =>
        sql.selectPage(shape, after?.length ?? 0, before?.length ?? 0, reverse),
      )
      const page = statement.all(
        ...partitionCells,
        ...now(shape),
        ...(after ? sql.boundParameters(shape, after, reverse) : []),
        ...(before ? sql.boundParameters(shape, before, reverse) : []),
        want,
      ) as unknown as sql.SqlValue[][]
      let pageBytes = 0
      for (const values of page) {
        const cells = sql.fromSql(shape, values)
        pageBytes += sizeOf(cells)
        after = cells.slice(shape.partitionSize, shape.keySize)
        yield shape.row(cells) as RowOf<T>
      }
      if (page.length < want || shape.keySize === shape.partitionSize) return
      left -= page.length
      pageRows =
        pageBytes > PAGE_BYTES ? Math.max(1, pageRows >> 2) : Math.min(PAGE_ROWS_MAX, pageRows * 2)
    }
  }

  put<T extends FactsSpec>(table: T, rows: readonly RowOf<T>[], at: Version): Promise<void> {
    return this.apply(rows.map((row) => ({ table, put: row, at })))
  }

  remove<T extends FactsSpec>(table: T, key: KeyOf<T>, at: Version): Promise<void> {
    return this.apply([{ table, remove: key, at }])
  }

  async apply(writes: readonly FactWrite[]): Promise<void> {
    if (writes.length === 0) return
    const rows = writes.map((write): FactJobRow => {
      const { table, at } = write
      assert(table.kind === 'facts', `table "${table.name}" takes conditional writes only`)
      assert(Number.isSafeInteger(at) && at >= 0, `table "${table.name}": version ${at}`)
      const shape = shapeOf(table)
      if ('put' in write) return [this.#index(table), at, false, owned(shape.cells(write.put))]
      return [this.#index(table), at, true, owned(shape.key(write.remove))]
    })
    const result = await this.#send((id) => [id, 'facts', rows])
    if (result[1] === 'wrong') throw new AssertionError(result[2])
    if (result[1] === 'failed') throw failure(result[2], result[3])
  }

  async writeIf<T extends GuardedSpec>(
    table: T,
    write: GuardedWrite<T>,
  ): Promise<Outcome<RowOf<T>>> {
    assert(table.kind === 'guarded', `table "${table.name}" takes versioned puts only`)
    const shape = shapeOf(table)
    const index = this.#index(table)
    const cells = guardedCells(table, write)
    for (const row of cells.put) owned(row)
    const result = await this.#send((id) => [id, 'guarded', index, cells])
    switch (result[1]) {
      case 'done':
        return { kind: 'applied' }
      case 'refused':
        return {
          kind: 'refused',
          current: result[2] ? (shape.row(result[2]) as RowOf<T>) : undefined,
        }
      case 'wrong':
        throw new AssertionError(result[2])
      case 'failed': {
        const cause = failure(result[2], result[3])
        return result[4] ? { kind: 'unknown', cause, never: true } : { kind: 'unknown', cause }
      }
    }
  }

  /** Ends what is queued, then closes the file. */
  async close(): Promise<void> {
    if (!this.#worker) return this.#reader.close()
    if (this.#ended !== undefined) return
    this.#flush()
    this.#ended = 'it was closed'
    this.#worker.ref()
    this.#worker.postMessage('close')
    await this.#closed.promise
    this.#reader.close()
  }

  #index(table: TableSpec): number {
    return must(this.#indexes.get(table.name), `the table "${table.name}" in this database`)
  }

  #statement(name: string, text: () => string): StatementSync {
    let statement = this.#statements.get(name)
    if (!statement) {
      statement = this.#reader.prepare(text())
      statement.setReturnArrays(true)
      this.#statements.set(name, statement)
    }
    return statement
  }

  #send(job: (id: number) => Job): Promise<JobResult> {
    const id = this.#nextId++
    if (this.#ended !== undefined) return Promise.resolve([id, 'failed', this.#ended, false, true])
    return new Promise((resolve) => {
      this.#pending.set(id, resolve)
      // Whatever is asked for in this turn goes in one message.
      if (this.#queue.length === 0) queueMicrotask(() => this.#flush())
      this.#queue.push(job(id))
    })
  }

  #flush(): void {
    if (this.#queue.length === 0) return
    const jobs = this.#queue
    this.#queue = []
    this.#worker?.ref()
    this.#worker?.postMessage(jobs)
  }

  #receive(message: FromWriter): void {
    if (message === 'closed') return this.#closed.resolve()
    assert(Array.isArray(message), 'the writer sent something else than results')
    for (const result of message as readonly JobResult[]) {
      const settle = must(this.#pending.get(result[0]), 'the job of a result')
      this.#pending.delete(result[0])
      settle(result)
    }
    if (this.#pending.size === 0) this.#worker?.unref()
  }

  #end(why: string): void {
    this.#ended ??= why
    for (const [id, settle] of this.#pending) settle([id, 'failed', why, false, false])
    this.#pending.clear()
    this.#closed.resolve()
  }
}

function failure(message: string, full: boolean): VarveError {
  return new VarveError(full ? 'DISK_FULL' : 'UNAVAILABLE', `cannot write rows: ${message}`)
}

function now(shape: TableShape): number[] {
  return shape.spec.ttlSeconds === undefined ? [] : [Math.floor(Date.now() / 1000)]
}

/** A view on a larger buffer would take all of that buffer along to the other thread. */
function owned(cells: Cells): Cells {
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i]
    if (cell instanceof Uint8Array && cell.byteLength !== cell.buffer.byteLength)
      cells[i] = cell.slice()
  }
  return cells
}

function sizeOf(cells: Cells): number {
  let size = 0
  for (const cell of cells)
    size += typeof cell === 'string' || cell instanceof Uint8Array ? cell.length : 8
  return size
}
