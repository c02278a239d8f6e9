import { assert } from '../base/assert.ts'
import type { BlobKey } from './blob.ts'

const PART = /^[A-Za-z0-9_.-]{1,255}$/

/** Asserts the shape that blob.ts declares; "." and ".." would leave the store's folder. */
export function checkKey(key: BlobKey): void {
  const parts = key.split('/')
  const good = parts.every((part) => PART.test(part) && part !== '.' && part !== '..')
  assert(good && key.length <= 1024, () => `not a blob key: "${key}"`)
}
