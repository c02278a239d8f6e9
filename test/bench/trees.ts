// Trees of many small files, in directories of a thousand as most people have them.

import type { Path } from '../../src/model/path.ts'
import { parsePath } from '../../src/model/path.ts'
import type { TreeWriter } from '../../src/objects/objects.ts'
import { noise, smallFile } from './disk.ts'

export const PER_DIR = 1000
export const SMALL_BYTES = 1024

export const pathOf = (i: number): Path => parsePath(smallFile(i, PER_DIR))

/** Files of 1 KB of noise. */
export async function putSmallFiles(writer: TreeWriter, files: number): Promise<void> {
  let i = 0
  for (const block of noise(files * SMALL_BYTES, 'small files'))
    for (let at = 0; at < block.length; at += SMALL_BYTES)
      await writer.put(pathOf(i++), block.subarray(at, at + SMALL_BYTES))
}

/** Other 1 KB contents, all different. */
export function otherContent(): () => Uint8Array {
  let n = 0
  return () => {
    const [bytes] = noise(SMALL_BYTES, `other ${n++}`)
    return bytes as Uint8Array
  }
}

/** `count` different numbers below `limit`, spread evenly. */
export function spread(count: number, limit: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.floor(((i + 0.5) * limit) / count))
}

/** Milliseconds until all have come, of which there must be so many. */
export async function timeAll(items: AsyncIterable<unknown>, expected: number): Promise<number> {
  const start = performance.now()
  let count = 0
  for await (const _ of items) count++
  const ms = performance.now() - start
  if (count !== expected) throw new Error(`found ${count} of ${expected}`)
  return ms
}
