// The MAC of messages between processes, by a key derived from the cluster's secret. It is HMAC-SHA-256
// (RFC 2104) put together from one-shot hashes: Node's own Hmac object costs three times as much as the
// hashing of a message of our size.

import { hash, timingSafeEqual } from 'node:crypto'
import { concat } from '../base/bytes.ts'
import type { Mac } from '../log/guests.ts'
import { deriveKey } from '../server/sealed.ts'

const BLOCK_BYTES = 64

/** @param secret at least 32 characters */
export function clusterMac(secret: string): Mac {
  const key = new Uint8Array(BLOCK_BYTES)
  key.set(deriveKey(secret, 'varve bus v1'))
  const inner = key.map((byte) => byte ^ 0x36)
  const outer = key.map((byte) => byte ^ 0x5c)
  const sha256 = (parts: readonly Uint8Array[]): Buffer => hash('sha256', concat(parts), 'buffer')
  const digest = (bytes: Uint8Array): Buffer => sha256([outer, sha256([inner, bytes])])
  return {
    sign: (bytes) => digest(bytes).toString('base64url'),
    verify(bytes, mac) {
      const given = Buffer.from(mac, 'base64url')
      const expected = digest(bytes)
      return given.length === expected.length && timingSafeEqual(given, expected)
    },
  }
}
