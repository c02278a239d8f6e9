// The object engine: one store of chunks and trees over a BlobStore. Its parts, from the bytes up:
//   chunker, ids, codec, frame, pack    bytes and where they lie
//   node, store, sink, content, locate  nodes and files, read and written
//   draft, merge, writer                changes
//   walk, diff, glob, select            questions

import { toHex } from '../base/bytes.ts'
import { VarveError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { BlobStore } from '../blob/blob.ts'
import type { TreeStats } from '../model/entities.ts'
import type { Path } from '../model/path.ts'
import { ROOT } from '../model/path.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { makeTreeRef, sameTree } from '../model/tree-ref.ts'
import { readContent } from './files/content.ts'
import { diffItems } from './trees/diff.ts'
import { diffSums } from './trees/diff-sums.ts'
import type { Tables } from '../tables/tables.ts'
import { dirEntryOf, entryOf, itemOfEntry, itemOfRef } from './trees/entries.ts'
import { parseGlob } from './glob/glob.ts'
import type { Compute, Hash } from './guests.ts'
import { Ids } from './ids.ts'
import { locateContent } from './files/locate.ts'
import { isHeld } from './packs/held.ts'
import type { Root } from './upkeep/mark.ts'
import { PackedMerging } from './changes/merging.ts'
import { CHUNK } from './trees/item.ts'
import type { Item } from './trees/item.ts'
import type {
  Change,
  DirectoryChange,
  DirEntry,
  FileEntry,
  LocatedChunk,
  MergeResult,
  Merging,
  Objects,
  TreeEntry,
  TreeWriter,
} from './objects.ts'
import { selectDiffering, selectMatching } from './trees/select.ts'
import { Sink } from './changes/sink.ts'
import { PackStore } from './store.ts'
import { verify } from './upkeep/verify.ts'
import type { VerifyOptions } from './upkeep/verify.ts'
import type { Finding } from './upkeep/verify-report.ts'
import type { Usage } from './upkeep/usage.ts'
import { usageOf } from './upkeep/usage.ts'
import { find, list, rootItem, walk } from './trees/walk.ts'
import { PackedTreeWriter } from './changes/writer.ts'

const CACHE_BYTES = 128 * 1024 * 1024
const WRITER_BYTES = 16 * 1024 * 1024

export interface ObjectEngineOptions {
  readonly blob: BlobStore
  readonly hash: Hash
  /** 32 bytes, for ever the same for a store: ids depend on it. */
  readonly storeKey: Uint8Array
  readonly random: Random
  /** Of decoded nodes and shared frames; default 128 MiB. */
  readonly cacheBytes?: number | undefined
  /** Of names and items that a writer holds before it puts them aside as a run; default 16 MiB. */
  readonly writerBytes?: number
  /** Without it everything is stored as it is. */
  readonly compute?: Compute
  /** Where it stands what was condemned; without it nothing ever is. */
  readonly tables?: Tables
}

export class ObjectEngine implements Objects {
  readonly presign: BlobStore['presign']
  readonly #store: PackStore
  readonly #blob: BlobStore
  readonly #options: ObjectEngineOptions

  constructor(options: ObjectEngineOptions) {
    this.#options = options
    this.presign = options.blob.presign?.bind(options.blob)
    this.#store = new PackStore({
      blob: options.blob,
      random: options.random,
      compute: options.compute,
      ids: new Ids(options.hash, options.storeKey),
      cacheBytes: options.cacheBytes ?? CACHE_BYTES,
      tables: options.tables,
    })
    this.#blob = options.blob
  }

  writer(base: TreeRef | null): TreeWriter {
    return new PackedTreeWriter(this.#store, base, this.#options.writerBytes ?? WRITER_BYTES)
  }

  emptyTree(): Promise<TreeRef> {
    return Promise.resolve(this.#store.emptyRef)
  }

  async stat(root: TreeRef | null, path: Path): Promise<TreeEntry | undefined> {
    const item = await find(this.#store, root, path)
    if (item) return entryOf(this.#store.ids, path, item)
    return path === ROOT ? this.#emptyRoot() : undefined
  }

  async *read(
    root: TreeRef | null,
    path: Path,
    range?: { offset: number; length?: number },
  ): AsyncIterable<Uint8Array> {
    yield* readContent(this.#store, await this.#file(root, path), range)
  }

  async *locate(root: TreeRef | null, path: Path, first = 0): AsyncIterable<LocatedChunk> {
    yield* locateContent(this.#store, await this.#file(root, path), first)
  }

  chunkId(hash: Uint8Array): string {
    return toHex(this.#store.ids.ofHash(hash))
  }

  async #file(root: TreeRef | null, path: Path): Promise<Item> {
    const item = await find(this.#store, root, path)
    if (item?.isFile) return item
    const why = item || path === ROOT ? 'it is a directory' : 'no such path'
    throw new VarveError('NOT_FOUND_PATH', `cannot read "${path}": ${why}`)
  }

  readEntry(
    entry: FileEntry,
    range?: { offset: number; length?: number },
  ): AsyncIterable<Uint8Array> {
    return readContent(this.#store, itemOfEntry(entry), range)
  }

  list(
    root: TreeRef | null,
    path: Path,
    options?: { after?: string; limit?: number },
  ): AsyncIterable<TreeEntry> {
    return list(this.#store, root, path, options)
  }

  walk(root: TreeRef | null, path: Path = ROOT): AsyncIterable<FileEntry> {
    return walk(this.#store, root, path)
  }

  async *glob(root: TreeRef | null, pattern: string): AsyncIterable<TreeEntry> {
    const glob = parseGlob(pattern)
    for await (const { path, item } of selectMatching(
      this.#store,
      await rootItem(this.#store, root),
      glob,
    ))
      yield entryOf(this.#store.ids, path, item)
  }

  async *diff(a: TreeRef | null, b: TreeRef | null, path: Path = ROOT): AsyncIterable<Change> {
    if (sameTree(a, b)) return
    const [old, now] = await Promise.all([find(this.#store, a, path), find(this.#store, b, path)])
    yield* diffItems(this.#store, path, old, now)
  }

  async *diffSums(
    a: TreeRef | null,
    b: TreeRef | null,
    path: Path,
    depth: number,
  ): AsyncIterable<DirectoryChange> {
    if (sameTree(a, b)) return
    const old = await find(this.#store, a, path)
    const now = await find(this.#store, b, path)
    yield* diffSums(this.#store, path, old, now, depth)
  }

  async *diffGlob(
    a: TreeRef | null,
    b: TreeRef | null,
    pattern: string,
  ): AsyncIterable<{ path: Path; old: TreeEntry | undefined; new: TreeEntry | undefined }> {
    const glob = parseGlob(pattern)
    if (sameTree(a, b)) return
    const { ids } = this.#store
    const [old, now] = await Promise.all([rootItem(this.#store, a), rootItem(this.#store, b)])
    for await (const pair of selectDiffering(this.#store, old, now, glob))
      yield {
        path: pair.path,
        old: pair.old && entryOf(ids, pair.path, pair.old),
        new: pair.new && entryOf(ids, pair.path, pair.new),
      }
  }

  async merge(
    base: TreeRef | null,
    runs: readonly TreeRef[],
    since: TreeRef | null,
  ): Promise<MergeResult> {
    const merging = this.merging()
    const merged = merging.merge(base, runs, since)
    await merging.close()
    return merged
  }

  merging(): Merging {
    return new PackedMerging(this.#store)
  }

  async putBytes(bytes: Uint8Array, announce?: (ref: TreeRef) => Promise<void>): Promise<TreeRef> {
    const sink = new Sink(this.#store)
    if (announce) {
      try {
        const ref = await sink.alone(bytes)
        await announce(ref)
        await sink.close()
        return ref
      } catch (error) {
        sink.abandon()
        throw error
      }
    }
    const { id, place } = sink.chunk(bytes)
    await sink.close()
    const ref = makeTreeRef(toHex(id), place)
    this.#store.condemned.born.set(ref, sink.load)
    return ref
  }

  get loads(): number {
    return this.#store.condemned.loads
  }

  loadCondemned(): Promise<void> {
    return this.#store.condemned.load()
  }

  born(ref: TreeRef): number | undefined {
    return ref === this.#store.emptyRef ? Infinity : this.#store.condemned.born.get(ref)
  }

  isHeld(roots: readonly Root[]): Promise<boolean> {
    return isHeld(this.#store, this.#blob, roots)
  }

  /** For whoever collects: what stands here reads as any other reader of the store. */
  get store(): PackStore {
    return this.#store
  }

  getBytes(ref: TreeRef): Promise<Uint8Array> {
    return this.#store.chunk(itemOfRef(ref, CHUNK))
  }

  usage(groups: readonly (readonly TreeRef[])[], signal?: AbortSignal): Promise<Usage> {
    return usageOf(this.#store, groups, { signal })
  }

  async stats(root: TreeRef | null): Promise<TreeStats> {
    const item = await rootItem(this.#store, root)
    return { files: item?.files ?? 0, bytes: item?.sizeBytes ?? 0 }
  }

  verify(options: VerifyOptions): AsyncIterable<Finding> {
    const { random, compute, tables } = this.#options
    const blob = this.#options.blob.behind ?? this.#options.blob
    const { ids } = this.#store
    const store = new PackStore({ blob, random, compute, ids, cacheBytes: 0, tables })
    return verify({ blob, ids, compute, store }, options)
  }

  #emptyRoot(): DirEntry {
    return dirEntryOf(this.#store.ids, ROOT, itemOfRef(this.#store.emptyRef))
  }
}
