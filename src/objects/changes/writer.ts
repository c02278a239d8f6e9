// Collects the writes of one author: content is cut and packed as it comes; names are held in memory, and
// when they are many put aside as a run. `finish` merges the runs into one. What would clash with what was
// put aside is found then, and not where it is written.

import { assert } from '../../base/assert.ts'
import { isVarveError, VarveError } from '../../base/errors.ts'
import type { TreeStats } from '../../model/entities.ts'
import type { Path } from '../../model/path.ts'
import { ROOT } from '../../model/path.ts'
import type { TreeRef } from '../../model/tree-ref.ts'
import { sameTree } from '../../model/tree-ref.ts'
import { storeContent } from '../files/content.ts'
import { joinPieces } from '../files/joining.ts'
import { encodeAttributes } from '../files/attributes.ts'
import type { FileAttributes } from '../files/attributes.ts'
import { CLASH, Draft, enter, Layers, stack } from './draft.ts'
import type { Child, Under } from './draft.ts'
import { fileEntryOf, itemOfEntry, refOf } from '../trees/entries.ts'
import { Merger } from './merge.ts'
import { ID_BYTES } from '../ids.ts'
import {
  APPEND,
  GONE,
  INLINE,
  INLINE_BYTES,
  Item,
  joined,
  splice,
  TOMBSTONE,
} from '../trees/item.ts'
import { Known } from '../files/known.ts'
import type { FileEntry, PatchEdit, TreeEntry, TreeWriter } from '../objects.ts'
import { Sink } from './sink.ts'
import type { PackStore } from '../store.ts'
import { find, rootItem } from '../trees/walk.ts'

/** The first; each is twice the one before, up to SLAB_BYTES: who writes little keeps little. */
const FIRST_SLAB_BYTES = 1024
const SLAB_BYTES = 64 * 1024

/** Puts ids and small contents of many items into one array: one of its own costs ten times an id. */
class Slabs {
  #slab = new Uint8Array(0)
  #used = 0

