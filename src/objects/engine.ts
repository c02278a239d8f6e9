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
import { readContent } from './content.ts'
import { diffItems } from './diff.ts'
import { compose, Draft, draftOf } from './draft.ts'
import { wholeDir } from './directory.ts'
import { dirEntryOf, entryOf, itemOfEntry, itemOfRef, refOf } from './entries.ts'
import { parseGlob } from './glob.ts'
import type { Compute, Hash } from './guests.ts'
import { Ids } from './ids.ts'
import { locateContent } from './locate.ts'
import { Merger, Storing } from './merge.ts'
import { CHUNK } from './node.ts'
import type { Item } from './node.ts'
import type {
  Change,
  DirEntry,
  FileEntry,
  LocatedChunk,
  MergeResult,
  Objects,
  TreeEntry,
  TreeWriter,
} from './objects.ts'
import { selectDiffering, selectMatching } from './select.ts'
import { Sink } from './sink.ts'
import { PackStore } from './store.ts'
import { find, list, rootItem, walk } from './walk.ts'
import { PackedTreeWriter } from './writer.ts'

const CACHE_BYTES = 128 * 1024 * 1024

export interface ObjectEngineOptions {
  readonly blob: BlobStore
  readonly hash: Hash
  /** 32 bytes, for ever the same for a store: ids depend on it. */
  readonly storeKey: Uint8Array
  readonly random: Random
  /** Of decoded nodes and shared frames; default 128 MiB. */
  readonly cacheBytes?: number
  /** Without it everything is stored as it is. */
  readonly compute?: Compute
}

export class ObjectEngine implements Objects {
  readonly presign: BlobStore['presign']
  readonly #store: PackStore

  constructor(options: ObjectEngineOptions) {
    this.presign = options.blob.presign?.bind(options.blob)
    this.#store = new PackStore({
      blob: options.blob,
      random: options.random,
      compute: options.compute,
      ids: new Ids(options.hash, options.storeKey),
      cacheBytes: options.cacheBytes ?? CACHE_BYTES,
    })
  }

  writer(base: TreeRef | null): TreeWriter {
    return new PackedTreeWriter(this.#store, base)
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
    const old = await find(this.#store, a, path)
    const now = await find(this.#store, b, path)
    yield* diffItems(this.#store, path, old, now)
  }

  async *diffGlob(
    a: TreeRef | null,
    b: TreeRef | null,
    pattern: string,
  ): AsyncIterable<{ path: Path; old: TreeEntry | undefined; new: TreeEntry | undefined }> {
    const glob = parseGlob(pattern)
    if (sameTree(a, b)) return
    const { ids } = this.#store
    const old = await rootItem(this.#store, a)
    const now = await rootItem(this.#store, b)
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
    const store = this.#store
    const sink = new Sink(store)
    const seen = sameTree(base, since) ? undefined : (path: string) => find(store, since, path)
    const merger = new Merger(store, sink, seen)
    try {
      let draft = new Draft()
      for (const [i, run] of runs.entries()) {
        const node = await wholeDir(store, itemOfRef(run))
        if (i === 0 || node.replaces) draft = draftOf(node)
        else
          await compose(
            draft,
            node,
            (item) => wholeDir(store, item),
            (path) => merger.clash(path),
          )
      }
      const plan = await merger.root(await rootItem(store, base), draft)
      merger.check()
      await sink.settle()
      const item = await new Storing(store, sink).root(plan)
      await sink.close()
      const root = item ? refOf(item) : store.emptyRef
      return { root, stats: { files: item?.files ?? 0, bytes: item?.sizeBytes ?? 0 } }
    } catch (error) {
      sink.abandon()
      throw error
    }
  }

  async putBytes(bytes: Uint8Array): Promise<TreeRef> {
    const sink = new Sink(this.#store)
    const { id, place } = sink.chunk(bytes)
    await sink.close()
    return makeTreeRef(toHex(id), place)
  }

  getBytes(ref: TreeRef): Promise<Uint8Array> {
    return this.#store.chunk(itemOfRef(ref, CHUNK))
  }

  async stats(root: TreeRef | null): Promise<TreeStats> {
    const item = await rootItem(this.#store, root)
    return { files: item?.files ?? 0, bytes: item?.sizeBytes ?? 0 }
  }

  #emptyRoot(): DirEntry {
    return dirEntryOf(ROOT, itemOfRef(this.#store.emptyRef))
  }
}
