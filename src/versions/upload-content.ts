// What the parts of an upload come to: whether they are all of it, and the one run they make. Parts come
// here in order of their numbers; the segments of a file may have been cut and sent in any order.

import { assert } from '../base/assert.ts'
import { parsePath } from '../model/path.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { FileEntry, Objects } from '../objects/objects.ts'
import type { Part } from './upload-rows.ts'

/** Runs merged at once. */
const MERGED = 256

/**
 * Every number below `wanted` is to be there, none above, and the segments of each file are to be all of
 * it. `came`: how many parts there are.
 * @returns what is wrong; undefined: nothing
 */
export async function lackOf(
  parts: AsyncIterable<Part>,
  came: number,
  wanted: number,
): Promise<string | undefined> {
  let next = 0
  const pieces = new Pieces()
  for await (const part of parts) {
    if (part.part !== next) break
    next++
    if (part.kind === 'segment') pieces.add(part)
  }
  if (next < wanted) return `part ${next} of ${wanted} has not come`
  if (came > wanted) return `${came} parts have come, ${wanted} are to be all of it`
  for (const [path, segments] of pieces.files) {
    const lacks = lackIn(segments)
    if (lacks) return `"${path}" ${lacks}`
  }
  return wanted === 0 ? 'it has no parts' : undefined
}

/** All parts, which lack nothing, as one run; of one path the later part wins. */
export async function runOf(objects: Objects, parts: AsyncIterable<Part>): Promise<TreeRef> {
  let runs: TreeRef[] = []
  const pieces = new Pieces()
  for await (const part of parts)
    if (part.kind === 'batch') runs.push(part.root)
    else pieces.add(part)
  if (pieces.files.size > 0) runs.push(await joined(objects, pieces))
  while (runs.length > 1) {
    const merged: TreeRef[] = []
    for (let first = 0; first < runs.length; first += MERGED) {
      const some = runs.slice(first, first + MERGED)
      merged.push((await objects.merge(null, some, null)).root)
    }
    runs = merged
  }
  const [run] = runs
  assert(run, 'an upload that is finished has parts')
  return run
}

/** A run that puts each file, of its segments one after another. */
async function joined(objects: Objects, pieces: Pieces): Promise<TreeRef> {
  const writer = objects.writer(null)
  try {
    for (const [name, segments] of pieces.files) {
      const path = parsePath(name)
      const entries: FileEntry[] = []
      for (const { root } of inOrder(segments)) {
        const entry = await objects.stat(root, path)
        assert(entry?.kind === 'file', () => `a segment of "${path}" holds it`)
        entries.push(entry)
      }
      await writer.assemble(path, entries)
    }
  } catch (error) {
    writer.abandon()
    throw error
  }
  return await writer.finish()
}

/** Segments by their file. */
class Pieces {
  readonly files = new Map<string, Part[]>()

  add(part: Part): void {
    const segments = this.files.get(part.path)
    if (segments) segments.push(part)
    else this.files.set(part.path, [part])
  }
}

function inOrder(segments: readonly Part[]): Part[] {
  return segments.toSorted((a, b) => a.offset - b.offset)
}

/** What is missing of a file; undefined: nothing. */
function lackIn(segments: readonly Part[]): string | undefined {
  const totalBytes = segments[0]?.totalBytes ?? 0
  let end = 0
  for (const one of inOrder(segments)) {
    if (one.totalBytes !== totalBytes) return 'is said to have different sizes'
    if (one.offset !== end) return `has nothing, or something twice, at byte ${end}`
    end += one.sizeBytes
  }
  return end === totalBytes ? undefined : `has ${end} bytes of ${totalBytes}`
}
