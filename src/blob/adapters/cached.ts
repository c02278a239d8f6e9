// A store far away, with what was read of it kept in files nearby.
//
// - Ranges are fetched and kept in aligned blocks: a request costs what 2–3 MiB of transfer do, so that
//   a block brings the neighbours of a small read (nodes lie together) for little, and a long read is
//   still one request. What asks for a whole object reads through it once, and goes by.
// - Keys are used once and objects never change: nothing kept is ever stale. What was deleted elsewhere
//   ages out.
// - A block leaves the cache only if it matches its checksum; else it is fetched again.
// - The cache never fails a read: what cannot be kept or read here is fetched.
// - The budget counts files as disks do, in steps of 4 KiB; the one used longest ago goes first.

import type { BlobKey, BlobObject, BlobStore } from '../blob.ts'
import { BlockFolder } from './block-folder.ts'

export const BLOCK_BYTES: number = 256 * 1024

interface Range {
  readonly offset: number
  readonly length: number
}

export interface CacheOptions {
  readonly folder: string
  /** Of all files in it. */
  readonly budgetBytes: number
}

/** Undefined: there is no such object. Shorter than a block: the object ends in it. */
type Block = Uint8Array | undefined

export class CachedBlobStore implements BlobStore {
  readonly presign?: NonNullable<BlobStore['presign']>
  readonly behind: BlobStore
  readonly #folder: BlockFolder
  /** Blocks on their way: who wants one meanwhile waits for the same. */
  readonly #coming = new Map<string, Promise<Block>>()

  private constructor(store: BlobStore, folder: BlockFolder) {
    this.behind = store
    this.#folder = folder
    if (store.presign) this.presign = store.presign.bind(store)
  }

  /** Of a folder that no other process uses; it is made when missing, and what it keeps is found again. */
  static async open(store: BlobStore, options: CacheOptions): Promise<CachedBlobStore> {
    return new CachedBlobStore(store, await BlockFolder.open(options))
  }

  put(objects: readonly BlobObject[]): Promise<void> {
    return this.behind.put(objects)
  }

  async get(key: BlobKey, range?: Range): Promise<Uint8Array | undefined> {
    if (!range || range.length === 0) return this.behind.get(key, range)
    const { offset, length } = range
    const first = Math.floor(offset / BLOCK_BYTES)
    const last = Math.floor((offset + length - 1) / BLOCK_BYTES)
    const blocks = await Promise.all(this.#blocks(key, first, last))
    return cutOut(blocks, offset - first * BLOCK_BYTES, length)
  }

  head(key: BlobKey): Promise<number | undefined> {
    return this.behind.head(key)
  }

  list(prefix: string, after?: BlobKey): ReturnType<BlobStore['list']> {
    return this.behind.list(prefix, after)
  }

  async delete(keys: readonly BlobKey[]): Promise<void> {
    await this.behind.delete(keys)
    // What was on its way before may still come, and be kept.
    const meant = new Set(keys)
    const coming = this.#coming.entries().filter(([name]) => meant.has(keyOf(name)))
    await Promise.allSettled(coming.map(([, block]) => block))
    await this.#folder.drop(keys)
  }

  forget(key: BlobKey): void {
    void this.#folder.drop([key])
  }

  /** What is being written is written. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#coming.values())
    await this.#folder.close()
  }

  #blocks(key: BlobKey, first: number, last: number): Promise<Block>[] {
    const blocks: Promise<Block>[] = []
    for (let index = first; index <= last;) {
      const coming = this.#coming.get(nameOf(key, index))
      if (coming || this.#folder.has(key, index)) {
        blocks.push(coming ?? this.#share(key, index, this.#kept(key, index)))
        index++
        continue
      }
      let end = index + 1
      while (end <= last && !this.#coming.has(nameOf(key, end)) && !this.#folder.has(key, end))
        end++
      const run = this.#fetch(key, index, end - index)
      for (let i = 0; index < end; i++, index++)
        blocks.push(
          this.#share(
            key,
            index,
            run.then((bytes) => bytes?.[i]),
          ),
        )
    }
    return blocks
  }

  #share(key: BlobKey, index: number, block: Promise<Block>): Promise<Block> {
    const name = nameOf(key, index)
    this.#coming.set(name, block)
    const over = (): void => void this.#coming.delete(name)
    block.then(over, over)
    return block
  }

  async #kept(key: BlobKey, index: number): Promise<Block> {
    return (await this.#folder.read(key, index)) ?? (await this.#fetch(key, index, 1))?.[0]
  }

  /** Neighbouring blocks by one request; those behind the end are empty. */
  async #fetch(key: BlobKey, first: number, count: number): Promise<Uint8Array[] | undefined> {
    const range = { offset: first * BLOCK_BYTES, length: count * BLOCK_BYTES }
    const bytes = await this.behind.get(key, range)
    if (!bytes) return undefined
    const blocks: Uint8Array[] = []
    for (let i = 0; i < count; i++) {
      const block = bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES)
      if (block.length > 0) this.#folder.keep(key, first + i, block)
      blocks.push(block)
    }
    return blocks
  }
}

function nameOf(key: BlobKey, index: number): string {
  return `${key} ${index}`
}

function keyOf(name: string): BlobKey {
  return name.slice(0, name.indexOf(' '))
}

/** A copy, which the caller may keep and change. */
function cutOut(blocks: readonly Block[], start: number, length: number): Uint8Array | undefined {
  const parts: Uint8Array[] = []
  let from = start
  let left = length
  for (const block of blocks) {
    if (!block) return undefined
    const part = block.subarray(from, from + left)
    parts.push(part)
    left -= part.length
    from = 0
    if (block.length < BLOCK_BYTES) break
  }
  const whole = new Uint8Array(length - left)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
