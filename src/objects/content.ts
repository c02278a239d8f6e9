// The content of a file on its way in and out. Every content has exactly one form:
// to 512 bytes inline; to 64 KiB, or when the chunker finds no cut, one chunk; else a list of chunks.

import { cutSize, MAX_CHUNK_BYTES, WHOLE_FILE_BYTES } from './chunker.ts'
import { CHUNK, idItem, INLINE, INLINE_BYTES, inlineItem, LIST } from './node.ts'
import type { Item } from './node.ts'
import type { Known, Sink } from './sink.ts'
import type { PackStore } from './store.ts'

const WINDOW_BYTES = 4 * MAX_CHUNK_BYTES

/** Cuts and stores one file as it comes; holds at most the window. */
class ContentWriter {
  readonly #sink: Sink
  readonly #known: Known | undefined
  readonly #chunks: Item[]
  #sizeBytes = 0
  #window = new Uint8Array(0)
  #start = 0
  #end = 0

  /** `before`: chunks the file begins with, up to a cut. */
  constructor(sink: Sink, known: Known | undefined, before: readonly Item[] = []) {
    this.#sink = sink
    this.#known = known
    this.#chunks = [...before]
    for (const chunk of before) this.#sizeBytes += chunk.sizeBytes
  }

  async push(bytes: Uint8Array): Promise<void> {
    this.#sizeBytes += bytes.length
    let at = 0
    while (at < bytes.length) {
      if (this.#start === this.#end)
        for (; bytes.length - at >= MAX_CHUNK_BYTES; await this.#room())
          at += this.#cut(bytes, at, bytes.length)
      at += this.#fill(bytes, at)
      for (; this.#end - this.#start >= MAX_CHUNK_BYTES; await this.#room())
        this.#start += this.#cut(this.#window, this.#start, this.#end)
    }
  }

  async end(): Promise<Item> {
    const rest = this.#window.subarray(this.#start, this.#end)
    const whole = this.#chunks.length === 0
    if (whole && rest.length <= INLINE_BYTES) return inlineItem(new Uint8Array(rest))
    if (whole && rest.length <= WHOLE_FILE_BYTES) this.#add(rest)
    else for (let at = 0; at < rest.length;) at += this.#cut(rest, at, rest.length)
    await this.#room()
    const [only] = this.#chunks
    return only && this.#chunks.length === 1 ? only : this.#sink.list(this.#chunks, this.#sizeBytes)
  }

  async #room(): Promise<void> {
    if (this.#sink.busy) await this.#sink.room()
  }

  #cut(bytes: Uint8Array, start: number, end: number): number {
    const size = cutSize(bytes, start, end)
    this.#add(bytes.subarray(start, start + size))
    return size
  }

  #add(bytes: Uint8Array): void {
    const { id, place } = this.#sink.chunk(bytes, this.#known)
    this.#chunks.push(idItem(CHUNK, id, place, { sizeBytes: bytes.length }))
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

export async function storeContent(
  sink: Sink,
  content: Uint8Array | AsyncIterable<Uint8Array>,
  known?: Known,
): Promise<Item> {
  if (content instanceof Uint8Array && content.length <= WHOLE_FILE_BYTES) {
    if (content.length <= INLINE_BYTES) return inlineItem(new Uint8Array(content))
    const { id, place } = sink.chunk(content, known)
    if (sink.busy) await sink.room()
    return idItem(CHUNK, id, place, { sizeBytes: content.length })
  }
  const writer = new ContentWriter(sink, known)
  if (content instanceof Uint8Array) await writer.push(content)
  else for await (const bytes of content) await writer.push(bytes)
  return writer.end()
}

/**
 * The parts one after another, in the form that the whole would have had if it had come in one piece.
 * Only what lies behind the first part's last cut is read; chunks met again are not stored again.
 */
export async function joinContent(
  store: PackStore,
  sink: Sink,
  parts: readonly Item[],
): Promise<Item> {
  const full = parts.filter((part) => part.sizeBytes > 0)
  const [first, ...others] = full
  if (!first) return inlineItem(new Uint8Array(0))
  if (others.length === 0) return first.replacing(false)
  const known = new Map<string, NonNullable<Item['place']>>()
  for (const part of full) await addKnown(store, part, known)
  const cut = first.kind === LIST ? await store.list(first) : []
  const writer = new ContentWriter(sink, known, cut.slice(0, -1))
  const seam = cut.at(-1) ?? first
  for (const part of [seam, ...others])
    for await (const bytes of readContent(store, part)) await writer.push(bytes)
  return writer.end()
}

/** Adds where the chunks of a file lie. */
export async function addKnown(
  store: PackStore,
  item: Item,
  known: Map<string, NonNullable<Item['place']>>,
): Promise<void> {
  if (item.kind === CHUNK && item.place) known.set(item.id, item.place)
  if (item.kind === LIST)
    for (const chunk of await store.list(item)) if (chunk.place) known.set(chunk.id, chunk.place)
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
  const wanted: Item[] = []
  let start = 0
  let skipped = 0
  for (const chunk of await store.list(item)) {
    const end = start + chunk.sizeBytes
    if (end <= from) skipped = end
    else if (start < to) wanted.push(chunk)
    start = end
  }
  let at = skipped
  for await (const bytes of store.chunks(wanted)) {
    const head = Math.max(from - at, 0)
    const tail = Math.min(to - at, bytes.length)
    at += bytes.length
    yield head === 0 && tail === bytes.length ? bytes : bytes.subarray(head, tail)
  }
}
