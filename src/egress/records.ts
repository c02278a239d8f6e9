// The records a commit brings: the lines of its diff against what was delivered before, in path
// order. Deterministic, so that an index among them says exactly what was sent. Memory: one line.
//
// Added file: all lines. Changed file whose old bytes are a prefix, ending a line: the new lines.
// Any other change: the whole file again. Deleted file: nothing.

import { lines } from '../connector/formats.ts'
import type { SinkRecord } from '../connector/contract.ts'
import type { Id } from '../model/id.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { FileEntry, Objects } from '../objects/objects.ts'

const NEWLINE = 0x0a

/** @param commit what the records are of; its id is in theirs */
export async function* recordsOf(
  objects: Objects,
  base: TreeRef | null,
  root: TreeRef | null,
  commit: Id,
): AsyncGenerator<SinkRecord> {
  for await (const change of objects.diff(base, root)) {
    if (!change.new) continue
    const kept = change.old ? await keptLines(objects, change.old, change.new) : 0
    let line = kept
    const offset = kept === 0 ? 0 : (change.old?.sizeBytes ?? 0)
    for await (const value of lines(objects.readEntry(change.new, { offset }))) {
      line++
      yield { id: `${commit}:${change.path}#${line}`, value }
    }
  }
}

/** How many lines the new file begins with that the old one was; 0 when it is not such a file. */
async function keptLines(objects: Objects, old: FileEntry, now: FileEntry): Promise<number> {
  if (old.sizeBytes === 0 || now.sizeBytes < old.sizeBytes) return 0
  const before = objects.readEntry(old)[Symbol.asyncIterator]()
  let left = EMPTY
  let count = 0
  let last = 0
  for await (const chunk of objects.readEntry(now, { offset: 0, length: old.sizeBytes })) {
    for (let at = 0; at < chunk.length;) {
      if (left.length === 0) {
        const next = await before.next()
        if (next.done) return 0
        left = next.value
        continue
      }
      const size = Math.min(left.length, chunk.length - at)
      for (let i = 0; i < size; i++) {
        last = left[i] as number
        if (last !== chunk[at + i]) return 0
        if (last === NEWLINE) count++
      }
      left = left.subarray(size)
      at += size
    }
  }
  return last === NEWLINE ? count : 0
}

const EMPTY: Uint8Array = new Uint8Array(0)
