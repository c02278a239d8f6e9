// What lies in a store, whoever may read it.

import { assert, must } from '../../src/base/assert.ts'
import type { BlobStore } from '../../src/blob/blob.ts'
import { zstdCompute } from '../../src/main/compute.ts'
import { openFrame } from '../../src/objects/packs/frame.ts'
import { framesOf, packKey, packOfKey } from '../../src/objects/packs/pack-footer.ts'

/** All packs, as they lie and with every frame decompressed. */
export async function rawStore(blob: BlobStore): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const { key } of blob.list('')) {
    const bytes = must(await blob.get(key), 'a blob')
    parts.push(bytes)
    const pack = packOfKey(key)
    if (pack === undefined) continue
    assert(key === packKey(pack), 'a key is made of the name of its pack')
    const frames = framesOf(pack, bytes)
    for (let i = 0; i < frames.count; i++) {
      const frame = bytes.subarray(frames.offset(i), frames.offset(i) + frames.length(i))
      parts.push((await openFrame(frame, (body, size) => zstdCompute.decompress(body, size))).raw)
    }
  }
  return Buffer.concat(parts)
}
