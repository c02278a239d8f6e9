// Writing packs: immutable objects of frames, each put once under a name never used before.
//
// - Frames are laid in the order they were added. A frame's place (pack, offset, length) is known once
//   it is laid: after `settle`, for everything added before. All chunks of a frame share one Place.
// - Nothing in a pack may be referred to by anybody else before `close` has returned.
// - A pack ends with its table of frames and a checksum (pack-footer.ts).
// - Memory: the pack being filled, PARALLEL_PUTS more, and PENDING_BYTES of frames being compressed,
//   as long as callers await `room` while `busy`. All writers share whole buffers (pack-buffers.ts): where
//   none is to be had a pack is sealed when it has grown to GROWING_BYTES.
// - A byte that is not compressed is copied once, from where the caller has it into the pack.

import { assert } from '../../base/assert.ts'
import { EMPTY, toHex } from '../../base/bytes.ts'
import type { Random } from '../../base/random.ts'
import type { BlobStore } from '../../blob/blob.ts'
import { frameHead, RAW, readHead, ZSTD } from './frame.ts'
import type { Compute } from '../guests.ts'
import type { Ids } from '../ids.ts'
import type { PackBuffers } from './pack-buffers.ts'
import { MAX_PACK_BYTES, SMALL_PACK_BYTES } from './pack-buffers.ts'
import { PACK_MAGIC, PackFooter, packKey } from './pack-footer.ts'
import { Probe } from './probe.ts'

/** A pack that grows past this is taken for one that will be full. */
const GROWING_BYTES = 4 * 1024 * 1024
/** Chunks below this share a frame, which is closed when it holds this much. */
const SHARED_FRAME_BYTES = 64 * 1024
export const SMALL_CHUNK_BYTES: number = 32 * 1024
/** Below this a frame costs a disk block anyway: not worth a compressor's wake-up. */
const COMPRESS_FROM_BYTES = 4 * 1024
const PENDING_BYTES = 4 * 1024 * 1024
/** One being synced, one being written: neither the disk nor who fills the next has to wait. */
const PARALLEL_PUTS = 2
/** What a caller may add between two looks at `busy`, chunks being compressed included. */
const HEADROOM_BYTES = PENDING_BYTES + 1024 * 1024

/** Where a frame lies; offset −1 until it is laid. */
export interface Place {
  pack: string
  offset: number
  length: number
}

export interface PackGuests {
  readonly blob: BlobStore
  readonly random: Random
  readonly buffers: PackBuffers
  readonly compute: Compute | undefined
  readonly ids: Ids
  /** Packs not yet durable, so that their writer can read what it wrote. */
  readonly open: Map<string, () => Uint8Array>
  /** Is told of each pack that has become durable. Its bytes lie in a larger buffer: who keeps them copies them. */
  readonly written?: (pack: string, bytes: Uint8Array) => void
}

/** Small chunks that will share a frame; their bytes are in `#sharedBody`. */
interface Shared {
  readonly ids: Uint8Array[]
  readonly sizes: Sized[]
  readonly place: Place
  usedBytes: number
}

interface Sized {
  readonly length: number
}

interface Pending {
  readonly place: Place
  readonly sizeBytes: number
  readonly isNode: boolean
  /** Set when it is ready to be laid; of a node it is asked for then, for then it can say where others lie. */
  encoded: (() => Encoded) | undefined
}

interface Encoded {
  readonly head: Uint8Array
  readonly body: Uint8Array
  /** BLAKE3 of the body, where it is known. */
  readonly hash: Uint8Array | undefined
}

export class PackWriter {
  readonly #guests: PackGuests
  readonly #probe = new Probe()
  readonly #pending: Pending[] = []
  /** Names of packs that are full, or the last, and not durable yet. */
  readonly #sealed = new Set<string>()
  #pendingBytes = 0
  #shared: Shared | undefined
  #sharedBody: Uint8Array | undefined
  #name = ''
  #buffer: Uint8Array = EMPTY
  #used = 0
  /** Whether a pack was full: the next is taken for one that will be. */
  #fillsPacks = false
  #footer = new PackFooter()
  #wake: (() => void)[] = []
  #failure: { readonly error: unknown } | undefined
  #ended = false

  constructor(guests: PackGuests) {
    this.#guests = guests
  }

