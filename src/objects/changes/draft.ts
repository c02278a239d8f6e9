// Changes: what a writer collects in memory, and what several runs come to together.
//
// A Draft stands for a directory that is touched. Its children are Drafts, or Items as runs hold them (a
// file, a mark, a directory by reference). Layers are Drafts and directories of runs over one another.
// Of both, `under` is what lies beneath:
//   'base'   whatever the base has at this place
//   null     nothing: it was deleted, then written anew
//   an Item  a directory copied here, then written into

import { compareUtf8 } from '../../base/bytes.ts'
import { APPEND, GONE, Item, JOIN, joined } from '../trees/item.ts'

export type Under = 'base' | null | Item

export type Child = Draft | Item

export class Draft {
  readonly under: Under
  readonly children = new Map<string, Child>()

  constructor(under: Under = 'base') {
    this.under = under
  }

  /** In byte order. */
  names(): string[] {
    const names = [...this.children.keys()]
    // Most come in order; and the order of UTF-16 is that of UTF-8 unless there are surrogates.
    if (isSorted(names)) return names
    names.sort()
    return isSorted(names) ? names : names.sort(compareUtf8)
  }
}

function isSorted(names: readonly string[]): boolean {
  for (let i = 1; i < names.length; i++)
    if (compareUtf8(names[i - 1] as string, names[i] as string) > 0) return false
  return true
}

/** A directory that is changed; later layers lie over earlier ones, and of a Draft here only its children count. */
export class Layers {
  readonly under: Under
  readonly over: Child[]

  constructor(under: Under, over: Child[]) {
    this.under = under
    this.over = over
  }
}

/** A file against a directory: nobody can say which was meant. */
export const CLASH = Symbol('a file against a directory')

/** What stands at a name after `over`, which is no run's directory, came on top of `below`. */
export function stack<D extends Draft | Layers>(
  below: D | Item | undefined,
  over: Item,
): Item | typeof CLASH {
  if (over.kind === GONE || over.replaces || below === undefined) return over
  if (!(below instanceof Item) || below.isDir) return CLASH
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

/** What lies under a directory that is written into where `there` stands; undefined: a file is there. */
function underAt(there: Item): Under | undefined {
  if (there.kind === GONE) return null
  return there.isDir && there.replaces ? there.replacing(false) : undefined
}

/** The draft at `name`, made if there is none; undefined: a file is there. */
export function enter(parent: Draft, name: string): Draft | undefined {
  const there = parent.children.get(name)
  if (there instanceof Draft) return there
  const under = there ? underAt(there) : 'base'
  if (under === undefined) return undefined
  const draft = new Draft(under)
  parent.children.set(name, draft)
  return draft
}

/** A directory of changes over what stands at its name; undefined: a file is there. */
export function layered(there: Item | Layers, over: Child): Layers | undefined {
  if (there instanceof Layers) {
    there.over.push(over)
    return there
  }
  if (there.isDir && !there.replaces) return new Layers('base', [there, over])
  const under = underAt(there)
  return under === undefined ? undefined : new Layers(under, [over])
}
