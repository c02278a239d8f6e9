// Packs of which little is used: that little is carried over, frame by frame and bit by bit, and the pack may go.
//
// - A frame is carried over where anything that is used begins in the block it begins in: so it may be carried
//   over beside one that is used, and never not be.
// - What is carried over is durable, and the row that says where is written, before the pack is sentenced: who
//   does not find the pack finds the row.
// - A pack that is not what was written stays as it is: its damage must not get a new checksum.

import { passed } from '../../base/passing.ts'
import type { BlobStore } from '../../blob/blob.ts'
import type { Moves } from '../packs/forwards.ts'
import type { PackListing } from '../packs/pack-listing.ts'
import { framesOf, packIsWhole, packKey } from '../packs/pack-footer.ts'
import type { PackWriter, Place } from '../packs/pack.ts'
import { unlaid } from '../packs/pack.ts'
import type { PackStore } from '../store.ts'
import type { PurgedPacks } from './purge-packs.ts'

/** What one round carries over. */
const MOST_BYTES = 16 * 1024 * 1024 * 1024
/** A row holds no more. */
const MOST_FRAMES = 8_000
/** As many are carried over together, and their rows written. */
const GROUP_BYTES = 64 * 1024 * 1024

/** Whether it is worth while to carry over what is used: at least `winsBytes` go. */
export function isWorthRepacking(listing: PackListing, n: number, winsBytes: number): boolean {
  const usedBytes = listing.usedBytes(n)
  const sizeBytes = listing.sizeBytes(n)
  return listing.isUsed(n) && usedBytes * 2 < sizeBytes && sizeBytes - usedBytes >= winsBytes
}

export interface RepackGuests {
  readonly store: PackStore
  readonly blob: BlobStore
  readonly listing: PackListing
  readonly round: number
  /** Where less is won, a pack stays. */
  readonly winsBytes: number
  /** All of the packs have what is being purged: that does not come along, and no limit holds. */
  readonly purge?: PurgedPacks
}

/** Those of the packs that may go now: what is used of them lies elsewhere and is found there. */
export async function repack(
  guests: RepackGuests,
  packs: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const done: string[] = []
  let left = guests.purge ? Infinity : MOST_BYTES
  for (let at = 0; at < packs.length && left > 0;) {
    const group: string[] = []
    for (let bytes = 0; at < packs.length && bytes < GROUP_BYTES; at++) {
      const pack = packs[at] as string
      const usedBytes = guests.listing.usedBytes(guests.listing.numberOf(pack))
      bytes += usedBytes
      left -= usedBytes
      group.push(pack)
    }
    signal.throwIfAborted()
    done.push(...(await carryOver(guests, group)))
  }
  return done
}

async function carryOver(
  { store, blob, listing, round, winsBytes, purge }: RepackGuests,
  packs: readonly string[],
): Promise<string[]> {
  const writer = store.openPack()
  const moves = new Map<string, Moves>()
  try {
    for (const pack of packs) {
      const bytes = await blob.get(packKey(pack))
      passed(bytes?.length ?? 0)
      if (!bytes || !packIsWhole(store.ids, pack, bytes)) continue
      const moved = purge
        ? await purge.carryOver(writer, pack, bytes)
        : addUsed(writer, listing, pack, { bytes, winsBytes })
      if (moved) moves.set(pack, moved)
      if (writer.busy) await writer.room()
    }
    await writer.close()
  } catch (error) {
    writer.abandon()
    throw error
  }
  for (const [pack, moved] of moves) await store.forwards.put(pack, moved, round)
  return [...moves.keys()]
}

function addUsed(
  writer: PackWriter,
  listing: PackListing,
  pack: string,
  { bytes, winsBytes }: { readonly bytes: Uint8Array; readonly winsBytes: number },
): Moves | undefined {
  const n = listing.numberOf(pack)
  const frames = framesOf(pack, bytes)
  const used: number[] = []
  let usedBytes = 0
  for (let i = 0; i < frames.count; i++)
    if (listing.isUsedAt(n, frames.offset(i))) {
      used.push(i)
      usedBytes += frames.length(i)
    }
  // What is used lies among what is not: nothing would be won.
  if (bytes.length - usedBytes < winsBytes || used.length > MOST_FRAMES) return undefined
  const moved = new Map<number, Place>()
  for (const i of used) {
    const place = unlaid()
    const offset = frames.offset(i)
    writer.addFrame(bytes.subarray(offset, offset + frames.length(i)), frames.isNode(i), place)
    moved.set(offset, place)
  }
  return moved
}
