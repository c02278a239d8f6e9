// Reading and writing the encodings of the Kafka protocol, as far as our requests need them.

export class WireReader {
  readonly bytes: Buffer
  #at: number

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes
    this.#at = at
  }

  get at(): number {
    return this.#at
  }

  int8(): number {
    return this.bytes.readInt8(this.#move(1))
  }

  int16(): number {
    return this.bytes.readInt16BE(this.#move(2))
  }

  int32(): number {
    return this.bytes.readInt32BE(this.#move(4))
  }

  /** Offsets and ids: whole numbers below 2^53 by assertion of the protocol's practice. */
  int64(): number {
    const at = this.#move(8)
    return this.bytes.readInt32BE(at) * 0x1_0000_0000 + this.bytes.readUInt32BE(at + 4)
  }

  uvarint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.bytes.readUInt8(this.#move(1))
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 128
    }
  }

  /** Zigzag. */
  varint(): number {
    const raw = this.uvarint()
    return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
  }

  uuid(): string {
    return this.take(16).toString('hex')
  }

  take(size: number): Buffer {
    const at = this.#move(size)
    return this.bytes.subarray(at, at + size)
  }

  /** The encoding of the older versions: a length of 16 bits. */
  string(): string {
    return this.take(this.int16()).toString()
  }

  compactString(): string | null {
    return this.compactBytes()?.toString() ?? null
  }

  compactBytes(): Buffer | null {
    const size = this.uvarint() - 1
    return size < 0 ? null : this.take(size)
  }

  compactArray<T>(item: () => T): T[] {
    const size = this.uvarint() - 1
    const items: T[] = []
    for (let i = 0; i < size; i++) items.push(item())
    return items
  }

  /** The encoding of the older versions: a count of 32 bits. */
  array<T>(item: () => T): T[] {
    const size = this.int32()
    const items: T[] = []
    for (let i = 0; i < size; i++) items.push(item())
    return items
  }

  /** Tagged fields we do not know are skipped. */
  tags(): void {
    for (let n = this.uvarint(); n > 0; n--) {
      this.uvarint()
      this.take(this.uvarint())
    }
  }

  #move(size: number): number {
    const at = this.#at
    this.#at += size
    return at
  }
}

/** Writes into one buffer that grows. */
export class WireWriter {
  #buffer = Buffer.allocUnsafe(512)
  #size = 0

  int8(value: number): this {
    const at = this.#room(1)
    this.#buffer.writeInt8(value, at)
    return this
  }

  int16(value: number): this {
    const at = this.#room(2)
    this.#buffer.writeInt16BE(value, at)
    return this
  }

  int32(value: number): this {
    const at = this.#room(4)
    this.#buffer.writeInt32BE(value, at)
    return this
  }

  int64(value: number): this {
    const at = this.#room(8)
    this.#buffer.writeInt32BE(Math.floor(value / 0x1_0000_0000), at)
    this.#buffer.writeUInt32BE(((value % 0x1_0000_0000) + 0x1_0000_0000) % 0x1_0000_0000, at + 4)
    return this
  }

  uvarint(value: number): this {
    let rest = value
    while (rest >= 0x80) {
      const at = this.#room(1)
      this.#buffer[at] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    const last = this.#room(1)
    this.#buffer[last] = rest
    return this
  }

  /** Zigzag. */
  varint(value: number): this {
    let rest = value < 0 ? -2 * value - 1 : 2 * value
    while (rest >= 0x80) {
      const at = this.#room(1)
      this.#buffer[at] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    const last = this.#room(1)
    this.#buffer[last] = rest
    return this
  }

  uuid(hex: string): this {
    return this.raw(Buffer.from(hex, 'hex'))
  }

  /** The encoding of the older versions: a length of 16 bits. */
  string(text: string): this {
    const bytes = Buffer.from(text)
    return this.int16(bytes.length).raw(bytes)
  }

  compactString(text: string | null): this {
    return this.compactBytes(text === null ? null : Buffer.from(text))
  }

  compactBytes(bytes: Uint8Array | null): this {
    return bytes === null ? this.uvarint(0) : this.uvarint(bytes.length + 1).raw(bytes)
  }

  compactArray<T>(items: readonly T[], write: (item: T) => void): this {
    this.uvarint(items.length + 1)
    for (const item of items) write(item)
    return this
  }

  noTags(): this {
    return this.uvarint(0)
  }

  raw(bytes: Uint8Array): this {
    const at = this.#room(bytes.length)
    this.#buffer.set(bytes, at)
    return this
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#size)
  }

  /** @returns where the next `size` bytes go */
  #room(size: number): number {
    const at = this.#size
    this.#size += size
    if (this.#size > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#size))
      this.#buffer.copy(larger, 0, 0, at)
      this.#buffer = larger
    }
    return at
  }
}
