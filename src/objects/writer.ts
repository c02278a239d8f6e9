// Collects the writes of one author: content is cut and packed as it comes, names are held in memory.

import { assert } from '../base/assert.ts'
import { VarveError } from '../base/errors.ts'
import type { TreeStats } from '../model/entities.ts'
import type { Path } from '../model/path.ts'
import { ROOT } from '../model/path.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { sameTree } from '../model/tree-ref.ts'
import { addKnown, storeContent } from './content.ts'
import { CLASH, Draft, enter, stack } from './draft.ts'
import { fileEntryOf, itemOfEntry, refOf } from './entries.ts'
import { Merger, Storing } from './merge.ts'
import type { Item } from './node.ts'
import { APPEND, GONE, INLINE_BYTES, joined, LIST, TOMBSTONE } from './node.ts'
import type { FileEntry, TreeEntry, TreeWriter } from './objects.ts'
import type { Place } from './pack.ts'
import { Sink } from './sink.ts'
import type { PackStore } from './store.ts'
import { find, rootItem } from './walk.ts'

export class PackedTreeWriter implements TreeWriter {
  readonly #store: PackStore
  readonly #base: TreeRef | null
  readonly #sink: Sink
  #root = new Draft()
  #ended = false

  constructor(store: PackStore, base: TreeRef | null) {
    this.#store = store
    this.#base = base
    this.#sink = new Sink(store)
  }

  async put(path: Path, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<FileEntry> {
    this.#open(path)
    const item = await this.#stored(path, content)
    this.#place(path, item)
    return fileEntryOf(this.#store.ids, path, item)
  }

  async append(path: Path, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    this.#open(path)
    const item = await storeContent(this.#sink, content)
    this.#place(path, joined(APPEND, [item], false))
  }

  async copy(path: Path, entry: TreeEntry): Promise<void> {
    this.#open()
    const item = itemOfEntry(entry)
    if (path === ROOT) {
      if (!item.isDir) throw conflict(path)
      this.#root = new Draft(item)
    } else {
      this.#place(path, item.isDir ? item.replacing(true) : item)
    }
  }

  async delete(path: Path): Promise<void> {
    this.#open()
    if (path === ROOT) this.#root = new Draft(null)
    else this.#place(path, TOMBSTONE)
  }

  async finish(): Promise<TreeRef> {
    this.#end()
    return this.#closing(async () => {
      await this.#sink.settle()
      const merger = new Merger(this.#store, this.#sink, undefined)
      const plan = await merger.run(this.#root)
      merger.check()
      await this.#sink.settle()
      const item = await new Storing(this.#store, this.#sink).root(plan)
      await this.#sink.close()
      return item ? refOf(item) : this.#store.emptyRef
    })
  }

  async finishOnto(
    base: TreeRef | null,
  ): Promise<{ run: TreeRef; root: TreeRef; stats: TreeStats }> {
    this.#end()
    return this.#closing(async () => {
      await this.#sink.settle()
      const seen = this.#base
      const since = sameTree(seen, base)
        ? undefined
        : (path: string) => find(this.#store, seen, path)
      const merger = new Merger(this.#store, this.#sink, since)
      const run = await merger.run(this.#root)
      const root = await merger.root(await rootItem(this.#store, base), this.#root)
      merger.check()
      await this.#sink.settle()
      const storing = new Storing(this.#store, this.#sink)
      const staged = await storing.root(run)
      const item = await storing.root(root)
      await this.#sink.close()
      return {
        run: staged ? refOf(staged) : this.#store.emptyRef,
        root: item ? refOf(item) : this.#store.emptyRef,
        stats: { files: item?.files ?? 0, bytes: item?.sizeBytes ?? 0 },
      }
    })
  }

  abandon(): void {
    this.#ended = true
    this.#sink.abandon()
  }

  /** `file`: the path of a file to be written. */
  #open(file?: Path): void {
    assert(!this.#ended, 'a writer is used no more after finish or abandon')
    if (file === ROOT)
      throw new VarveError('INVALID_PATH', 'cannot write "/": the root is not a file')
  }

  #end(): void {
    this.#open()
    this.#ended = true
  }

  async #closing<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      this.#sink.abandon()
      throw error
    }
  }

  /**
   * A file takes the place of a directory only if that was deleted as such: deletes of what was in it
   * do not say that nothing else is.
   * @throws VarveError PATH_CONFLICT where this writer itself has a file and a directory
   */
  #place(path: Path, item: Item): void {
    const parts = path.split('/')
    const name = parts.pop() as string
    let dir = this.#root
    for (const part of parts) {
      const inner = enter(dir, part)
      if (!inner) {
        // Below a file there is nothing to delete.
        if (item.kind === GONE) return
        throw conflict(path)
      }
      dir = inner
    }
    const result = stack(dir.children.get(name), item)
    if (result === CLASH) throw conflict(path)
    dir.children.set(name, result)
  }

  async #stored(path: Path, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<Item> {
    const tiny = content instanceof Uint8Array && content.length <= INLINE_BYTES
    if (tiny || this.#base === null) return storeContent(this.#sink, content)
    const before = await find(this.#store, this.#base, path)
    if (!before?.isFile) return storeContent(this.#sink, content)
    const known = new Map<string, Place>()
    await addKnown(this.#store, before, known)
    const item = await storeContent(this.#sink, content, known)
    return item.kind === LIST && before.kind === LIST && item.id === before.id ? before : item
  }
}

function conflict(path: Path): VarveError {
  return new VarveError(
    'PATH_CONFLICT',
    `cannot write "${path}": it is a file here and a directory there`,
    { details: { paths: [path] } },
  )
}
