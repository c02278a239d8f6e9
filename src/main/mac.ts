// The MAC of messages between processes, by a key derived from the cluster's secret.

import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Mac } from '../log/guests.ts'
import { deriveKey } from '../server/sealed.ts'

/** @param secret at least 32 characters */
export function clusterMac(secret: string): Mac {
  const key = deriveKey(secret, 'varve bus v1')
  const digest = (bytes: Uint8Array): Buffer => createHmac('sha256', key).update(bytes).digest()
  return {
    sign: (bytes) => digest(bytes).toString('base64url'),
    verify(bytes, mac) {
      const given = Buffer.from(mac, 'base64url')
      const expected = digest(bytes)
      return given.length === expected.length && timingSafeEqual(given, expected)
    },
  }
}
