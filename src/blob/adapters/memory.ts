// Objects in a map, for tests and the simulation.

import { assert } from '../../base/assert.ts'
import { compareUtf8, equalBytes } from '../../base/bytes.ts'
import type { BlobKey, BlobObject, BlobStore } from '../blob.ts'
import { checkKey } from '../key.ts'

export class MemoryBlobStore implements BlobStore {
  readonly #objects = new Map<BlobKey, Uint8Array>()

  async put(objects: readonly BlobObject[]): Promise<void> {
    for (const { key, bytes } of objects) {
      checkKey(key)
      const old = this.#objects.get(key)
      assert(!old || equalBytes(old, bytes), `blob "${key}" put twice with different bytes`)
      this.#objects.set(key, bytes.slice())
    }
  }

  get(
    key: BlobKey,
    range?: { readonly offset: number; readonly length: number },
  ): Promise<Uint8Array | undefined> {
    const bytes = this.#objects.get(key)
    if (!bytes) return Promise.resolve(undefined)
    if (!range) return Promise.resolve(bytes.slice())
    return Promise.resolve(bytes.slice(range.offset, range.offset + range.length))
  }

  head(key: BlobKey): Promise<number | undefined> {
    return Promise.resolve(this.#objects.get(key)?.length)
  }

  async *list(
    prefix: string,
    after?: BlobKey,
  ): AsyncIterable<{ readonly key: BlobKey; readonly sizeBytes: number }> {
    const keys = [...this.#objects.keys()]
      .filter(
        (key) => key.startsWith(prefix) && (after === undefined || compareUtf8(key, after) > 0),
      )
      .toSorted(compareUtf8)
    for (const key of keys) {
      const bytes = this.#objects.get(key)
      if (bytes) yield { key, sizeBytes: bytes.length }
    }
  }

  async delete(keys: readonly BlobKey[]): Promise<void> {
    for (const key of keys) this.#objects.delete(key)
  }
}
