// A preload, `node --import …/kill-effect.ts`: ends its own process right before or right after its n-th
// durable effect. The product knows nothing of it: it wraps methods of modules that it is about to use.
//
// An effect is whatever outlives the process: a step of a file below a folder `blobs` (written, synced,
// renamed, taken away, its folder synced), a request to S3 that changes something, a write of rows. Beats of
// leases come by the clock and do not count.
//
// VARVE_TEST_EFFECTS=FOLDER  FOLDER/order is read before each effect: {"at": 3, "when": "before"}, with
//     "of": "rows condemned" only effects of that name count; counted is from where the order came. Then
//     FOLDER/struck holds the name of the effect, and the process is gone. FOLDER/order.seen names each that
//     was counted, a line each.

import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import files from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread } from 'node:worker_threads'
import type { BlobStore } from '../../src/blob/blob.ts'
import type { Tables } from '../../src/tables/tables.ts'

export interface EffectOrder {
  /** From 1. */
  readonly at: number
  readonly when: 'before' | 'after'
  /** The beginning of a name; absent: any effect. */
  readonly of?: string
}

/** What a process is told so that it takes orders from there. */
export function effectsEnv(folder: string): Readonly<Record<string, string>> {
  return { NODE_OPTIONS: `--import=${import.meta.url}`, VARVE_TEST_EFFECTS: folder }
}

/** From here on effects are counted, and the process ends at one. */
export function orderEffect(folder: string, order: EffectOrder): void {
  withdrawOrder(folder)
  writeFileSync(join(folder, 'order'), JSON.stringify(order))
}

/** @returns the names of the effects that were counted, and of the one at which the process ended */
export function withdrawOrder(folder: string): {
  readonly seen: readonly string[]
  readonly struck: string | undefined
} {
  const seen = read(join(folder, 'order.seen'))?.split('\n').slice(0, -1) ?? []
  const struck = read(join(folder, 'struck'))
  for (const name of ['order', 'order.seen', 'struck']) rmSync(join(folder, name), { force: true })
  return { seen, struck }
}

/** Until the process has ended at its order. */
export async function struckBy(folder: string, failure: () => string): Promise<void> {
  for (const endMs = Date.now() + 120_000; !existsSync(join(folder, 'struck')); await sleep(50))
    if (Date.now() > endMs) throw new Error(`nothing was ended:\n${failure()}`)
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

class Effects {
  readonly #folder: string
  #text: string | undefined
  #order: EffectOrder | undefined
  #count = 0

  constructor(folder: string) {
    this.#folder = folder
  }

  async around<T>(name: string, work: () => Promise<T>): Promise<T> {
    const strikes = this.#counts(name)
    if (strikes === 'before') this.#strike(name)
    const result = await work()
    if (strikes === 'after') this.#strike(name)
    return result
  }

  /** Whether the process ends at this one. */
  #counts(name: string): EffectOrder['when'] | undefined {
    const text = read(join(this.#folder, 'order'))
    if (text !== this.#text) {
      this.#text = text
      this.#order = text ? (JSON.parse(text) as EffectOrder) : undefined
      this.#count = 0
    }
    const order = this.#order
    // Who was started again after it has had its order.
    if (order && this.#count === 0 && existsSync(join(this.#folder, 'struck'))) return undefined
    if (!order || !name.startsWith(order.of ?? '')) return undefined
    appendFileSync(join(this.#folder, 'order.seen'), `${name}\n`)
    return ++this.#count === order.at ? order.when : undefined
  }

  #strike(name: string): void {
    writeFileSync(join(this.#folder, 'struck'), name, { flag: 'wx', flush: true })
    process.kill(process.pid, 'SIGKILL')
  }
}

/** Below a store's folder: `packs`, `tmp`, … */
function kindOf(path: string): string | undefined {
  return /\/blobs\/(?:objects\/)?([^/]+)/.exec(path)?.[1]
}

/** Whoever imports a function of `node:fs/promises` by its name gets the wrapped one. */
function wrapFiles(effects: Effects): void {
  const { open, rename, rm } = files
  const kinds = new WeakMap<FileHandle, string>()
  let wrapped = false
  files.open = async (path, ...rest) => {
    const handle = await open(path, ...rest)
    if (!wrapped) wrapHandles(effects, handle, kinds)
    wrapped = true
    const kind = kindOf(String(path))
    if (kind !== undefined) kinds.set(handle, kind)
    return handle
  }
  files.rename = (from, to) => {
    const kind = kindOf(String(to))
    const work = (): Promise<void> => rename(from, to)
    return kind === undefined ? work() : effects.around(`file renamed ${kind}`, work)
  }
  files.rm = (path, ...rest) => {
    const kind = kindOf(String(path))
    const work = (): Promise<void> => rm(path, ...rest)
    return kind === undefined ? work() : effects.around(`file removed ${kind}`, work)
  }
  syncBuiltinESMExports()
}

/** All files have one prototype, and it can be had from one of them only. */
function wrapHandles(effects: Effects, some: FileHandle, kinds: WeakMap<FileHandle, string>): void {
  type Method = (this: FileHandle, ...args: unknown[]) => Promise<unknown>
  const methods = Object.getPrototypeOf(some) as Record<string, Method>
  for (const name of ['write', 'writev', 'datasync', 'sync']) {
    const inner = methods[name]
    if (!inner) throw new Error(`kill-effect: a file has no "${name}"`)
    methods[name] = function (...args) {
      const kind = kinds.get(this)
      const work = (): Promise<unknown> => inner.apply(this, args)
      return kind === undefined ? work() : effects.around(`file ${name} ${kind}`, work)
    }
  }
}

function wrapObjects(effects: Effects, store: BlobStore): void {
  const { put, delete: remove } = store
  store.put = function (this: BlobStore, objects) {
    const kind = objects[0]?.key.split('/', 1)[0] ?? 'none'
    return effects.around(`object put ${kind}`, () => put.call(this, objects))
  }
  store.delete = function (this: BlobStore, keys) {
    const kind = keys[0]?.split('/', 1)[0] ?? 'none'
    return effects.around(`object deleted ${kind}`, () => remove.call(this, keys))
  }
}

/** `put` and `remove` are made of `apply`. */
function wrapTables(effects: Effects, tables: Tables): void {
  const { apply, writeIf } = tables
  tables.apply = function (this: Tables, writes) {
    const names = new Set(writes.map(({ table }) => table.name))
    return effects.around(`rows ${[...names].join('+')}`, () => apply.call(this, writes))
  }
  tables.writeIf = function (this: Tables, table, write) {
    const work = (): ReturnType<typeof writeIf> => writeIf.call(this, table, write) as never
    return (table.name === 'leases' ? work() : effects.around(`row ${table.name}`, work)) as never
  }
}

const folder = process.env['VARVE_TEST_EFFECTS']
const [, entry = '', command = ''] = process.argv
// Children and threads of the process have its variables too.
const isProduct = isMainThread && entry.endsWith('/main/varve.mjs')
if (isProduct && folder !== undefined) {
  const effects = new Effects(folder)
  if (command === 'dev') {
    wrapFiles(effects)
    const { SqliteTables } = await import('../../src/tables/adapters/sqlite.ts')
    wrapTables(effects, SqliteTables.prototype)
  }
  if (command === 'serve') {
    const { S3BlobStore } = await import('../../src/blob/adapters/s3/store.ts')
    const { CassandraTables } = await import('../../src/tables/adapters/cassandra/tables.ts')
    wrapObjects(effects, S3BlobStore.prototype)
    wrapTables(effects, CassandraTables.prototype)
  }
}
