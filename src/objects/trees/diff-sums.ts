// What differs between two trees, summed up directory by directory. Equal directories are not read, and
// neither is one that stands on one side only: it knows how many files and bytes it holds.
//
// A directory comes after those below it, as its sums are known then; so what is held is one row for each
// directory on the way down.

import type { Path } from '../../model/path.ts'
import { joinPath } from '../../model/path.ts'
import type { DirectoryChange } from '../objects.ts'
import type { PackStore } from '../store.ts'
import { foreseen } from './diff.ts'
import type { Pair } from './directory.ts'
import { differing } from './directory.ts'
import type { Item } from './item.ts'
import { sameItem } from './item.ts'

/**
 * The directories at `path` and below that differ, to `depth` levels below it (0: itself alone). One that
 * stands on one side only is a row of its own and is not taken apart.
 */
export async function* diffSums(
  store: PackStore,
  path: Path,
  old: Item | undefined,
  now: Item | undefined,
  depth: number,
): AsyncGenerator<DirectoryChange> {
  if (sameItem(old, now)) return
  const sums = new Sums()
  if (areDirs({ old, new: now })) yield* below(store, path, old, now, depth, sums)
  else sums.take(old, now)
  yield { path, ...sums.said }
}

async function* below(
  store: PackStore,
  path: Path,
  old: Item | undefined,
  now: Item | undefined,
  depth: number,
  sums: Sums,
): AsyncGenerator<DirectoryChange> {
  for await (const pair of foreseen(store, differing(store, old, now), areDirs)) {
    const isDir = pair.old?.isDir || pair.new?.isDir
    const own = isDir && depth > 0 ? new Sums() : sums
    const childPath = joinPath(path, pair.name)
    if (areDirs(pair)) yield* below(store, childPath, pair.old, pair.new, depth - 1, own)
    // Of a file that gave way to a directory, or the other way round, the file is its parent's.
    else if (own === sums) sums.take(pair.old, pair.new)
    else {
      own.take(dirOf(pair.old), dirOf(pair.new))
      sums.take(fileOf(pair.old), fileOf(pair.new))
    }
    if (own === sums) continue
    sums.add(own)
    yield { path: childPath, ...own.said }
  }
}

const areDirs = (pair: Omit<Pair, 'name'>): boolean => Boolean(pair.old?.isDir && pair.new?.isDir)
const dirOf = (item: Item | undefined): Item | undefined => (item?.isDir ? item : undefined)
const fileOf = (item: Item | undefined): Item | undefined => (item?.isDir ? undefined : item)

class Sums {
  #addedFiles = 0
  #addedBytes = 0
  #changedFiles = 0
  #oldBytes = 0
  #newBytes = 0
  #deletedFiles = 0
  #deletedBytes = 0

  /** What differs at one name, where not both are directories. */
  take(old: Item | undefined, now: Item | undefined): void {
    if (old && now && !old.isDir && !now.isDir) {
      this.#changedFiles++
      this.#oldBytes += old.sizeBytes
      this.#newBytes += now.sizeBytes
      return
    }
    if (old) {
      this.#deletedFiles += old.files
      this.#deletedBytes += old.sizeBytes
    }
    if (now) {
      this.#addedFiles += now.files
      this.#addedBytes += now.sizeBytes
    }
  }

  add(other: Sums): void {
    this.#addedFiles += other.#addedFiles
    this.#addedBytes += other.#addedBytes
    this.#changedFiles += other.#changedFiles
    this.#oldBytes += other.#oldBytes
    this.#newBytes += other.#newBytes
    this.#deletedFiles += other.#deletedFiles
    this.#deletedBytes += other.#deletedBytes
  }

  get said(): Omit<DirectoryChange, 'path'> {
    return {
      added: { files: this.#addedFiles, bytes: this.#addedBytes },
      changed: { files: this.#changedFiles, oldBytes: this.#oldBytes, newBytes: this.#newBytes },
      deleted: { files: this.#deletedFiles, bytes: this.#deletedBytes },
    }
  }
}
