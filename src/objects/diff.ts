// What differs between two trees. Directories with equal ids are not read: the work is in proportion
// to the change.

import { must } from '../base/assert.ts'
import { compareUtf8 } from '../base/bytes.ts'
import type { Path } from '../model/path.ts'
import { joinPath } from '../model/path.ts'
import { fileEntryOf } from './entries.ts'
import type { DirNode, Item } from './node.ts'
import { EMPTY_DIR, sameItem } from './node.ts'
import type { Change } from './objects.ts'
import type { PackStore } from './store.ts'
import { filesBelow } from './walk.ts'

/** One name on both sides, where they differ. */
export interface Pair {
  readonly name: string
  readonly old: Item | undefined
  readonly new: Item | undefined
}

/** The children that differ, in byte order of their names. */
export function* differing(a: DirNode, b: DirNode): Generator<Pair> {
  let i = 0
  let j = 0
  while (i < a.items.length || j < b.items.length) {
    const order =
      i >= a.items.length
        ? 1
        : j >= b.items.length
          ? -1
          : compareUtf8(must(a.names[i], 'name'), must(b.names[j], 'name'))
    const name = must(order <= 0 ? a.names[i] : b.names[j], 'name')
    const old = order <= 0 ? a.items[i++] : undefined
    const now = order >= 0 ? b.items[j++] : undefined
    if (!sameItem(old, now)) yield { name, old, new: now }
  }
}

export async function dirOrEmpty(store: PackStore, item: Item | undefined): Promise<DirNode> {
  return item?.isDir ? store.dir(item) : EMPTY_DIR
}

/** All files below that differ. Both items may be files, directories or nothing. */
export async function* diffItems(
  store: PackStore,
  path: Path,
  old: Item | undefined,
  now: Item | undefined,
): AsyncGenerator<Change> {
  if (sameItem(old, now)) return
  const oldFile = old && !old.isDir ? fileEntryOf(store.ids, path, old) : undefined
  const newFile = now && !now.isDir ? fileEntryOf(store.ids, path, now) : undefined
  // A file's path comes before the paths below a directory of the same name.
  if (oldFile || newFile) yield { path, old: oldFile, new: newFile }
  if (!old?.isDir && !now?.isDir) return
  if (!old?.isDir || !now?.isDir) {
    const only = (old?.isDir ? old : now) as Item
    for await (const file of filesBelow(store, path, only))
      yield only === old
        ? { path: file.path, old: file, new: undefined }
        : { path: file.path, old: undefined, new: file }
    return
  }
  const [a, b] = await Promise.all([dirOrEmpty(store, old), dirOrEmpty(store, now)])
  for (const pair of differing(a, b))
    yield* diffItems(store, joinPath(path, pair.name), pair.old, pair.new)
}
