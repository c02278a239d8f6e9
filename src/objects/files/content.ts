// The content of a file on its way in and out. Every content has exactly one form:
// to 512 bytes inline; to 64 KiB, or when the chunker finds no cut, one chunk; else a list of chunks.

import { chunksBetween, ListBuilder } from './chunk-list.ts'
import { closedSize, cutSize, MAX_CHUNK_BYTES, WHOLE_FILE_BYTES } from './chunker.ts'
import { CutAhead } from './cut-ahead.ts'
import type { Known } from './known.ts'
import { CHUNK, idItem, INLINE, INLINE_BYTES, inlineItem } from '../trees/item.ts'
import type { Item } from '../trees/item.ts'
import type { Sink } from '../changes/sink.ts'
import type { PackStore } from '../store.ts'

const WINDOW_BYTES = 4 * MAX_CHUNK_BYTES
/** A content of which so much has come is taken for a long one. */
const AHEAD_FROM_BYTES = 1024 * 1024

/** Cuts and stores one file as it comes; holds at most the window. */
export class ContentWriter {
  /** Of what was cut. */
  readonly list: ListBuilder
  readonly #sink: Sink
  readonly #known: Known | undefined
  #window = new Uint8Array(0)
  #start = 0
  #end = 0

  constructor(sink: Sink, known: Known | undefined) {
    this.#sink = sink
    this.#known = known
    this.list = new ListBuilder({
      listNode: (list) => sink.listNode(list),
      saveList: (node, sizeBytes) => sink.saveList(node, sizeBytes, known),
    })
  }

  /** Whether a chunk begins with what comes next. */
  get isCut(): boolean {
    return this.#start === this.#end
  }

  async push(bytes: Uint8Array): Promise<void> {
    let at = 0
    while (at < bytes.length) {
      if (this.isCut)
        for (; bytes.length - at >= MAX_CHUNK_BYTES; await this.room())
          at += this.#cut(bytes, at, bytes.length)
      at += this.#fill(bytes, at)
      for (; this.#end - this.#start >= MAX_CHUNK_BYTES; await this.room())
        this.#start += this.#cut(this.#window, this.#start, this.#end)
    }
  }

  /** Cuts all that need not wait for what comes next. */
  async cutClosed(): Promise<void> {
    for (;;) {
      const size = closedSize(this.#window, this.#start, this.#end)
      if (size === 0) return
      this.add(this.#window.subarray(this.#start, this.#start + size))
      this.#start += size
      await this.room()
    }
  }

  async end(): Promise<Item> {
    const rest = this.#window.subarray(this.#start, this.#end)
    const whole = this.list.isEmpty
    if (whole && rest.length <= INLINE_BYTES) return inlineItem(new Uint8Array(rest))
    if (whole && rest.length <= WHOLE_FILE_BYTES) this.add(rest)
    else for (let at = 0; at < rest.length;) at += this.#cut(rest, at, rest.length)
    await this.room()
    return this.list.only ?? this.list.end()
  }

  get isBusy(): boolean {
    return this.#sink.busy
  }

  async room(): Promise<void> {
    if (this.#sink.busy) await this.#sink.room()
  }

  /** What was pushed and not cut, which is the caller's from now on. */
  takeRest(): Uint8Array {
    const rest = this.#window.slice(this.#start, this.#end)
    this.#end = this.#start
    return rest
  }

  /** The chunk that comes next, cut by somebody else. */
  add(bytes: Uint8Array, hash?: Uint8Array): void {
    const { id, place } = this.#sink.chunk(bytes, this.#known, hash)
    this.list.add(idItem(CHUNK, id, place, { sizeBytes: bytes.length }))
  }

  #cut(bytes: Uint8Array, start: number, end: number): number {
    const size = cutSize(bytes, start, end)
    this.add(bytes.subarray(start, start + size))
    return size
  }

  /** Takes what fits into the window. */
  #fill(bytes: Uint8Array, at: number): number {
    const held = this.#end - this.#start
    const take = Math.min(bytes.length - at, WINDOW_BYTES - held)
    if (this.#end + take > this.#window.length) {
      const room = Math.max(held + take, Math.min(WINDOW_BYTES, this.#window.length * 2), 4096)
      const next = room > this.#window.length ? new Uint8Array(room) : this.#window
      if (next === this.#window) next.copyWithin(0, this.#start, this.#end)
      else next.set(this.#window.subarray(this.#start, this.#end))
      this.#window = next
      this.#start = 0
      this.#end = held
    }
    this.#window.set(bytes.subarray(at, at + take), this.#end)
    this.#end += take
    return take
  }
}

/** At once where that can be: of very many small files a promise costs more than the storing. */
export function storeContent(
  sink: Sink,
  content: Uint8Array | AsyncIterable<Uint8Array>,
  known?: Known,
): Item | Promise<Item> {
  if (!(content instanceof Uint8Array) || content.length > WHOLE_FILE_BYTES)
    return storeLong(sink, content, known)
  if (content.length <= INLINE_BYTES) return inlineItem(new Uint8Array(content))
  const { id, place } = sink.chunk(content, known)
  const item = idItem(CHUNK, id, place, { sizeBytes: content.length })
  return sink.busy ? sink.room().then(() => item) : item
}

async function storeLong(
  sink: Sink,
  content: Uint8Array | AsyncIterable<Uint8Array>,
  known?: Known,
): Promise<Item> {
  const writer = new ContentWriter(sink, known)
  if (content instanceof Uint8Array) await writer.push(content)
  else await pushAll(sink, writer, content)
  return writer.end()
}

/** What is long is cut on another thread from some point on. */
async function pushAll(
  { cutting }: Sink,
  writer: ContentWriter,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  const take = (chunk: Uint8Array, hash: Uint8Array): Promise<void> | undefined => {
    writer.add(chunk, hash)
    return writer.isBusy ? writer.room() : undefined
  }
  let ahead: CutAhead | undefined
  try {
    for await (const bytes of content) {
      if (!ahead && cutting && writer.list.sizeBytes >= AHEAD_FROM_BYTES) {
        ahead = CutAhead.begin(cutting, take)
        await ahead?.push(writer.takeRest())
      }
      await (ahead ?? writer).push(bytes)
    }
    await ahead?.end()
  } finally {
    ahead?.free()
  }
}

/** The bytes of a file, or of a part of it; a range beyond the end is cut short. */
export async function* readContent(
  store: PackStore,
  item: Item,
  range: { offset: number; length?: number } = { offset: 0 },
): AsyncGenerator<Uint8Array> {
  const from = Math.min(range.offset, item.sizeBytes)
  const to = Math.min(from + (range.length ?? Infinity), item.sizeBytes)
  if (from >= to) return
  if (item.kind === INLINE) {
    yield item.src.slice(item.at + from, item.at + to)
    return
  }
  if (item.kind === CHUNK) {
    yield (await store.chunk(item)).subarray(from, to)
    return
  }
  for await (const { chunks, offset } of chunksBetween(store, item, from, to)) {
    let at = offset
    for await (const bytes of store.chunks(chunks)) {
      const head = Math.max(from - at, 0)
      const tail = Math.min(to - at, bytes.length)
      at += bytes.length
      yield head === 0 && tail === bytes.length ? bytes : bytes.subarray(head, tail)
    }
  }
}
