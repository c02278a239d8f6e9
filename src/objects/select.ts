// Globs over trees: only directories that can still lead to a match are read.

import { must } from '../base/assert.ts'
import type { Path } from '../model/path.ts'
import { joinPath, ROOT } from '../model/path.ts'
import { differing, dirOrEmpty } from './diff.ts'
import type { Glob, Progress } from './glob.ts'
import { childOf, sameItem } from './node.ts'
import type { Item } from './node.ts'
import type { PackStore } from './store.ts'

/** Files and directories that match, in path order; a directory comes before what is below it. */
export async function* selectMatching(
  store: PackStore,
  root: Item | undefined,
  glob: Glob,
): AsyncGenerator<{ path: Path; item: Item }> {
  if (!root) return
  if (glob.whole) yield { path: ROOT, item: root }
  const start = glob.advance(glob.start(), '/')
  if (start && !glob.whole) yield* below(store, ROOT, root, glob, start)
}

async function* below(
  store: PackStore,
  path: Path,
  dir: Item,
  glob: Glob,
  from: Progress,
): AsyncGenerator<{ path: Path; item: Item }> {
  const node = await store.dir(dir)
  const only = glob.literal(from)
  const names = only === undefined ? node.names : [only]
  for (let i = 0; i < names.length; i++) {
    const name = must(names[i], 'name')
    const item = only === undefined ? node.items[i] : childOf(node, name)
    const at = item && glob.advance(from, name)
    if (!item || !at) continue
    const childPath = joinPath(path, name)
    if (at.accepts) yield { path: childPath, item }
    const inside = item.isDir && glob.advance(at, '/')
    if (inside) yield* below(store, childPath, item, glob, inside)
  }
}

export interface Differing {
  readonly path: Path
  readonly old: Item | undefined
  readonly new: Item | undefined
}

/** What matches on either side and is not the same on both. */
export async function* selectDiffering(
  store: PackStore,
  old: Item | undefined,
  now: Item | undefined,
  glob: Glob,
): AsyncGenerator<Differing> {
  if (sameItem(old, now)) return
  if (glob.whole) yield { path: ROOT, old, new: now }
  const start = glob.advance(glob.start(), '/')
  if (start && !glob.whole) yield* differingBelow(store, ROOT, old, now, glob, start)
}

async function* differingBelow(
  store: PackStore,
  path: Path,
  old: Item | undefined,
  now: Item | undefined,
  glob: Glob,
  from: Progress,
): AsyncGenerator<Differing> {
  const [a, b] = await Promise.all([dirOrEmpty(store, old), dirOrEmpty(store, now)])
  for (const pair of differing(a, b)) {
    const at = glob.advance(from, pair.name)
    if (!at) continue
    const childPath = joinPath(path, pair.name)
    if (at.accepts) yield { path: childPath, old: pair.old, new: pair.new }
    const inside = (pair.old?.isDir || pair.new?.isDir) && glob.advance(at, '/')
    if (inside) yield* differingBelow(store, childPath, pair.old, pair.new, glob, inside)
  }
}
