// The embedded product without its server: the log, the rows, the object engine, on one folder.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock as clock } from '../../src/base/clock.ts'
import { systemRandom as random } from '../../src/base/random.ts'
import { DiskBlobStore } from '../../src/blob/adapters/disk.ts'
import { MemoryBus } from '../../src/bus/adapters/memory.ts'
import { openHash, zstdCompute } from '../../src/main/compute.ts'
import { openCore } from '../../src/main/core.ts'
import { EMBEDDED_TABLES } from '../../src/main/tables.ts'
import type { Commit } from '../../src/model/entities.ts'
import type { Objects, TreeWriter } from '../../src/objects/objects.ts'
import { SqliteTables } from '../../src/tables/adapters/sqlite.ts'
import type { Versions } from '../../src/versions/versions.ts'
import { CountingBlobStore } from './engine.ts'

const PROJECT = 'default'
const PRINCIPAL = 'bench'

export class Stack {
  readonly versions: Versions
  readonly objects: Objects
  readonly blob: CountingBlobStore
  readonly #ids: () => Commit['id']
  readonly #close: () => Promise<void>

  private constructor(
    core: { versions: Versions; objects: Objects; ids: () => Commit['id'] },
    blob: CountingBlobStore,
    close: () => Promise<void>,
  ) {
    this.versions = core.versions
    this.objects = core.objects
    this.#ids = core.ids
    this.blob = blob
    this.#close = close
  }

  static async open(folder: string): Promise<Stack> {
    await mkdir(folder, { recursive: true })
    const tables = await SqliteTables.open(join(folder, 'tables.sqlite'), EMBEDDED_TABLES)
    const blob = new CountingBlobStore(await DiskBlobStore.open(join(folder, 'blobs')))
    const hash = await openHash()
    const storeKey = new Uint8Array(32).fill(7)
    const bus = new MemoryBus({ clock })
    const ports = { tables, blob, bus, clock, random, hash, compute: zstdCompute, storeKey }
    const core = await openCore(ports)
    const stop = new AbortController()
    const writing = core.writeLog(stop.signal)
    return new Stack(core, blob, async () => {
      stop.abort()
      await writing
      await core.close()
      await tables.close()
    })
  }

  async createRepo(repo: string): Promise<void> {
    const request = { id: this.#ids(), principal: PRINCIPAL }
    await this.versions.propose(PROJECT, [{ op: 'repo.create', name: repo }], request)
  }

  /** To its branch `master`. */
  commit(repo: string, write: (writer: TreeWriter) => Promise<void>): Promise<Commit> {
    const request = { id: this.#ids(), principal: PRINCIPAL }
    return this.versions.commitFiles(PROJECT, { repo, branch: 'master' }, write, request)
  }

  resolve(repo: string, id: Commit['id']): Promise<Commit> {
    const ref = {
      project: undefined,
      repo,
      version: id,
      branch: 'master',
      back: 0,
      path: undefined,
    }
    return this.versions.resolve(PROJECT, ref)
  }

  close(): Promise<void> {
    return this.#close()
  }
}
