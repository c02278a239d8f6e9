// How entries lie in a block: a JSON array, each entry in it whole or, when it is big, as a reference
// to a blob. An entry's bytes are made once and used for the block, its blob and the bus.

import { concat, equalBytes, fromHex, fromUtf8, toHex, utf8 } from '../base/bytes.ts'
import { VarveError } from '../base/errors.ts'
import type { BlobObject, BlobStore } from '../blob/blob.ts'
import type { Id } from '../model/id.ts'
import type { Hash } from './guests.ts'
import type { Entry } from './machine.ts'

/** A bigger block could exceed what Cassandra takes in one write: a rule of correctness. */
export const BLOCK_MAX_BYTES = 512 * 1024
export const BLOCK_MAX_ENTRIES = 1024
/** A bigger entry goes to a blob. */
export const INLINE_MAX_BYTES = 8 * 1024
/** A bigger entry is refused: TOO_LARGE. */
export const ENTRY_MAX_BYTES = 4 * 1024 * 1024

/** What a block holds of a big entry. */
export interface EntryRef {
  readonly seq: number
  readonly id: Id
  readonly atMs: number
  readonly issuedAtMs?: number
  readonly blob: { readonly key: string; readonly hash: string; readonly sizeBytes: number }
}

export type Stored<Fact> = Entry<Fact> | EntryRef

/** An entry ready to be written. */
export interface EncodedEntry<Fact> {
  readonly entry: Entry<Fact>
  /** Its JSON. */
  readonly bytes: Uint8Array
  /** Of the part that lies in the block. */
  readonly blockBytes: Uint8Array
  readonly blob: BlobObject | undefined
}

const OPEN = utf8('[')
const COMMA = utf8(',')
const CLOSE = utf8(']')

/** `blobKey` is asked only for a big entry and must be used once. */
export function encodeEntry<Fact>(
  entry: Entry<Fact>,
  hash: Hash,
  blobKey: () => string,
): EncodedEntry<Fact> {
  const bytes = utf8(JSON.stringify(entry))
  if (bytes.length <= INLINE_MAX_BYTES) return { entry, bytes, blockBytes: bytes, blob: undefined }
  const key = blobKey()
  const ref: EntryRef = {
    seq: entry.seq,
    id: entry.id,
    atMs: entry.atMs,
    ...(entry.issuedAtMs === undefined ? {} : { issuedAtMs: entry.issuedAtMs }),
    blob: { key, hash: toHex(hash(bytes)), sizeBytes: bytes.length },
  }
  return { entry, bytes, blockBytes: utf8(JSON.stringify(ref)), blob: { key, bytes } }
}

/** How many of the first entries fit in one block that may hold at most `room` of them. */
export function blockLength(entries: readonly EncodedEntry<unknown>[], room: number): number {
  const most = Math.min(room, BLOCK_MAX_ENTRIES, entries.length)
  let size = 1
  let n = 0
  while (n < most) {
    size += (entries[n]?.blockBytes.length ?? 0) + 1
    if (size > BLOCK_MAX_BYTES) break
    n++
  }
  return n
}

export function encodeBlock(entries: readonly EncodedEntry<unknown>[]): Uint8Array {
  return list(entries.map((entry) => entry.blockBytes))
}

/** All of them whole, as a JSON array. */
export function printEntries(entries: readonly EncodedEntry<unknown>[]): Uint8Array {
  return list(entries.map((entry) => entry.bytes))
}

function list(items: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [OPEN]
  for (const item of items) {
    if (parts.length > 1) parts.push(COMMA)
    parts.push(item)
  }
  parts.push(CLOSE)
  return concat(parts)
}

/** @throws VarveError CORRUPT */
export function decodeBlock<Fact>(bytes: Uint8Array): readonly Stored<Fact>[] {
  try {
    return JSON.parse(fromUtf8(bytes)) as Stored<Fact>[]
  } catch (cause) {
    throw new VarveError('CORRUPT', 'cannot read a block of the log: its bytes are not JSON', {
      cause,
    })
  }
}

export function isEntryRef<Fact>(stored: Stored<Fact>): stored is EntryRef {
  return 'blob' in stored
}

/**
 * The entries of a block, the big ones fetched.
 * @throws VarveError CORRUPT, UNAVAILABLE
 */
export async function resolveEntries<Fact>(
  stored: readonly Stored<Fact>[],
  blob: BlobStore,
  hash: Hash,
): Promise<readonly Entry<Fact>[]> {
  if (!stored.some(isEntryRef)) return stored as readonly Entry<Fact>[]
  return await Promise.all(
    stored.map(async (one) => {
      if (!isEntryRef(one)) return one
      const bytes = await blob.get(one.blob.key)
      if (!bytes || !equalBytes(hash(bytes), fromHex(one.blob.hash)))
        throw new VarveError(
          'CORRUPT',
          `cannot read entry ${one.seq} of the log: blob "${one.blob.key}" is ${bytes ? 'not what was written' : 'missing'}`,
        )
      return JSON.parse(fromUtf8(bytes)) as Entry<Fact>
    }),
  )
}
