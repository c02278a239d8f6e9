// Globs over trees: only directories that can still lead to a match are read.

import { must } from '../base/assert.ts'
import type { Path } from '../model/path.ts'
import { joinPath, ROOT } from '../model/path.ts'
import { childAt, differing, leaves } from './directory.ts'
import type { Glob, Progress } from './glob.ts'
import { sameItem } from './node.ts'
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
  const only = glob.literal(from)
  if (only !== undefined) {
    const item = await childAt(store, dir, only)
    if (item) yield* matching(store, joinPath(path, only), item, glob, glob.advance(from, only))
    return
  }
  for await (const { names, items } of leaves(store, dir))
    for (let i = 0; i < names.length; i++) {
      const name = must(names[i], 'name')
      const at = glob.advance(from, name)
      if (at) yield* matching(store, joinPath(path, name), must(items[i], name), glob, at)
    }
}

async function* matching(
  store: PackStore,
  path: Path,
  item: Item,
  glob: Glob,
  at: Progress | undefined,
): AsyncGenerator<{ path: Path; item: Item }> {
  if (!at) return
  if (at.accepts) yield { path, item }
  const inside = item.isDir && glob.advance(at, '/')
  if (inside) yield* below(store, path, item, glob, inside)
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
  for await (const pair of differing(store, old, now)) {
    const at = glob.advance(from, pair.name)
    if (!at) continue
    const childPath = joinPath(path, pair.name)
    if (at.accepts) yield { path: childPath, old: pair.old, new: pair.new }
    const inside = (pair.old?.isDir || pair.new?.isDir) && glob.advance(at, '/')
    if (inside) yield* differingBelow(store, childPath, pair.old, pair.new, glob, inside)
  }
}
