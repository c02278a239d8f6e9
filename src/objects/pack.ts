// Writing packs: immutable objects of frames, each put once under a name never used before.
//
// - Frames are laid in the order they were added. A frame's place (pack, offset, length) is known once
//   it is laid: after `settle`, for everything added before. All chunks of a frame share one Place.
// - Nothing in a pack may be referred to by anybody else before `close` has returned.
// - Memory: the pack being filled, two that are being put or wait for it, and PENDING_BYTES of frames
//   being compressed, as long as callers await `room` while `busy`.

import { assert } from '../base/assert.ts'
import { concat, toHex, utf8 } from '../base/bytes.ts'
import type { Random } from '../base/random.ts'
import type { BlobObject, BlobStore } from '../blob/blob.ts'
import { frameHead, RAW, ZSTD } from './frame.ts'
import type { Compute } from './guests.ts'
import { Probe } from './probe.ts'

const MAX_PACK_BYTES = 32 * 1024 * 1024
/** A pack that grows past this is taken for one that will be full. */
const GROWING_BYTES = 4 * 1024 * 1024
const MAGIC = utf8('varvepk1')
/** Chunks below this share a frame, which is closed when it holds this much. */
const SHARED_FRAME_BYTES = 64 * 1024
export const SMALL_CHUNK_BYTES: number = 32 * 1024
/** Below this a frame costs a disk block anyway: not worth a compressor's wake-up. */
const COMPRESS_FROM_BYTES = 4 * 1024
const PENDING_BYTES = 4 * 1024 * 1024

/** Where a frame lies; offset −1 until it is laid. */
export interface Place {
  pack: string
  offset: number
  length: number
}

export function packKey(pack: string): string {
  return `packs/${pack}`
}

export interface PackGuests {
  readonly blob: BlobStore
  readonly random: Random
  readonly compute: Compute | undefined
  /** Packs not yet durable, so that their writer can read what it wrote. */
  readonly open: Map<string, () => Uint8Array>
  /** Is told of each pack that has become durable. Its bytes lie in a larger buffer: who keeps them copies them. */
  readonly written?: (pack: string, bytes: Uint8Array) => void
}

interface Pending {
  readonly place: Place
  readonly sizeBytes: number
  /** Set when it is ready to be laid. */
  encoded: readonly [head: Uint8Array, body: Uint8Array] | undefined
}

export class PackWriter {
  readonly #guests: PackGuests
  readonly #probe = new Probe()
  readonly #pending: Pending[] = []
  readonly #sealed: BlobObject[] = []
  #pendingBytes = 0
  #shared: { ids: Uint8Array[]; parts: Uint8Array[]; sizeBytes: number; place: Place } | undefined
  #name = ''
  #buffer: Uint8Array = new Uint8Array(0)
  #used = 0
  #putting: Promise<void> | undefined
  #wake: (() => void)[] = []
  #failure: { readonly error: unknown } | undefined
  #ended = false

  constructor(guests: PackGuests) {
    this.#guests = guests
  }

