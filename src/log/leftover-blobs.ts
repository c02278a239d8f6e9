// Blobs of a log that nobody names. Their keys say of which entry they are, and that is all it takes:
//
// - An entry at or below the head is decided for ever, so a blob of its seq that it does not name was
//   made for an append that was refused. Above the head an append may be under way: those stay.
// - A snapshot without a row is one whose saver died, or whose row is still on its way. Behind a newer
//   snapshot it is of no use either way: a row that arrives late is passed over when its blob is gone.
//
// So neither needs sessions or a second look.

import type { BlobKey, BlobStore } from '../blob/blob.ts'
import type { Tables } from '../tables/tables.ts'
import { bucketOf, FIRST_GENERATION, LOG, SNAPSHOTS } from './tables.ts'
import { decodeBlock, isEntryRef } from './block.ts'

interface Guests {
  readonly blob: BlobStore
  readonly tables: Tables
}

export async function* leftoverBlobs(guests: Guests, project: string): AsyncGenerator<BlobKey> {
  yield* leftoverEntries(guests, project)
  yield* leftoverSnapshots(guests, project)
}

async function* leftoverEntries(
  { blob, tables }: Guests,
  project: string,
): AsyncGenerator<BlobKey> {
  const generation = FIRST_GENERATION
  const buckets = new Map<number, BlobKey[]>()
  for await (const { key } of blob.list(`log/${project}/${generation}/`)) {
    const bucket = bucketOf(seqOf(key))
    if (Number.isNaN(bucket)) continue
    buckets.set(bucket, [...(buckets.get(bucket) ?? []), key])
  }
  for (const [bucket, keys] of buckets) {
    const named = new Set<BlobKey>()
    let decided = 0
    for await (const row of tables.scan(LOG, { project, generation, bucket })) {
      if (row.first_seq === 0 || !row.entries) continue
      decided = row.last_seq ?? decided
      for (const stored of decodeBlock(row.entries))
        if (isEntryRef(stored)) named.add(stored.blob.key)
    }
    for (const key of keys) if (seqOf(key) <= decided && !named.has(key)) yield key
  }
}

async function* leftoverSnapshots(
  { blob, tables }: Guests,
  project: string,
): AsyncGenerator<BlobKey> {
  const generation = FIRST_GENERATION
  // Listed first: a snapshot saved meanwhile is not among them.
  const keys: BlobKey[] = []
  for await (const { key } of blob.list(`snapshots/${project}/${generation}/`)) keys.push(key)
  const named = new Set<BlobKey>()
  let newest = 0
  for await (const row of tables.scan(SNAPSHOTS, { project, generation })) {
    named.add(row.blob)
    newest = Math.max(newest, row.seq)
  }
  for (const key of keys) if (seqOf(key) < newest && !named.has(key)) yield key
}

/** Of `…/<seq>-<chance>`. */
function seqOf(key: BlobKey): number {
  return Number.parseInt(key.slice(key.lastIndexOf('/') + 1), 10)
}