  compact(item: Item): Item {
    const { kind, sizeBytes, files, src, at, place, rare } = item
    if (!place && kind !== INLINE) return item
    const length = place ? ID_BYTES : sizeBytes
    if (this.#used + length > this.#slab.length) {
      const slabBytes = Math.min(SLAB_BYTES, this.#slab.length * 2 || FIRST_SLAB_BYTES)
      this.#slab = new Uint8Array(slabBytes)
      this.#used = 0
    }
    const from = this.#used
    for (let i = 0; i < length; i++) this.#slab[from + i] = src[at + i] as number
    this.#used += length
    return new Item(kind, sizeBytes, files, this.#slab, from, place, rare)
  }
}

/** Memory of an item and of a name's place in a draft, roughly. */
const ITEM_BYTES = 400

export class PackedTreeWriter implements TreeWriter {
  readonly #store: PackStore
  readonly #base: TreeRef | null
  readonly #sink: Sink
  /** What was found stored before may have gone when it is another. */
  readonly #round: number
  readonly #limitBytes: number
  #under: Under = 'base'
  /** Put aside, the first lowest; then comes the draft. */
  #runs: Item[] = []
  #draft = new Draft()
  #draftBytes = 0
  readonly #ids = new Slabs()
  /** Found when something was put aside. */
  readonly #clashes: string[] = []
  /** Writes that are under way. */
  #writing = 0
  #putting: Promise<void> | undefined
  #ended = false

  /** `limitBytes`: of names and items, roughly, that are held in memory. */
  constructor(store: PackStore, base: TreeRef | null, limitBytes: number) {
    this.#store = store
    this.#base = base
    this.#limitBytes = limitBytes
    this.#sink = new Sink(store)
    this.#round = store.condemned.round
  }

  async put(
    path: Path,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    attributes: FileAttributes = {},
  ): Promise<FileEntry> {
    this.#open(path)
    const kept = encodeAttributes(attributes)
    // What is at hand is not waited for: of very many small files that is what they cost.
    return await this.#write(async () => {
      const stored = this.#stored(path, content)
      const item = (stored instanceof Item ? stored : await stored).withAttributes(kept)
      if (!this.#fits(path, item)) await this.#fitLater(path, item)
      return fileEntryOf(this.#store.ids, path, item)
    })
  }

  async patch(path: Path, edits: readonly PatchEdit[]): Promise<void> {
    this.#open(path)
    const before = this.#touched(path) ? undefined : await find(this.#store, this.#base, path)
    checkEdits(path, edits, before?.isFile ? before.sizeBytes : Infinity)
    const spans = edits.map(({ offset, deleteBytes }) => ({ offset, deleteBytes }))
    await this.#write(async () => {
      const parts: Item[] = []
      for (const { content } of edits) parts.push(await storeContent(this.#sink, content))
      if (edits.length > 0) await this.#place(path, joined(APPEND, [splice(parts, spans)], false))
    })
  }

  async assemble(
    path: Path,
    entries: readonly FileEntry[],
    attributes: FileAttributes = {},
  ): Promise<FileEntry> {
    this.#open(path)
    const kept = encodeAttributes(attributes)
    const pieces = entries.map((entry) => {
      const file = itemOfEntry(entry).withAttributes(undefined)
      return { file, from: 0, to: file.sizeBytes }
    })
    return this.#write(async () => {
      const item = (await joinPieces(this.#store, this.#sink, pieces)).withAttributes(kept)
      await this.#place(path, item)
      return fileEntryOf(this.#store.ids, path, item)
    })
  }

  async append(path: Path, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    this.#open(path)
    await this.#write(async () => {
      const item = await storeContent(this.#sink, content)
      await this.#place(path, joined(APPEND, [item], false))
    })
  }

  async copy(path: Path, entry: TreeEntry): Promise<void> {
    this.#open()
    const item = itemOfEntry(entry)
    if (path === ROOT) {
      if (!item.isDir) throw conflict(path)
      await this.#write(() => this.#startAnew(item))
    } else {
      await this.#write(() => this.#place(path, item.isDir ? item.replacing(true) : item))
    }
  }

  async delete(path: Path): Promise<void> {
    this.#open()
    await this.#write(() => (path === ROOT ? this.#startAnew(null) : this.#place(path, TOMBSTONE)))
  }

  async finish(): Promise<TreeRef> {
    this.#end()
    return this.#closing(async () => {
      await this.#putting
      await this.#sink.settle()
      const merger = new Merger(this.#store, this.#sink, undefined, this.#clashes)
      const run = await merger.run(this.#layers())
      merger.check()
      await this.#sink.close()
      return this.#born(run)
    })
  }

  async finishOnto(
    base: TreeRef | null,
  ): Promise<{ run: TreeRef; root: TreeRef; stats: TreeStats }> {
    this.#end()
    return this.#closing(async () => {
      await this.#putting
      await this.#sink.settle()
      const seen = this.#base
      const since = sameTree(seen, base)
        ? undefined
        : (path: string) => find(this.#store, seen, path)
      const merger = new Merger(this.#store, this.#sink, since, this.#clashes)
      const run = await merger.run(this.#layers())
      // What stands on the base is merged as the run it has become, which is read again where it must be.
      const layers = this.#under === 'base' ? new Layers('base', run ? [run] : []) : this.#layers()
      const item = await merger.root(await rootItem(this.#store, base), layers)
      merger.check()
      await this.#sink.close()
      return {
        run: this.#born(run),
        root: this.#born(item),
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

  #born(item: Item | undefined): TreeRef {
    const ref = item ? refOf(item) : this.#store.emptyRef
    this.#store.condemned.born.set(ref, this.#sink.load)
    return ref
  }

  #end(): void {
    this.#open()
    this.#ended = true
  }

  /** One write, and then, if many names are held and no other is under way, those are put aside. */
  async #write<T>(work: () => T | Promise<T>): Promise<T> {
    // Who fails here has lost names: every write after it fails as well.
    if (this.#putting) await this.#putting
    this.#writing++
    let result: T
    try {
      result = await work()
    } finally {
      this.#writing--
    }
    if (this.#draftBytes > this.#limitBytes && this.#writing === 0 && !this.#putting)
      await this.#putAside()
    return result
  }

  async #putAside(): Promise<void> {
    const draft = this.#draft
    this.#draft = new Draft()
    this.#draftBytes = 0
    const putting = async (): Promise<void> => {
      await this.#sink.settle()
      const merger = new Merger(this.#store, this.#sink, undefined, this.#clashes)
      const run = await merger.run(new Layers('base', [draft]))
      if (run) this.#runs.push(run)
    }
    this.#putting = putting()
    await this.#putting
    this.#putting = undefined
  }

  #layers(): Layers {
    return new Layers(this.#under, [...this.#runs, this.#draft])
  }

  /** On a whole tree, or on nothing, whatever was written before. */
  #startAnew(under: Item | null): void {
    this.#under = under
    this.#runs = []
    this.#clashes.length = 0
    this.#draft = new Draft()
    this.#draftBytes = 0
  }

  async #closing<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      this.#sink.abandon()
      throw await this.#whyLost(error)
    }
  }

  /** What is missing here may have been collected since this writer found that it was stored. */
  async #whyLost(error: unknown): Promise<unknown> {
    if (!isVarveError(error, 'CORRUPT')) return error
    const { condemned } = this.#store
    await condemned.load()
    if (condemned.round === this.#round) return error
    return new VarveError(
      'SESSION_CLOSED',
      'cannot put together what was written: what it was built on was collected meanwhile',
      { cause: error },
    )
  }

  /** @throws VarveError PATH_CONFLICT where this writer itself has a file and a directory */
  async #place(path: Path, item: Item): Promise<void> {
    if (!this.#fits(path, item)) await this.#fitLater(path, item)
  }

  /** @throws VarveError PATH_CONFLICT */
  async #fitLater(path: Path, item: Item): Promise<void> {
    // With what was put aside it may be none, as where only deletes stand against a file: the merge will see.
    if (this.#runs.length === 0 || this.#writing > 1) throw conflict(path)
    await this.#putAside()
    assert(this.#fits(path, item), 'an empty draft has no conflicts')
  }

  /**
   * A file takes the place of a directory only if that was deleted as such: deletes of what was in it
   * do not say that nothing else is.
   */
  #fits(path: Path, item: Item): boolean {
    const parts = path.split('/')
    const name = parts.pop() as string
    let dir = this.#draft
    for (const part of parts) {
      const inner = enter(dir, part)
      // Below a file there is nothing to delete.
      if (!inner) return item.kind === GONE
      dir = inner
    }
    const result = stack(dir.children.get(name), this.#ids.compact(item))
    if (result === CLASH) return false
    dir.children.set(name, result)
    this.#draftBytes += ITEM_BYTES + path.length + item.sizeBytes * (item.kind === INLINE ? 1 : 0)
    return true
  }

  #stored(path: Path, content: Uint8Array | AsyncIterable<Uint8Array>): Item | Promise<Item> {
    const tiny = content instanceof Uint8Array && content.length <= INLINE_BYTES
    if (tiny || this.#base === null) return storeContent(this.#sink, content)
    return this.#storedAgain(path, content)
  }

  /** Of what the file in the base has, chunks need not be stored. */
  async #storedAgain(path: Path, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<Item> {
    const before = await find(this.#store, this.#base, path)
    if (!before?.isFile) return storeContent(this.#sink, content)
    const known = new Known()
    await known.addFile(this.#store, before)
    return storeContent(this.#sink, content, known)
  }

  /** Whether something stands at the path, or above it, that this writer wrote, or may. */
  #touched(path: Path): boolean {
    if (this.#under !== 'base' || this.#runs.length > 0) return true
    let child: Child | undefined = this.#draft
    for (const part of path.split('/')) {
      if (!(child instanceof Draft)) break
      if (child.under !== 'base') return true
      child = child.children.get(part)
    }
    return child !== undefined
  }
}

/** @throws VarveError INVALID_OPTION */
function checkEdits(path: Path, edits: readonly PatchEdit[], sizeBytes: number): void {
  let at = 0
  for (const { offset, deleteBytes } of edits) {
    const end = offset + deleteBytes
    if (Number.isSafeInteger(end) && offset >= at && deleteBytes >= 0 && end <= sizeBytes) at = end
    else
      throw new VarveError(
        'INVALID_OPTION',
        `cannot patch "${path}" at ${offset}, ${deleteBytes} bytes: edits must be in order, apart, and within its ${sizeBytes} bytes`,
      )
  }
}

function conflict(path: Path): VarveError {
  return new VarveError(
    'PATH_CONFLICT',
    `cannot write "${path}": it is a file here and a directory there`,
    { details: { paths: [path] } },
  )
}
