// What differs between two trees. Directories with equal ids are not read: the work is in proportion
// to the change.

import type { Path } from '../../model/path.ts'
import { joinPath } from '../../model/path.ts'
import { fileEntryOf } from './entries.ts'
import { READ_AHEAD } from './ahead.ts'
import { differing } from './directory.ts'
import type { Pair } from './directory.ts'
import type { Item } from './item.ts'
import { sameItem } from './item.ts'
import type { Change } from '../objects.ts'
import type { PackStore } from '../store.ts'
import { filesBelow } from './walk.ts'

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
  for await (const pair of foreseen(store, differing(store, old, now)))
    yield* diffItems(store, joinPath(path, pair.name), pair.old, pair.new)
}

/** So many at once from the beginning: of few changes all are there after one wait. */
const FIRST_AHEAD = 4

/**
 * Pairs as they come, while the directories of those behind them are on their way: more each time.
 * `isOpened`: whether those of a pair will be looked at.
 */
export async function* foreseen(
  store: PackStore,
  pairs: AsyncGenerator<Pair>,
  isOpened: (pair: Pair) => boolean = () => true,
): AsyncGenerator<Pair> {
  const held: Pair[] = []
  let isMore = true
  for (let width = FIRST_AHEAD; ; width = Math.min(READ_AHEAD / 2, width * 2)) {
    while (isMore && held.length < width) {
      const { done, value } = await pairs.next()
      if (done) isMore = false
      else held.push(isOpened(value) ? onItsWay(store, value) : value)
    }
    const first = held.shift()
    if (!first) return
    yield first
  }
}

function onItsWay(store: PackStore, pair: Pair): Pair {
  for (const item of [pair.old, pair.new]) {
    const node = item?.isDir ? store.node(item) : undefined
    // Whoever stops early never looks at it.
    if (node instanceof Promise) node.catch(() => {})
  }
  return pair
}
