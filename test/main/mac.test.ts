import { createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import { utf8 } from '../../src/base/bytes.ts'
import { clusterMac } from '../../src/main/mac.ts'
import { deriveKey } from '../../src/server/sealed.ts'

test('it is the HMAC-SHA-256 everybody knows, and refuses what was touched', () => {
  const secret = 'a secret of thirty-two characters'
  const mac = clusterMac(secret)
  const key = deriveKey(secret, 'varve bus v1')
  for (const text of ['', 'x', 'a message of some length '.repeat(20)]) {
    const signed = mac.sign(utf8(text))
    expect(signed).toBe(createHmac('sha256', key).update(text).digest('base64url'))
    expect(mac.verify(utf8(text), signed)).toBe(true)
    expect(mac.verify(utf8(`${text}.`), signed)).toBe(false)
    expect(mac.verify(utf8(text), signed.slice(1))).toBe(false)
  }
})
