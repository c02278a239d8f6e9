// A datum tree keeps what is known of every datum of a job's input, its own runs and those it reused:
//
//   <2 hex of id>/<id>      the record
//   unsettled/<id>          empty; the datum failed or was recovered and is tried again next time
//
// An owner tree says which datum made an output: the output's path → the datum's id.

import { concat, fromUtf8, utf8 } from '../base/bytes.ts'
import type { DatumRecord } from '../model/datum.ts'
import type { Path } from '../model/path.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { FileEntry, Objects } from '../objects/objects.ts'

export const UNSETTLED = 'unsettled' as Path

export function recordPath(id: string): Path {
  return `${id.slice(0, 2)}/${id}` as Path
}

export function unsettledPath(id: string): Path {
  return `${UNSETTLED}/${id}` as Path
}

/** Where a result tree keeps what a datum put out. */
export function outputPath(id: string): Path {
  return `out/${id}` as Path
}

export function encodeRecord(record: DatumRecord): Uint8Array {
  return utf8(JSON.stringify(record))
}

/** The text of a small file, or undefined when there is none. */
export async function readText(
  objects: Objects,
  root: TreeRef | null,
  path: Path,
): Promise<string | undefined> {
  const entry = await objects.stat(root, path)
  if (entry?.kind !== 'file') return undefined
  return fromUtf8(concat(await Array.fromAsync(objects.readEntry(entry))))
}

export async function readRecord(
  objects: Objects,
  datumTree: TreeRef | null | undefined,
  id: string,
): Promise<DatumRecord | undefined> {
  if (!datumTree) return undefined
  const text = await readText(objects, datumTree, recordPath(id))
  return text === undefined ? undefined : (JSON.parse(text) as DatumRecord)
}

/** All records of a datum tree, in the order of their ids. */
export async function* records(objects: Objects, datumTree: TreeRef): AsyncGenerator<DatumRecord> {
  for await (const entry of objects.walk(datumTree)) {
    if (entry.path.startsWith(`${UNSETTLED}/`)) continue
    const bytes = concat(await Array.fromAsync(objects.readEntry(entry)))
    yield JSON.parse(fromUtf8(bytes)) as DatumRecord
  }
}

/** Ids that failed or were recovered. */
export async function* unsettled(objects: Objects, datumTree: TreeRef): AsyncGenerator<string> {
  if (!(await objects.stat(datumTree, UNSETTLED))) return
  for await (const entry of objects.list(datumTree, UNSETTLED))
    yield entry.path.slice(entry.path.lastIndexOf('/') + 1)
}

/** What a datum put out: paths as they stand in the output. */
export async function* outputsOf(
  objects: Objects,
  record: Pick<DatumRecord, 'id' | 'tree' | 'files'>,
): AsyncGenerator<{ path: Path; entry: FileEntry }> {
  if (record.files === 0) return
  const folder = outputPath(record.id)
  for await (const entry of objects.walk(record.tree, folder))
    yield { path: entry.path.slice(folder.length + 1) as Path, entry }
}
