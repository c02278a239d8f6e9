// What makes two requests of one id the same one: what their author asked for, without what a retry
// may make anew (the tree it was built on, the runs, the tree it came to, the session).

import type { Op } from '../model/ops.ts'
import { toHex, utf8 } from '../base/bytes.ts'

export type Hash = (bytes: Uint8Array) => Uint8Array

/** 64 hex digits. */
export function fingerprintOf(ops: readonly Op[], hash: Hash): string {
  const asked = ops.map((op) => ({ ...op, change: undefined, session: undefined }))
  return toHex(hash(utf8(canonical(asked)))).slice(0, 64)
}

/** JSON with keys in order, so that equal values are equal text. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}
