// Changes held in memory: what a writer collects, and what several runs come to together.
//
// A Draft stands for a directory that is touched. `under` is what lies beneath its children:
//   'base'   whatever the base has at this place
//   null     nothing: it was deleted, then written anew
//   an Item  a directory copied here, then written into
// A child is a Draft, or an Item as runs hold them (a file, a mark, a directory by reference).

import { must } from '../base/assert.ts'
import type { DirNode } from './node.ts'
import { APPEND, GONE, Item, JOIN, joined } from './node.ts'

export type Under = 'base' | null | Item

export type Child = Draft | Item

export class Draft {
  readonly under: Under
  readonly children = new Map<string, Child>()

  constructor(under: Under = 'base') {
    this.under = under
  }
}

/** The draft that says the same as a run's directory; its subdirectories stay by reference. */
export function draftOf(node: DirNode): Draft {
  const draft = new Draft(node.replaces ? null : 'base')
  node.names.forEach((name, i) => draft.children.set(name, must(node.items[i], 'item')))
  return draft
}

/** A file against a directory: nobody can say which was meant. */
export const CLASH = Symbol('a file against a directory')

/** What stands at a name after `over`, which is no run's directory, came on top of `below`. */
export function stack(below: Child | undefined, over: Item): Child | typeof CLASH {
  if (over.kind === GONE || over.replaces || below === undefined) return over
  if (below instanceof Draft || below.isDir) return CLASH
  const appends = over.kind === APPEND
  if (below.kind === GONE) return appends ? whole(over.parts, true) : over.replacing(true)
  if (!appends) return over.replacing(below.replaces)
  const parts = below.isFile ? [below.replacing(false)] : below.parts
  const kind = below.kind === APPEND ? APPEND : JOIN
  return joined(kind, [...parts, ...over.parts], below.replaces)
}

function whole(parts: readonly Item[], replaces: boolean): Item {
  const [only] = parts
  return only && parts.length === 1 ? only.replacing(replaces) : joined(JOIN, parts, replaces)
}

/**
 * The draft at `name`, made if there is none; undefined: a file is there. A directory of a run that
 * is there by reference must have been opened before (see `compose`).
 */
export function enter(parent: Draft, name: string): Draft | undefined {
  const there = parent.children.get(name)
  if (there instanceof Draft) return there
  let under: Under = 'base'
  if (there) {
    if (there.kind === GONE) under = null
    else if (there.isDir && there.replaces) under = there.replacing(false)
    else return undefined
  }
  const draft = new Draft(under)
  parent.children.set(name, draft)
  return draft
}

/** Whether nothing is written here: deletes below a file have nothing to delete, and no conflict. */
export async function onlyDeletes(
  dir: Draft | DirNode,
  open: (item: Item) => DirNode | Promise<DirNode>,
): Promise<boolean> {
  if (dir instanceof Draft && dir.under instanceof Item) return false
  const children = dir instanceof Draft ? dir.children.values() : dir.items
  for (const child of children) {
    if (child instanceof Draft) {
      if (!(await onlyDeletes(child, open))) return false
    } else if (child.isDir && !child.replaces) {
      if (!(await onlyDeletes(await open(child), open))) return false
    } else if (child.kind !== GONE) return false
  }
  return true
}

/**
 * Puts a run's directory on top of a draft.
 * @param open reads a directory of a run
 * @param clash is told the paths where a file met a directory
 */
export async function compose(
  draft: Draft,
  over: DirNode,
  open: (item: Item) => DirNode | Promise<DirNode>,
  clash: (path: string) => void,
  prefix = '',
): Promise<void> {
  for (let i = 0; i < over.items.length; i++) {
    const name = must(over.names[i], 'name')
    const item = must(over.items[i], 'item')
    const below = draft.children.get(name)
    if (!item.isDir || item.replaces || below === undefined) {
      const result = stack(below, item)
      if (result === CLASH) clash(prefix + name)
      else draft.children.set(name, result)
      continue
    }
    if (below instanceof Item && below.isDir && !below.replaces)
      draft.children.set(name, draftOf(await open(below)))
    const inner = enter(draft, name)
    if (!inner && (await onlyDeletes(await open(item), open))) continue
    if (inner) await compose(inner, await open(item), open, clash, `${prefix}${name}/`)
    else clash(prefix + name)
  }
}
