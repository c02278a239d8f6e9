// Where what a node names lies: one hint for each of its ids, in the same order, outside what is hashed. Most
// lie behind the one before or in its very frame, so little is said of each.

import { toHex } from '../../base/bytes.ts'
import { ByteReader, ByteWriter, corrupt } from '../packs/codec.ts'
import type { Place } from '../packs/pack.ts'

export class HintWriter {
  readonly #packs = new Map<string, number>()
  readonly #out = new ByteWriter(64)
  #last: Place | undefined

  add(place: Place): void {
    const last = this.#last
    if (last && (last === place || (last.offset === place.offset && last.pack === place.pack))) {
      this.#out.u8(0)
      return
    }
    let pack = this.#packs.get(place.pack)
    if (pack === undefined) {
      pack = this.#packs.size
      this.#packs.set(place.pack, pack)
    }
    this.#out.varint(pack + 1)
    this.#out.zigzag(place.offset - (last ? last.offset + last.length : 0))
    this.#out.varint(place.length)
    this.#last = place
  }

  writeTo(out: ByteWriter): void {
    out.varint(this.#packs.size)
    for (const pack of this.#packs.keys()) out.hex(pack)
    out.copy(this.#out.bytes, 0, this.#out.at)
  }
}

export class HintReader {
  readonly #packs: string[] = []
  readonly #reader: ByteReader
  #last: Place | undefined

  constructor(bytes: Uint8Array) {
    this.#reader = new ByteReader(bytes)
    const count = this.#reader.varint()
    for (let i = 0; i < count; i++) {
      const at = this.#reader.skip(16)
      this.#packs.push(toHex(bytes.subarray(at, at + 16)))
    }
  }

  next(): Place {
    const last = this.#last
    const code = this.#reader.varint()
    if (code === 0) {
      if (!last) throw corrupt('the first hint has none before it')
      return last
    }
    const pack = this.#packs[code - 1]
    const offset = this.#reader.zigzag() + (last ? last.offset + last.length : 0)
    const length = this.#reader.varint()
    if (pack === undefined || offset < 0) throw corrupt('a hint points nowhere')
    this.#last = { pack, offset, length }
    return this.#last
  }

  end(): void {
    this.#reader.end()
  }
}