  /** Stores a chunk; its bytes are copied. `hash` is their BLAKE3, where the caller has it. */
  addChunk(id: Uint8Array, bytes: Uint8Array, hash?: Uint8Array): Place {
    assert(!this.#ended, 'a pack that has ended takes no more')
    if (bytes.length >= SMALL_CHUNK_BYTES) {
      const place = unlaid()
      this.#addFrame([id], [bytes], bytes, place, hash)
      return place
    }
    const shared = (this.#shared ??= {
      ids: [],
      sizes: [],
      place: unlaid(),
      usedBytes: 0,
    })
    shared.ids.push(id)
    shared.sizes.push({ length: bytes.length })
    this.#sharedBody ??= this.#guests.buffers.takeSmall()
    this.#sharedBody.set(bytes, shared.usedBytes)
    shared.usedBytes += bytes.length
    if (shared.usedBytes >= SHARED_FRAME_BYTES) this.#closeShared()
    return shared.place
  }

  /**
   * Stores a node, copied and raw: it is mostly ids, of which compression saves a twelfth. `stored` is asked
   * for when all that was added before is laid, at once if it is laid already.
   */
  addNode(id: Uint8Array, stored: () => Uint8Array, place: Place): void {
    assert(!this.#ended, 'a pack that has ended takes no more')
    this.#closeShared()
    const encoded = (): Encoded => {
      const body = stored()
      return { head: frameHead(RAW, [id], [body]), body, hash: undefined }
    }
    if (this.#pending.length === 0) this.#lay(place, encoded(), true)
    else this.#pending.push({ place, sizeBytes: 0, isNode: true, encoded })
  }

  /** Takes over a whole frame as it lies; copied. */
  addFrame(frame: Uint8Array, isNode: boolean, place: Place): void {
    assert(!this.#ended, 'a pack that has ended takes no more')
    this.#closeShared()
    const { headBytes } = readHead(frame)
    const [head, body] = [frame.subarray(0, headBytes), frame.subarray(headBytes)]
    assert(this.#pending.length === 0, 'who takes over frames makes none')
    this.#lay(place, { head, body, hash: undefined }, isNode)
  }

  /** Whether the caller should await `room` before it adds more. */
  get busy(): boolean {
    return this.#failure !== undefined || this.#pendingBytes > PENDING_BYTES || this.#backlog()
  }

  async room(): Promise<void> {
    while (this.busy) {
      if (this.#failure) throw this.#failure.error
      await this.#change(this.#lacksWhole())
    }
  }

  /** All frames added so far are laid: their places are known and this writer can read them. */
  async settle(): Promise<void> {
    this.#closeShared()
    while (this.#pending.length > 0 && !this.#failure) await this.#change()
    if (this.#failure) throw this.#failure.error
  }

  /** Everything durable; without content nothing is put. */
  async close(): Promise<void> {
    await this.settle()
    this.#ended = true
    this.#seal()
    while (this.#sealed.size > 0 && !this.#failure) await this.#change()
    const failure = this.#failure
    this.abandon()
    if (failure) throw failure.error
  }

  abandon(): void {
    this.#ended = true
    this.#guests.open.delete(this.#name)
    for (const name of this.#sealed) this.#guests.open.delete(name)
    this.#guests.buffers.give(this.#buffer)
    if (this.#sharedBody) this.#guests.buffers.give(this.#sharedBody)
    this.#buffer = EMPTY
    this.#sharedBody = undefined
    this.#used = 0
    this.#pending.length = 0
    this.#pendingBytes = 0
    this.#sealed.clear()
    this.#ring()
  }

  #closeShared(): void {
    const shared = this.#shared
    this.#shared = undefined
    const body = this.#sharedBody
    if (!shared || !body) return
    this.#sharedBody = undefined
    this.#addFrame(shared.ids, shared.sizes, body.subarray(0, shared.usedBytes), shared.place)
    this.#guests.buffers.give(body)
  }

  /** `bytes` are the caller's: they are copied, or laid before this returns. */
  #addFrame(
    ids: Uint8Array[],
    sizes: Sized[],
    bytes: Uint8Array,
    place: Place,
    hash?: Uint8Array,
  ): void {
    const { compute } = this.#guests
    const next = compute && bytes.length >= COMPRESS_FROM_BYTES ? this.#probe.next() : 'skip'
    const head = frameHead(RAW, ids, sizes)
    if (next === 'ask') this.#compress(new Uint8Array(bytes), () => {})
    if (next !== 'try' && this.#pending.length === 0)
      return this.#lay(place, { head, body: bytes, hash }, false)
    const body = new Uint8Array(bytes)
    const raw = { head, body, hash }
    const { length: sizeBytes } = body
    const pending: Pending = { place, sizeBytes, isNode: false, encoded: undefined }
    this.#pendingBytes += sizeBytes
    this.#pending.push(pending)
    if (next !== 'try') pending.encoded = () => raw
    else
      this.#compress(body, (small) => {
        const packed = small && { head: frameHead(ZSTD, ids, sizes), body: small, hash: undefined }
        pending.encoded = () => packed ?? raw
        this.#layReady()
      })
  }

  /** `then` is told undefined when it does not pay. */
  #compress(body: Uint8Array, then: (small: Uint8Array | undefined) => void): void {
    this.#guests.compute?.compress(body).then(
      (small) => then(this.#probe.learn(body.length, small.length) ? small : undefined),
      (error: unknown) => this.#fail(error),
    )
  }

  #layReady(): void {
    for (;;) {
      const first = this.#pending[0]
      if (!first?.encoded || this.#ended) break
      this.#pending.shift()
      this.#pendingBytes -= first.sizeBytes
      this.#lay(first.place, first.encoded(), first.isNode)
    }
    this.#ring()
  }

  #lay(place: Place, { head, body, hash }: Encoded, isNode: boolean): void {
    const length = head.length + body.length
    const whole = this.#used + length + this.#footer.bytesWith(length)
    if (this.#used > PACK_MAGIC.length && whole > this.#mostBytes()) {
      this.#seal()
      this.#fillsPacks = true
    }
    if (this.#used === 0) {
      this.#name = toHex(this.#guests.random.bytes(16))
      this.#guests.open.set(this.#name, () => this.#buffer.subarray(0, this.#used))
      this.#append(PACK_MAGIC)
    }
    place.pack = this.#name
    place.offset = this.#used
    place.length = length
    this.#append(head)
    this.#append(body)
    this.#footer.add({ head, bodyHash: hash ?? this.#guests.ids.hash(body), length, isNode })
  }

  #append(bytes: Uint8Array): void {
    const needed = this.#used + bytes.length
    if (needed > this.#buffer.length) {
      const grown = this.#larger(needed)
      grown.set(this.#buffer.subarray(0, this.#used))
      this.#guests.buffers.give(this.#buffer)
      this.#buffer = grown
    }
    this.#buffer.set(bytes, this.#used)
    this.#used = needed
  }

  #larger(needed: number): Uint8Array {
    if (needed > MAX_PACK_BYTES) return new Uint8Array(needed)
    const whole =
      needed > GROWING_BYTES || this.#fillsPacks ? this.#guests.buffers.take() : undefined
    if (whole) return whole
    if (needed <= SMALL_PACK_BYTES) return this.#guests.buffers.takeSmall()
    return new Uint8Array(Math.max(this.#buffer.length * 2, needed))
  }

  #mostBytes(): number {
    const isWhole = this.#buffer.length >= MAX_PACK_BYTES
    return isWhole || this.#guests.buffers.hasWhole ? MAX_PACK_BYTES : GROWING_BYTES
  }

  /** This pack would be full, and a whole buffer for it comes back soon. */
  #lacksWhole(): boolean {
    const wants = this.#fillsPacks && this.#buffer.length < MAX_PACK_BYTES
    return wants && this.#guests.buffers.isShort
  }

  #seal(): void {
    if (this.#used === 0) return
    this.#append(this.#footer.end(this.#guests.ids, this.#name))
    const buffer = this.#buffer
    const bytes = buffer.subarray(0, this.#used)
    this.#guests.open.set(this.#name, () => bytes)
    this.#sealed.add(this.#name)
    this.#put(this.#name, bytes, buffer)
    this.#buffer = EMPTY
    this.#used = 0
    this.#footer = new PackFooter()
  }

  #put(name: string, bytes: Uint8Array, buffer: Uint8Array): void {
    const { blob, open, buffers, written } = this.#guests
    const put = blob.put([{ key: packKey(name), bytes }]).then(() => {
      this.#sealed.delete(name)
      open.delete(name)
      written?.(name, bytes)
    })
    buffers.giveAfter(buffer, put).then(
      () => this.#ring(),
      (error: unknown) => this.#fail(error),
    )
  }

  /** All puts there may be are under way, and this pack is nearly full too. */
  #backlog(): boolean {
    const nearlyFull = this.#used + HEADROOM_BYTES > MAX_PACK_BYTES
    if (this.#sealed.size > PARALLEL_PUTS) return true
    return (nearlyFull && this.#sealed.size === PARALLEL_PUTS) || this.#lacksWhole()
  }

  /** Until something ended: a compression, a put, all of it; or also a put of others. */
  #change(ofOthers = false): Promise<void> {
    if (ofOthers) void this.#guests.buffers.change().then(() => this.#ring())
    return new Promise((resolve) => this.#wake.push(resolve))
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
