// Where the chunks of a file lie, for those who fetch them from the blob store themselves.
//
// A range given away opens all that lies in it. So it may hold frames of this file only: a chunk that
// is large enough to have a frame of its own is told by its place, and any other is read here, because
// its frame may hold chunks of files that are not meant. (The heads of frames, which come along, tell
// 8 bytes of the ids of chunks whose content comes along as well.)

import { assert } from '../../base/assert.ts'
import { chunksFrom } from './chunk-list.ts'
import { soleHeadBytes } from '../packs/frame.ts'
import { INLINE, LIST } from '../trees/item.ts'
import type { Item } from '../trees/item.ts'
import type { LocatedChunk, SoleFrame } from '../objects.ts'
import { SMALL_CHUNK_BYTES } from '../packs/pack.ts'
import { packKey } from '../packs/pack-footer.ts'
import type { PackStore } from '../store.ts'

export async function* locateContent(
  store: PackStore,
  item: Item,
  first: number,
): AsyncGenerator<LocatedChunk> {
  if (item.kind === INLINE) return
  const chunks = item.kind === LIST ? chunksFrom(store, item, first) : [item].slice(first)
  for await (const chunk of chunks) {
    const { id, sizeBytes } = chunk
    if (sizeBytes < SMALL_CHUNK_BYTES) yield { id, sizeBytes, bytes: await store.chunk(chunk) }
    else yield { id, sizeBytes, frame: soleFrame(chunk) }
  }
}

/** Known without reading it: the sizes of a head are those of its chunk, and only zstd makes it less. */
function soleFrame({ place, sizeBytes }: Item): SoleFrame {
  assert(place && place.offset >= 0, 'what is located lies somewhere')
  const { pack, offset, length } = place
  const headBytes = soleHeadBytes(sizeBytes)
  return { key: packKey(pack), offset, length, headBytes, zstd: length - headBytes !== sizeBytes }
}
