// Globs over trees: only directories that can still lead to a match are read, and of a large one only
// the leaves between whose bounds a name can match.

import type { Path } from '../../model/path.ts'
import { joinPath, ROOT } from '../../model/path.ts'
import { childAt, differing } from './directory.ts'
import type { Pair } from './directory.ts'
import type { Glob } from '../glob/glob.ts'
import type { Progress } from '../glob/glob-automaton.ts'
import { mayHold } from '../glob/glob-range.ts'
import { sameItem } from './item.ts'
import type { DirNode, Item } from './item.ts'
import { isInner } from './node.ts'
import type { PackStore } from '../store.ts'

/** Files and directories that match, in path order; a directory comes before what is below it. */
export async function* selectMatching(
  store: PackStore,
  root: Item | undefined,
  glob: Glob,
): AsyncGenerator<{ path: Path; item: Item }> {
  if (!root) return
  if (glob.whole) yield { path: ROOT, item: root }
  const start = glob.enter(glob.start())
  if (start) yield* below(store, ROOT, root, glob, start)
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
  for await (const node of leavesThatMay(store, dir, glob, from))
    for (let i = 0; i < node.count; i++) {
      const at = glob.advance(from, node.passingNameAt(i))
      if (at) yield* matching(store, joinPath(path, node.nameAt(i)), node.itemAt(i), glob, at)
    }
}

async function* leavesThatMay(
  store: PackStore,
  dir: Item,
  glob: Glob,
  from: Progress,
  after = '',
): AsyncGenerator<DirNode> {
  const node = await store.node(dir)
  if (!isInner(node)) {
    yield node
    return
  }
  let low = after
  for (const { name, item } of node.branches) {
    if (mayHold(glob, from, low, name)) yield* leavesThatMay(store, item, glob, from, low)
    low = name
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
  const inside = item.isDir && glob.enter(at)
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
  const start = glob.enter(glob.start())
  if (start) yield* differingBelow(store, ROOT, old, now, glob, start)
}

async function* differingBelow(
  store: PackStore,
  path: Path,
  old: Item | undefined,
  now: Item | undefined,
  glob: Glob,
  from: Progress,
): AsyncGenerator<Differing> {
  for await (const pair of differingChildren(store, old, now, glob.literal(from))) {
    const at = glob.advance(from, pair.name)
    if (!at) continue
    const childPath = joinPath(path, pair.name)
    if (at.accepts) yield { path: childPath, old: pair.old, new: pair.new }
    const inside = (pair.old?.isDir || pair.new?.isDir) && glob.enter(at)
    if (inside) yield* differingBelow(store, childPath, pair.old, pair.new, glob, inside)
  }
}

/** All, or the one of a name. */
async function* differingChildren(
  store: PackStore,
  old: Item | undefined,
  now: Item | undefined,
  only: string | undefined,
): AsyncGenerator<Pair> {
  if (only === undefined) {
    yield* differing(store, old, now)
    return
  }
  const was = old?.isDir ? await childAt(store, old, only) : undefined
  const is = now?.isDir ? await childAt(store, now, only) : undefined
  if (!sameItem(was, is)) yield { name: only, old: was, new: is }
}