  /** Stores a chunk; its bytes are copied. */
  addChunk(id: Uint8Array, bytes: Uint8Array): Place {
    assert(!this.#ended, 'a pack that has ended takes no more')
    if (bytes.length >= SMALL_CHUNK_BYTES) {
      const place = unlaid()
      this.#addFrame([id], [new Uint8Array(bytes)], place)
      return place
    }
    this.#shared ??= { ids: [], parts: [], sizeBytes: 0, place: unlaid() }
    const { ids, parts, place } = this.#shared
    ids.push(id)
    parts.push(new Uint8Array(bytes))
    this.#shared.sizeBytes += bytes.length
    if (this.#shared.sizeBytes >= SHARED_FRAME_BYTES) this.#closeShared()
    return place
  }

  /**
   * Stores a node, copied and raw: it is mostly ids, of which compression saves a twelfth. Call `settle` first,
   * so that every place the node names is known; the place of the node itself is known on return.
   */
  addNode(id: Uint8Array, bytes: Uint8Array, place = unlaid()): Place {
    assert(!this.#ended, 'a pack that has ended takes no more')
    assert(this.#pending.length === 0 && !this.#shared, 'chunks are laid before nodes')
    this.#lay(place, frameHead(RAW, [id], [bytes]), bytes)
    return place
  }

  /** Whether the caller should await `room` before it adds more. */
  get busy(): boolean {
    return this.#failure !== undefined || this.#pendingBytes > PENDING_BYTES || this.#backlog()
  }

  async room(): Promise<void> {
    while (this.busy) {
      if (this.#failure) throw this.#failure.error
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
  }

  /** All frames added so far are laid: their places are known and this writer can read them. */
  async settle(): Promise<void> {
    this.#closeShared()
    while (this.#pending.length > 0 && !this.#failure)
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    if (this.#failure) throw this.#failure.error
  }

  /** Everything durable; without content nothing is put. */
  async close(): Promise<void> {
    await this.settle()
    this.#ended = true
    this.#seal()
    while (this.#putting && !this.#failure) await this.#putting
    const failure = this.#failure
    this.abandon()
    if (failure) throw failure.error
  }

  abandon(): void {
    this.#ended = true
    this.#guests.open.delete(this.#name)
    for (const { key } of this.#sealed) this.#guests.open.delete(key.slice(-32))
    this.#buffer = new Uint8Array(0)
    this.#pending.length = 0
    this.#pendingBytes = 0
    this.#sealed.length = 0
    this.#ring()
  }

  #closeShared(): void {
    const shared = this.#shared
    this.#shared = undefined
    if (shared) this.#addFrame(shared.ids, shared.parts, shared.place)
  }

  #addFrame(ids: Uint8Array[], parts: Uint8Array[], place: Place): void {
    const body = concat(parts)
    const raw = [frameHead(RAW, ids, parts), body] as const
    const { compute } = this.#guests
    const worth = compute && body.length >= COMPRESS_FROM_BYTES && this.#probe.worthTrying()
    if (!worth) {
      if (this.#pending.length === 0) return this.#lay(place, ...raw)
      this.#pendingBytes += body.length
      this.#pending.push({ place, sizeBytes: body.length, encoded: raw })
      return
    }
    const pending: Pending = { place, sizeBytes: body.length, encoded: undefined }
    this.#pendingBytes += body.length
    this.#pending.push(pending)
    compute.compress(body).then(
      (small) => {
        const pays = this.#probe.learn(body.length, small.length)
        pending.encoded = pays ? [frameHead(ZSTD, ids, parts), small] : raw
        this.#layReady()
      },
      (error: unknown) => this.#fail(error),
    )
  }

  #layReady(): void {
    for (;;) {
      const first = this.#pending[0]
      if (!first?.encoded || this.#ended) break
      this.#pending.shift()
      this.#pendingBytes -= first.sizeBytes
      this.#lay(first.place, ...first.encoded)
    }
    this.#ring()
  }

  #lay(place: Place, head: Uint8Array, body: Uint8Array): void {
    const length = head.length + body.length
    if (this.#used > MAGIC.length && this.#used + length > MAX_PACK_BYTES) this.#seal()
    if (this.#used === 0) {
      this.#name = toHex(this.#guests.random.bytes(16))
      this.#guests.open.set(this.#name, () => this.#buffer.subarray(0, this.#used))
      this.#append(MAGIC)
    }
    place.pack = this.#name
    place.offset = this.#used
    place.length = length
    this.#append(head)
    this.#append(body)
  }

  #append(bytes: Uint8Array): void {
    const needed = this.#used + bytes.length
    if (needed > this.#buffer.length) {
      const doubled = needed > GROWING_BYTES ? MAX_PACK_BYTES : this.#buffer.length * 2
      const grown = new Uint8Array(Math.max(4096, doubled, needed))
      grown.set(this.#buffer.subarray(0, this.#used))
      this.#buffer = grown
    }
    this.#buffer.set(bytes, this.#used)
    this.#used = needed
  }

  #seal(): void {
    if (this.#used === 0) return
    const bytes = this.#buffer.subarray(0, this.#used)
    this.#guests.open.set(this.#name, () => bytes)
    this.#sealed.push({ key: packKey(this.#name), bytes })
    this.#buffer = new Uint8Array(0)
    this.#used = 0
    this.#putNext()
  }

  /** One put at a time; what was sealed meanwhile goes together behind one barrier. */
  #putNext(): void {
    if (this.#putting || this.#sealed.length === 0) return
    const objects = [...this.#sealed]
    this.#putting = this.#guests.blob
      .put(objects)
      .then(
        () => {
          this.#sealed.splice(0, objects.length)
          for (const { key, bytes } of objects) {
            this.#guests.open.delete(key.slice(-32))
            this.#guests.written?.(key.slice(-32), bytes)
          }
        },
        (error: unknown) => this.#fail(error),
      )
      .then(() => {
        this.#putting = undefined
        if (!this.#failure) this.#putNext()
        this.#ring()
      })
  }

  #backlog(): boolean {
    return this.#sealed.length > 1
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#ring()
  }

  #ring(): void {
    const waiting = this.#wake
    this.#wake = []
    for (const wake of waiting) wake()
  }
}

/** A place to be filled in when its frame is laid. */
export function unlaid(): Place {
  return { pack: '', offset: -1, length: 0 }
}
