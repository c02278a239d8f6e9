// Objects as files: <folder>/objects/<key>. An object is written to <folder>/tmp, synced, renamed into
// place, and its directory synced: it is whole or absent, whatever crashes when. Puts that run at the
// same time share a directory's sync.

import { constants, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AssertionError } from '../../base/assert.ts'
import { forEachLimit } from '../../base/async.ts'
import { VarveError, toVarveError } from '../../base/errors.ts'
import type { BlobKey, BlobObject, BlobStore } from '../blob.ts'
import { checkKey } from '../key.ts'
import { writeDirect } from './direct.ts'
import type { OpenFile } from './open-files.ts'
import { OpenFiles } from './open-files.ts'

/** Files of one put that are written and synced at once. */
const PARALLEL = 8

export class DiskBlobStore implements BlobStore {
  readonly #objects: string
  readonly #tmp: string
  readonly #open = new OpenFiles()
  readonly #syncs = new Map<string, DirectorySync>()
  /** Directories known to be there, and durably so once their promise resolves. */
  readonly #made = new Map<string, Promise<void>>()
  #nextTmp = 1

  private constructor(folder: string) {
    this.#objects = join(folder, 'objects')
    this.#tmp = join(folder, 'tmp')
  }

  /** Creates the folder where it is missing and removes what a crash left half written. */
  static async open(folder: string): Promise<DiskBlobStore> {
    const store = new DiskBlobStore(folder)
    await rm(store.#tmp, { recursive: true, force: true })
    await mkdir(store.#tmp, { recursive: true })
    await mkdir(store.#objects, { recursive: true })
    await store.#sync(folder)
    return store
  }

  /** As it is, for who only reads. */
  static openToRead(folder: string): DiskBlobStore {
    return new DiskBlobStore(folder)
  }

  async put(objects: readonly BlobObject[]): Promise<void> {
    const directories = new Set<string>()
    try {
      await forEachLimit(objects, PARALLEL, async (object) => {
        directories.add(await this.#write(object))
      })
      await Promise.all([...directories].map((directory) => this.#sync(directory)))
    } catch (error) {
      throw storeError('write', error)
    }
  }

  async get(
    key: BlobKey,
    range?: { readonly offset: number; readonly length: number },
  ): Promise<Uint8Array | undefined> {
    try {
      return await this.#open.use(this.#path(key), (file) => readRange(file, range))
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw storeError('read', error)
    }
  }

  async head(key: BlobKey): Promise<number | undefined> {
    try {
      return (await stat(this.#path(key))).size
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw storeError('read', error)
    }
  }

  async *list(
    prefix: string,
    after?: BlobKey,
  ): AsyncIterable<{ readonly key: BlobKey; readonly sizeBytes: number }> {
    for await (const key of this.#walk('', prefix, after)) {
      const sizeBytes = await this.head(key)
      if (sizeBytes !== undefined) yield { key, sizeBytes }
    }
  }

  async delete(keys: readonly BlobKey[]): Promise<void> {
    try {
      await forEachLimit(keys, PARALLEL, async (key) => {
        const path = this.#path(key)
        await rm(path, { force: true })
        this.#open.forget(path)
      })
    } catch (error) {
      throw storeError('delete', error)
    }
  }

  #path(key: BlobKey): string {
    checkKey(key)
    return join(this.#objects, key)
  }

  /** The directory that must be synced before the object is durable. */
  async #write({ key, bytes }: BlobObject): Promise<string> {
    const path = this.#path(key)
    const directory = dirname(path)
    await this.#make(directory)
    const tmp = join(this.#tmp, String(this.#nextTmp++))
    try {
      const pages = await writeDirect(tmp, bytes)
      const file = await open(tmp, constants.O_WRONLY | constants.O_CREAT)
      try {
        for (let at = pages; at < bytes.length;)
          at += (await file.write(bytes, at, bytes.length - at, at)).bytesWritten
        await file.datasync()
      } finally {
        await file.close()
      }
      await rename(tmp, path)
      this.#open.forget(path)
    } catch (error) {
      await rm(tmp, { force: true })
      throw error
    }
    return directory
  }

  /** Makes a directory once, its name durable in its parent. */
  #make(directory: string): Promise<void> {
    if (directory === this.#objects) return Promise.resolve()
    let made = this.#made.get(directory)
    if (!made) {
      made = (async () => {
        const parent = dirname(directory)
        await this.#make(parent)
        await mkdir(directory, { recursive: true })
        await this.#sync(parent)
      })()
      this.#made.set(directory, made)
      made.catch(() => this.#made.delete(directory))
    }
    return made
  }

  #sync(directory: string): Promise<void> {
    let sync = this.#syncs.get(directory)
    if (!sync) this.#syncs.set(directory, (sync = new DirectorySync(directory)))
    return sync.wait()
  }

  /** Keys below a directory ("" or "a/b/") in byte order; what cannot match is not entered. */
  async *#walk(directory: string, prefix: string, after = ''): AsyncGenerator<BlobKey> {
    const entries = await readdir(join(this.#objects, directory), { withFileTypes: true })
    const names = entries
      .map((entry) => directory + entry.name + (entry.isDirectory() ? '/' : ''))
      .toSorted((a, b) => (a < b ? -1 : 1))
    for (const name of names) {
      if (!name.endsWith('/')) {
        if (name.startsWith(prefix) && name > after) yield name
      } else if (
        (name.startsWith(prefix) || prefix.startsWith(name)) &&
        (name > after || after.startsWith(name))
      )
        yield* this.#walk(name, prefix, after)
    }
  }
}

async function readRange(
  { handle, sizeBytes }: OpenFile,
  range: { readonly offset: number; readonly length: number } | undefined,
): Promise<Uint8Array> {
  const offset = Math.min(range?.offset ?? 0, sizeBytes)
  const length = Math.min(range?.length ?? sizeBytes, sizeBytes - offset)
  // Not from Node's pool: the caller may keep these bytes, or hand their buffer over. Not zeroed either.
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
  for (let filled = 0; filled < length;) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled)
    if (bytesRead === 0) return bytes.slice(0, filled)
    filled += bytesRead
  }
  return bytes
}

/** fsync of one directory: who comes while one runs waits for the next, which all of them share. */
class DirectorySync {
  readonly #path: string
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(path: string) {
    this.#path = path
  }

  wait(): Promise<void> {
    if (!this.#running) return this.#start()
    this.#next ??= this.#running.then(
      () => this.#start(),
      () => this.#start(),
    )
    return this.#next
  }

  #start(): Promise<void> {
    this.#next = undefined
    this.#running = this.#fsync().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #fsync(): Promise<void> {
    const directory = await open(this.#path, 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  }
}

function isAbsent(error: unknown): boolean {
  const { code } = error as { code?: string }
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR'
}

/** What was asked wrongly stays an assertion. */
function storeError(verb: string, error: unknown): Error {
  if (error instanceof AssertionError) return error
  const known = toVarveError(error)
  const isSystem = typeof (error as { syscall?: unknown }).syscall === 'string'
  if (known.code !== 'INTERNAL' || !isSystem) return known
  return new VarveError('UNAVAILABLE', `cannot ${verb} objects: ${known.message}`, { cause: error })
}
