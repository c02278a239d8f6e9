// The one thread that writes. Whatever is queued when it looks becomes one transaction and one fsync;
// each conditional write inside is checked against what stands before it, so it has its own outcome.
//
// - An answer leaves after the commit that makes it durable.
// - A statement that fails, or a commit that finds the disk full, is rolled back whole: then each
//   member of the group tries alone, so that one cannot take the others with it, and what fails
//   alone did certainly not happen.
// - A commit that fails in another way (the fsync did) may or may not survive a crash. Nothing more
//   is written by this process: only a reopened database knows what stands.

import { DatabaseSync } from 'node:sqlite'
import type { StatementSync } from 'node:sqlite'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { AssertionError, assert, must } from '../../base/assert.ts'
import { holds } from '../guard.ts'
import type { GuardedCells } from '../guard.ts'
import { equalCells, shapeOf } from '../shape.ts'
import type { Cells, TableShape } from '../shape.ts'
import type {
  FactJobRow,
  FromWriter,
  Job,
  JobResult,
  ToWriter,
  WriterOptions,
} from './sqlite-jobs.ts'
import * as sql from './sqlite-sql.ts'

const SQLITE_FULL = 13
/** A transaction of more jobs only makes its first ones wait. */
const GROUP_JOBS = 4_096
const PURGE_EVERY_MS = 3_600_000

interface Writer {
  readonly shape: TableShape
  readonly insert: StatementSync
  readonly remove: StatementSync
  readonly stored: StatementSync
}

class CommitFailed extends Error {}

const port = must(parentPort as MessagePort | null, 'the port to the caller')
const options = workerData as WriterOptions

function open(): { db: DatabaseSync; writers: Writer[] } {
  const db = new DatabaseSync(options.file)
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000')
  db.exec('PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -65536')
  const shapes = options.tables.map(shapeOf)
  for (const shape of shapes) declare(db, shape)
  if (options.maxPages !== undefined) db.exec(`PRAGMA max_page_count = ${options.maxPages}`)
  const writers = shapes.map((shape) => {
    const isFact = shape.spec.kind === 'facts'
    const stored = db.prepare(sql.selectStored(shape))
    stored.setReturnArrays(true)
    const insert = db.prepare(isFact ? sql.upsertFact(shape) : sql.replaceRow(shape))
    return { shape, insert, remove: db.prepare(sql.deleteRow(shape)), stored }
  })
  return { db, writers }
}

function declare(db: DatabaseSync, shape: TableShape): void {
  db.exec(sql.createTable(shape))
  const info = db.prepare(sql.tableInfo(shape)).all() as { name: string; pk: number }[]
  const key = info.filter((column) => column.pk > 0).map((column) => column.name)
  const expected = shape.columns.slice(0, shape.keySize)
  assert(
    key.join() === expected.join(),
    () => `table "${shape.spec.name}" has the key (${key.join()}), not (${expected.join()})`,
  )
  for (const column of shape.columns)
    if (!info.some(({ name }) => name === column)) db.exec(sql.addColumn(shape, column))
}

function purgeExpired(db: DatabaseSync, writers: readonly Writer[]): void {
  for (const { shape } of writers)
    if (shape.spec.ttlSeconds !== undefined)
      db.prepare(sql.deleteExpired(shape)).run(Math.floor(Date.now() / 1000))
}

const { db, writers } = ((): ReturnType<typeof open> => {
  try {
    const opened = open()
    purgeExpired(opened.db, opened.writers)
    return opened
  } catch (error) {
    port.postMessage({ cannotOpen: (error as Error).message } satisfies FromWriter)
    throw error
  }
})()
let broken: string | undefined

/** One transaction, or, if it fails and the rollback is certain, one for each job. */
function run(jobs: readonly Job[]): JobResult[] {
  if (broken !== undefined) {
    const message = broken
    return jobs.map(([id]) => [id, 'failed', message, false, true])
  }
  try {
    return transaction(jobs)
  } catch (error) {
    const { errcode, message } = error as { errcode?: number; message: string }
    const full = errcode !== undefined && (errcode & 0xff) === SQLITE_FULL
    const certain = full || !(error instanceof CommitFailed)
    if (!certain) {
      broken = `the database failed to commit and must be reopened: ${message}`
      return jobs.map(([id]) => [id, 'failed', message, false, false])
    }
    if (jobs.length > 1) return jobs.flatMap((job) => run([job]))
    return jobs.map(([id]) => [id, 'failed', message, full, true])
  }
}

