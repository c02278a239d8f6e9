// Files made of stretches of stored ones. Where a stretch begins with a chunk, and the chunker stands at a cut,
// the chunks that lie there are the chunks that would be cut again: nothing of them is read.

import { must } from '../../base/assert.ts'
import { concat } from '../../base/bytes.ts'
import type { ReadLists } from './chunk-list.ts'
import { WHOLE_FILE_BYTES } from './chunker.ts'
import { ContentWriter, readContent, storeContent } from './content.ts'
import { inlineItem, LIST } from '../trees/item.ts'
import type { Item } from '../trees/item.ts'
import { Known } from './known.ts'
import type { ListNode } from './list-node.ts'
import { isListInner } from './list-node.ts'
import type { Sink } from '../changes/sink.ts'
import type { PackStore } from '../store.ts'

/** The bytes [from, to) of a stored file. */
export interface Piece {
  readonly file: Item
  readonly from: number
  readonly to: number
}

/**
 * The pieces one after another, in the form that the whole would have had if it had come in one piece. Of
 * each piece chunks are read from its beginning to the first cut that is an old one too; from there on
 * they, and whole nodes of them, are taken as they lie. Their places must be known.
 */
export async function joinPieces(
  store: PackStore,
  sink: Sink,
  pieces: readonly Piece[],
): Promise<Item> {
  const full = pieces.filter(({ from, to }) => to > from)
  const [only] = full
  if (!only) return inlineItem(new Uint8Array(0))
  if (full.length === 1 && only.from === 0 && only.to === only.file.sizeBytes)
    return only.file.replacing(false)
  const sizeBytes = full.reduce((sum, { from, to }) => sum + to - from, 0)
  if (sizeBytes <= WHOLE_FILE_BYTES) {
    const all: Uint8Array[] = []
    for (const { file, from, to } of full)
      for await (const bytes of readContent(store, file, { offset: from, length: to - from }))
        all.push(bytes)
    return storeContent(sink, concat(all))
  }
  const known = new Known()
  const writer = new ContentWriter(sink, known)
  for (const piece of full)
    await new Taking(store, writer, known, piece, piece === full.at(-1)).run()
  return writer.end()
}

/** The pieces' way into a writer. */
class Taking {
  readonly #store: PackStore
  readonly #lists: ReadLists
  readonly #writer: ContentWriter
  readonly #known: Known
  readonly #piece: Piece
  readonly #isLast: boolean

  constructor(
    store: PackStore,
    writer: ContentWriter,
    known: Known,
    piece: Piece,
    isLast: boolean,
  ) {
    this.#store = store
    this.#lists = known.reading(store)
    this.#writer = writer
    this.#known = known
    this.#piece = piece
    this.#isLast = isLast
  }

  async run(): Promise<void> {
    const { file, from, to } = this.#piece
    if (file.kind === LIST) return this.#node(await this.#lists.listNode(file), 0, true)
    for await (const bytes of readContent(this.#store, file, { offset: from, length: to - from }))
      await this.#writer.push(bytes)
    await this.#writer.cutClosed()
  }

  /** `ends`: it ends where the file ends, which was no cut. */
  async #node(node: ListNode, start: number, ends: boolean): Promise<void> {
    const { from, to } = this.#piece
    const { list } = this.#writer
    const below = isListInner(node) ? node.branches.map(({ item }) => item) : node.chunks
    let at = start
    for (const [i, item] of below.entries()) {
      const end = at + item.sizeBytes
      const last = ends && i === below.length - 1
      if (end > from && at < to) {
        const stands = this.#writer.isCut && at >= from && end <= to
        const branch = isListInner(node) ? must(node.branches[i], 'branch') : undefined
        if (!branch && stands && (!last || this.#isLast)) {
          list.add(item)
          this.#known.addChunk(item)
        } else if (!branch) await this.#cutAgain(item, at)
        else if (stands && !last && list.isCut(branch.level)) list.keep(branch)
        else await this.#node(await this.#lists.listNode(item), at, last)
      }
      at = end
    }
  }

  async #cutAgain(chunk: Item, start: number): Promise<void> {
    const { from, to } = this.#piece
    this.#known.addChunk(chunk)
    const bytes = await this.#store.chunk(chunk)
    await this.#writer.push(bytes.subarray(Math.max(from - start, 0), to - start))
    await this.#writer.cutClosed()
  }
}
