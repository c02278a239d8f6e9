// Bytes of frames and nodes: unsigned LEB128 varints up to 2^53 − 1, in their shortest form only.

import { VarveError } from '../../base/errors.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** A growing buffer. */
export class ByteWriter {
  bytes: Uint8Array
  at = 0

  constructor(sizeBytes = 256) {
    this.bytes = new Uint8Array(sizeBytes)
  }

  #room(more: number): void {
    if (this.at + more <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.at + more))
    grown.set(this.bytes.subarray(0, this.at))
    this.bytes = grown
  }

  u8(value: number): void {
    this.#room(1)
    this.bytes[this.at++] = value
  }

  varint(value: number): void {
    this.#room(8)
    let rest = value
    while (rest >= 0x80) {
      this.bytes[this.at++] = (rest % 0x80) + 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.bytes[this.at++] = rest
  }

  /** Small negative numbers stay small: 0, −1, 1, −2 … become 0, 1, 2, 3 … */
  zigzag(value: number): void {
    this.varint(value >= 0 ? value * 2 : -value * 2 - 1)
  }

  /** The bytes of hex digits, of which there is an even number. */
  hex(digits: string): void {
    const size = digits.length >> 1
    this.#room(size)
    for (let i = 0; i < size; i++)
      this.bytes[this.at + i] =
        (digitOf(digits.charCodeAt(2 * i)) << 4) | digitOf(digits.charCodeAt(2 * i + 1))
    this.at += size
  }

  /** `size` bytes of `from` starting at `start`. */
  copy(from: Uint8Array, start: number, size: number): void {
    this.#room(size)
    if (size > 64) {
      this.bytes.set(from.subarray(start, start + size), this.at)
    } else {
      // Most copies are one id; a view costs more than the loop.
      for (let i = 0; i < size; i++) this.bytes[this.at + i] = from[start + i] as number
    }
    this.at += size
  }

  /** Length, then UTF-8. */
  text(value: string): void {
    this.#room(value.length * 3 + 8)
    const start = this.at
    if (value.length < 0x80) {
      let i = 0
      for (; i < value.length; i++) {
        const unit = value.charCodeAt(i)
        if (unit >= 0x80) break
        this.bytes[start + 1 + i] = unit
      }
      if (i === value.length) {
        this.bytes[start] = i
        this.at = start + 1 + i
        return
      }
    }
    const bytes = encoder.encode(value)
    this.varint(bytes.length)
    this.copy(bytes, 0, bytes.length)
  }

  done(): Uint8Array {
    return this.bytes.subarray(0, this.at)
  }
}

/** Without a branch: which of two kinds the next digit is cannot be foreseen. */
function digitOf(unit: number): number {
  return (unit & 15) + (unit >> 6) * 9
}

/** As ByteWriter writes it. */
export function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++
  return bytes
}

/** As ByteWriter writes it. */
export function textBytes(value: string): number {
  let bytes = value.length
  for (let i = 0; i < value.length; i++) {
    const unit = value.charCodeAt(i)
    // The two halves of a pair are four bytes together.
    if (unit >= 0x80) bytes += unit >= 0x800 && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1
  }
  return varintBytes(bytes) + bytes
}

/** Up to so many bytes a decoder costs more than it saves. */
const SHORT_TEXT = 64
/** Units of a short text, by its length: what is filled again costs less than what grows. */
const UNITS: readonly number[][] = Array.from({ length: SHORT_TEXT + 1 }, (_, length) =>
  Array.from({ length }, () => 0),
)

/** A string of its own. @throws VarveError CORRUPT */
export function decodeText(bytes: Uint8Array, from: number, end: number): string {
  const size = end - from
  if (size <= SHORT_TEXT) {
    // In one piece: a string made by adding is put together again by whoever compares it.
    const units = UNITS[size] as number[]
    let i = 0
    for (; i < size; i++) {
      const byte = bytes[from + i] as number
      if (byte >= 0x80) break
      units[i] = byte
    }
    if (i === size) return String.fromCharCode(...units)
  }
  try {
    return decoder.decode(bytes.subarray(from, end))
  } catch {
    throw corrupt('a name is not UTF-8')
  }
}

/** Reads what ByteWriter wrote and trusts none of it. @throws VarveError CORRUPT */
export class ByteReader {
  readonly bytes: Uint8Array
  at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  u8(): number {
    const value = this.bytes[this.at++]
    if (value === undefined) throw corrupt('it ends too early')
    return value
  }

  varint(): number {
    const first = this.bytes[this.at]
    if (first !== undefined && first < 0x80) {
      this.at++
      return first
    }
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if ((byte === 0 && i > 0) || !Number.isSafeInteger(value))
          throw corrupt('a number is not in its shortest form')
        return value
      }
      scale *= 0x80
    }
    throw corrupt('a number is too long')
  }

  zigzag(): number {
    const value = this.varint()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  /** Steps over `size` bytes and says where they start. */
  skip(size: number): number {
    const start = this.at
    if (size > this.bytes.length - start) throw corrupt('it ends too early')
    this.at = start + size
    return start
  }

  text(): string {
    const size = this.varint()
    const start = this.skip(size)
    return decodeText(this.bytes, start, this.at)
  }

  /** Steps over a text, which is well-formed; whether it is ASCII. */
  skipText(): boolean {
    const size = this.varint()
    const start = this.skip(size)
    const { bytes, at } = this
    let bits = 0
    for (let i = start; i < at; i++) bits |= bytes[i] as number
    if (bits < 0x80) return true
    decodeText(bytes, start, at)
    return false
  }

  end(): void {
    if (this.at !== this.bytes.length) throw corrupt('bytes are left over')
  }
}

export function corrupt(why: string, what = 'stored bytes'): VarveError {
  return new VarveError('CORRUPT', `cannot read ${what}: ${why}`)
}
