// The object engine as the embedded server has it, alone.

import type { BlobObject, BlobStore } from '../../src/blob/blob.ts'
import { DiskBlobStore } from '../../src/blob/adapters/disk.ts'
import { systemRandom } from '../../src/base/random.ts'
import { openHash, zstdCompute } from '../../src/main/compute.ts'
import { ObjectEngine } from '../../src/objects/engine.ts'

/** Counts what a store is asked for; otherwise it is that store. */
export class CountingBlobStore implements BlobStore {
  readonly #store: BlobStore
  puts = 0
  putBytes = 0
  gets = 0
  gotBytes = 0

  constructor(store: BlobStore) {
    this.#store = store
  }

  async put(objects: readonly BlobObject[]): Promise<void> {
    this.puts += objects.length
    for (const { bytes } of objects) this.putBytes += bytes.length
    await this.#store.put(objects)
  }

  async get(
    key: string,
    range?: { readonly offset: number; readonly length: number },
  ): Promise<Uint8Array | undefined> {
    this.gets++
    const bytes = await this.#store.get(key, range)
    this.gotBytes += bytes?.length ?? 0
    return bytes
  }

  head(key: string): Promise<number | undefined> {
    return this.#store.head(key)
  }

  list(prefix: string, after?: string): AsyncIterable<{ key: string; sizeBytes: number }> {
    return this.#store.list(prefix, after)
  }

  delete(keys: readonly string[]): Promise<void> {
    return this.#store.delete(keys)
  }
}

export async function engineOver(blob: BlobStore, cacheBytes?: number): Promise<ObjectEngine> {
  return new ObjectEngine({
    blob,
    hash: await openHash(),
    compute: zstdCompute,
    storeKey: new Uint8Array(32).fill(7),
    random: systemRandom,
    ...(cacheBytes === undefined ? {} : { cacheBytes }),
  })
}

/** On a folder; opened again it has nothing in its caches. */
export async function engineIn(
  folder: string,
  cacheBytes?: number,
): Promise<{ readonly engine: ObjectEngine; readonly blob: CountingBlobStore }> {
  const blob = new CountingBlobStore(await DiskBlobStore.open(folder))
  return { engine: await engineOver(blob, cacheBytes), blob }
}