function transaction(jobs: readonly Job[]): JobResult[] {
  setBarrier(jobs.some(needsBarrier))
  db.exec('BEGIN IMMEDIATE')
  try {
    const results = jobs.map(one)
    commit()
    return results
  } catch (error) {
    // Some errors end the transaction themselves.
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

let barrier = true

/**
 * Whether commits wait for the disk. Without it they still follow one another in the write-ahead log:
 * after a crash of the machine what is there is a prefix of what was written.
 */
function setBarrier(wanted: boolean): void {
  if (wanted === barrier) return
  db.exec(`PRAGMA synchronous = ${wanted ? 'FULL' : 'NORMAL'}`)
  barrier = wanted
}

function needsBarrier(job: Job): boolean {
  if (job[1] === 'guarded') return true
  return job[2].some(([table]) => must(writers[table], 'the table').shape.spec.derived !== true)
}

function commit(): void {
  try {
    db.exec('COMMIT')
  } catch (error) {
    const { errcode, message } = error as { errcode?: number; message: string }
    throw Object.assign(new CommitFailed(message), { errcode })
  }
}

function one(job: Job): JobResult {
  try {
    if (job[1] === 'guarded') return guarded(job[0], must(writers[job[2]], 'the table'), job[3])
    for (const row of job[2]) fact(must(writers[row[0]], 'the table'), row)
    return [job[0], 'done']
  } catch (error) {
    if (error instanceof AssertionError) return [job[0], 'wrong', error.message]
    throw error
  }
}

function fact(writer: Writer, [, version, gone, cells]: FactJobRow): void {
  const { shape } = writer
  const values = bind(shape, cells)
  values.push(version, gone ? 1 : 0)
  if (shape.spec.ttlSeconds !== undefined) values.push(expiry(shape.spec.ttlSeconds))
  if (Number(writer.insert.run(...values).changes) > 0) return
  const stored = writer.stored.get(...values.slice(0, shape.keySize)) as unknown as sql.SqlValue[]
  const at = shape.columns.length
  if (stored[at] !== version) return
  const equal = (i: number): boolean => equalCells(stored[i], values[i])
  const same =
    stored[at + 1] === (gone ? 1 : 0) && (gone || shape.columns.every((_, i) => equal(i)))
  const key = JSON.stringify(cells.slice(0, shape.keySize))
  assert(same, `table "${shape.spec.name}": two different writes of ${key} at version ${version}`)
}

function guarded(id: number, writer: Writer, write: GuardedCells): JobResult {
  const { shape } = writer
  const stored = writer.stored.get(...write.guardKey.map(sql.toSql)) as unknown as
    | sql.SqlValue[]
    | undefined
  const current = stored && isLive(shape, stored) ? sql.fromSql(shape, stored) : undefined
  if (!holds(write.expect, current)) {
    const cells = current?.slice(0, shape.columns.length)
    return [id, 'refused', cells ?? null]
  }
  for (const key of write.remove) writer.remove.run(...key.map(sql.toSql))
  for (const cells of write.put) {
    const values = bind(shape, cells)
    if (shape.spec.ttlSeconds !== undefined) values.push(expiry(shape.spec.ttlSeconds))
    writer.insert.run(...values)
  }
  return [id, 'done']
}

/** Values of all declared columns; a key alone is filled up. */
function bind(shape: TableShape, cells: Cells): sql.SqlValue[] {
  const values: sql.SqlValue[] = []
  for (let i = 0; i < shape.columns.length; i++) values.push(sql.toSql(cells[i] ?? null))
  return values
}

function isLive(shape: TableShape, stored: readonly sql.SqlValue[]): boolean {
  if (shape.spec.ttlSeconds === undefined) return true
  return Number(stored[stored.length - 1]) > Math.floor(Date.now() / 1000)
}

function expiry(ttlSeconds: number): number {
  return Math.floor(Date.now() / 1000) + ttlSeconds
}

function close(): void {
  clearInterval(purge)
  db.close()
  port.postMessage('closed' satisfies FromWriter)
  port.close()
}

const purge = setInterval(() => purgeExpired(db, writers), PURGE_EVERY_MS)
port.on('message', (first: ToWriter) => {
  let next: ToWriter | undefined = first
  while (next !== undefined) {
    const group: Job[] = []
    while (next !== undefined && next !== 'close' && group.length < GROUP_JOBS) {
      for (const job of next) group.push(job)
      next = (receiveMessageOnPort(port) as { message: ToWriter } | undefined)?.message
    }
    if (group.length > 0) port.postMessage(run(group) satisfies FromWriter)
    if (next === 'close') return close()
  }
})
port.postMessage('open' satisfies FromWriter)
