// The embedded product without its server: the log, the rows, the object engine, on one folder.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock as clock } from '../../src/base/clock.ts'
import { systemRandom as random } from '../../src/base/random.ts'
import { DiskBlobStore } from '../../src/blob/adapters/disk.ts'
import { MemoryBus } from '../../src/bus/adapters/memory.ts'
import { openHash, zstdCompute } from '../../src/main/compute.ts'
import { runCollection } from '../../src/main/collection.ts'
import type { Core, Ports } from '../../src/main/core.ts'
import { COLLECTOR_CACHE_BYTES, openCore } from '../../src/main/core.ts'
import { EMBEDDED_TABLES } from '../../src/main/tables.ts'
import type { BlobStore } from '../../src/blob/blob.ts'
import type { Commit } from '../../src/model/entities.ts'
import { ObjectEngine } from '../../src/objects/engine.ts'
import type { Objects, TreeWriter } from '../../src/objects/objects.ts'
import type { CollectStep } from '../../src/objects/upkeep/collect.ts'
import { SqliteTables } from '../../src/tables/adapters/sqlite.ts'
import type { Versions } from '../../src/versions/versions.ts'
import { CountingBlobStore } from './engine.ts'

const PROJECT = 'default'
const PRINCIPAL = 'bench'

export class Stack {
  readonly versions: Versions
  readonly objects: Objects
  readonly blob: CountingBlobStore
  readonly #core: Core
  readonly #ports: Ports
  readonly #close: () => Promise<void>

  private constructor(
    core: Core,
    ports: Ports & { readonly blob: CountingBlobStore },
    close: () => Promise<void>,
  ) {
    this.versions = core.versions
    this.objects = core.objects
    this.#core = core
    this.#ports = ports
    this.blob = ports.blob
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
    return new Stack(core, ports, async () => {
      stop.abort()
      await writing
      await core.close()
      await tables.close()
    })
  }

  async createRepo(repo: string): Promise<void> {
    const request = { id: this.#core.ids(), principal: PRINCIPAL }
    await this.versions.propose(PROJECT, [{ op: 'repo.create', name: repo }], request)
  }

  /** To its branch `master`. */
  commit(repo: string, write: (writer: TreeWriter) => Promise<void>): Promise<Commit> {
    const request = { id: this.#core.ids(), principal: PRINCIPAL }
    return this.versions.commitFiles(PROJECT, { repo, branch: 'master' }, write, request)
  }

  /** They are kept no longer. At most 500. */
  async drop(commits: readonly Commit[]): Promise<void> {
    const request = { id: this.#core.ids(), principal: PRINCIPAL }
    const keys = commits.map(({ repo, branch, id }) => ({ repo, branch, id }))
    await this.versions.propose(PROJECT, [{ op: 'commit.drop', commits: keys }], request)
  }

  /** As the server collects, reading through `blob`, which is over the store of this stack. */
  collect(blob: BlobStore, waitMs: number): AsyncIterable<CollectStep> {
    const guests = { ...this.#ports, blob }
    const { store } = new ObjectEngine({ ...guests, cacheBytes: COLLECTOR_CACHE_BYTES })
    const { versions, ids } = this.#core
    const how = { plan: false, waitMs }
    return runCollection({ ...guests, versions, ids, store }, how, new AbortController().signal)
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
