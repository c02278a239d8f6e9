// Values a server hands out and knows again: `<payload>.<mac>`, both base64url. Whoever has one can
// read it; only who has the key can make one.

import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

/** A key of its own for each use, so that what was sealed for one is nothing to another. */
export function deriveKey(secret: string, label: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', label, 32))
}

export function mac(key: Uint8Array, text: string): string {
  return createHmac('sha256', key).update(text).digest('base64url')
}

/** In constant time. */
export function isMac(key: Uint8Array, text: string, given: string): boolean {
  const expected = Buffer.from(mac(key, text))
  const bytes = Buffer.from(given)
  return bytes.length === expected.length && timingSafeEqual(bytes, expected)
}

/** @param value JSON */
export function seal(key: Uint8Array, value: unknown): string {
  const payload = Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${payload}.${mac(key, payload)}`
}

/** What was sealed with this key; undefined: it was not. */
export function unseal(key: Uint8Array, text: string): unknown {
  const dot = text.indexOf('.')
  const payload = text.slice(0, Math.max(0, dot))
  if (!isMac(key, payload, text.slice(dot + 1))) return undefined
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
}
