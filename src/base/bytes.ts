// Byte strings without Node: the same code runs in the browser and in the simulation.

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

export const EMPTY: Uint8Array = new Uint8Array(0)

export function utf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/** Throws a TypeError on bytes that are not UTF-8. */
export function fromUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes)
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array
  let size = 0
  for (const part of parts) size += part.length
  const whole = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Order of unsigned bytes, as memcmp: negative, zero or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) {
    const d = (a[i] as number) - (b[i] as number)
    if (d !== 0) return d
  }
  return a.length - b.length
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0
}

const DIGITS = encoder.encode('0123456789abcdef')
const HEX_BYTES = 1024
/** By length: walks over everything make ids by the million, and each list would be ten times its id. */
const SCRATCH: Record<number, number[]> = {}

// In one piece: a string made by adding keeps all it was made of, ten times the memory of an id.
export function toHex(bytes: Uint8Array): string {
  if (bytes.length > HEX_BYTES)
    return toHex(bytes.subarray(0, HEX_BYTES)) + toHex(bytes.subarray(HEX_BYTES))
  const { length } = bytes
  const digits = (SCRATCH[length] ??= Array.from({ length: 2 * length }, () => 0))
  for (let i = 0; i < length; i++) {
    const byte = bytes[i] as number
    digits[2 * i] = DIGITS[byte >> 4] as number
    digits[2 * i + 1] = DIGITS[byte & 15] as number
  }
  return String.fromCharCode(...digits)
}

export function fromHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length >> 1)
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = (digit(text.charCodeAt(2 * i)) << 4) | digit(text.charCodeAt(2 * i + 1))
  return bytes
}

/** Without a branch: which of two kinds the next digit is cannot be foreseen. */
function digit(unit: number): number {
  return (unit & 15) + (unit >> 6) * 9
}

/**
 * Order of UTF-8 bytes for strings. JavaScript compares UTF-16 units, which differs only where a
 * surrogate pair meets U+E000–U+FFFF; this is right there too.
 */
export function compareUtf8(a: string, b: string): number {
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) {
    let x = a.charCodeAt(i)
    let y = b.charCodeAt(i)
    if (x === y) continue
    if (x >= 0xd800 && y >= 0xd800) {
      // Surrogates stand for code points above U+FFFF: sort them after U+E000–U+FFFF.
      x = x >= 0xe000 ? x - 0x800 : x + 0x2000
      y = y >= 0xe000 ? y - 0x800 : y + 0x2000
    }
    return x - y
  }
  return a.length - b.length
}
