// Reading and writing the flexible encodings of the Kafka protocol, as far as our requests need them.

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

  compactString(): string | null {
    const size = this.uvarint() - 1
    return size < 0 ? null : this.take(size).toString()
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

export class WireWriter {
  readonly #parts: Buffer[] = []

  int8(value: number): this {
    const part = Buffer.alloc(1)
    part.writeInt8(value)
    return this.raw(part)
  }

  int32(value: number): this {
    const part = Buffer.alloc(4)
    part.writeInt32BE(value)
    return this.raw(part)
  }

  int64(value: number): this {
    const part = Buffer.alloc(8)
    part.writeBigInt64BE(BigInt(value))
    return this.raw(part)
  }

  uvarint(value: number): this {
    const bytes: number[] = []
    let rest = value
    while (rest >= 0x80) {
      bytes.push((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    return this.raw(Buffer.from([...bytes, rest]))
  }

  uuid(hex: string): this {
    return this.raw(Buffer.from(hex, 'hex'))
  }

  compactString(text: string | null): this {
    if (text === null) return this.uvarint(0)
    const bytes = Buffer.from(text)
    return this.uvarint(bytes.length + 1).raw(bytes)
  }

  compactArray<T>(items: readonly T[], write: (item: T) => void): this {
    this.uvarint(items.length + 1)
    for (const item of items) write(item)
    return this
  }

  noTags(): this {
    return this.uvarint(0)
  }

  raw(bytes: Buffer): this {
    this.#parts.push(bytes)
    return this
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }
}
