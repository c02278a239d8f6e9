// What all nodes have in common: u32, little-endian, size of the canonical part · canonical part · hints.
// The canonical part alone is hashed, so it says what, never where.

import { ByteReader, ByteWriter, corrupt } from '../packs/codec.ts'
import { HintReader, HintWriter } from './hints.ts'
import type { Place } from '../packs/pack.ts'

/** The first byte of the canonical part: what kind of node, and in runs HEAD_MARKS and HEAD_REPLACES. */
export const HEAD_DIR = 1
export const HEAD_LIST = 2
export const HEAD_BRANCHES = 3
export const HEAD_LIST_BRANCHES = 4
export const HEAD_MARKS = 0x10
export const HEAD_REPLACES = 0x20

/** Views of memory that the next encoding uses again: copy what is to stay. */
export interface EncodedNode {
  readonly canonical: Uint8Array
  /** What is stored: the canonical part with its hints; every place must be known. */
  stored(): Uint8Array
}

const SIZE_BYTES = 4
const MAX_SCRATCH_BYTES = 4 * 1024 * 1024

// Fresh memory for every node would cost more than filling it.
let scratch = new ByteWriter(64 * 1024)

export function startNode(): ByteWriter {
  if (scratch.bytes.length > MAX_SCRATCH_BYTES) scratch = new ByteWriter(64 * 1024)
  scratch.at = SIZE_BYTES
  return scratch
}

/** `places`: of what the ids name, in the same order. */
export function endNode(out: ByteWriter, places: readonly Place[]): EncodedNode {
  const end = out.at
  return {
    canonical: out.done().subarray(SIZE_BYTES),
    stored: () => {
      const hints = new HintWriter()
      for (const place of places) hints.add(place)
      hints.writeTo(out)
      const stored = out.done()
      sizeField(stored).setUint32(0, end - SIZE_BYTES, true)
      return stored
    },
  }
}

function sizeField(stored: Uint8Array): DataView {
  return new DataView(stored.buffer, stored.byteOffset, SIZE_BYTES)
}

/** The canonical part of a stored node, to check its id with. @throws VarveError CORRUPT */
export function canonicalPart(stored: Uint8Array): Uint8Array {
  if (stored.length < SIZE_BYTES) throw corrupt('a node ends too early')
  const end = SIZE_BYTES + sizeField(stored).getUint32(0, true)
  if (end > stored.length) throw corrupt('a node ends too early')
  return stored.subarray(SIZE_BYTES, end)
}

export function splitNode(stored: Uint8Array): { reader: ByteReader; hints: HintReader } {
  const canonical = canonicalPart(stored)
  const from = SIZE_BYTES + canonical.length
  return { reader: new ByteReader(canonical), hints: new HintReader(stored.subarray(from)) }
}
