// Cutting and naming stretches of a long content, as it is done on whatever thread.

import type { Cuts, Hash } from '../guests.ts'
import { cutSize, MAX_CHUNK_BYTES } from './chunker.ts'

export const HASH_BYTES = 32

/**
 * The chunks that begin in [start, end), one after another from `start` on; what may still grow is left
 * out unless nothing follows.
 */
export function cutAndHash(
  hash: Hash,
  bytes: Uint8Array,
  stretch: { readonly start: number; readonly end: number; readonly isLast: boolean },
): Cuts {
  const sizes: number[] = []
  const hashes: Uint8Array[] = []
  const least = stretch.isLast ? 1 : MAX_CHUNK_BYTES
  for (let at = stretch.start; stretch.end - at >= least;) {
    const size = cutSize(bytes, at, stretch.end)
    hashes.push(hash(bytes.subarray(at, at + size)))
    sizes.push(size)
    at += size
  }
  const all = new Uint8Array(hashes.length * HASH_BYTES)
  hashes.forEach((one, i) => all.set(one, i * HASH_BYTES))
  return { sizes, hashes: all }
}
