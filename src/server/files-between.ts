// Some of the files below a directory, in path order: a reader that broke off goes on in the middle, and
// what lies before is not walked.

import { VarveError } from '../base/errors.ts'
import type { Path } from '../model/path.ts'
import { parsePath, ROOT } from '../model/path.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { FileEntry, Objects } from '../objects/objects.ts'
import { comparePaths } from '../objects/trees/walk.ts'

export interface Between {
  /** Files after this path; of a directory those behind it, not in it. */
  readonly after?: string | undefined
  /** Up to this path, and with it. */
  readonly to?: string | undefined
}

type Trees = Pick<Objects, 'list' | 'walk'>

/** @throws VarveError INVALID_PATH, INVALID_OPTION: a bound does not lie below `base` */
export async function* filesBetween(
  trees: Trees,
  root: TreeRef | null,
  base: Path,
  { after, to }: Between,
): AsyncGenerator<FileEntry> {
  const last = to === undefined ? undefined : boundIn(base, to)
  const files =
    after === undefined
      ? trees.walk(root, base)
      : filesAfter(trees, root, base, boundIn(base, after))
  for await (const file of files) {
    if (last !== undefined && comparePaths(file.path, last) > 0) return
    yield file
  }
}

function boundIn(base: Path, text: string): Path {
  const path = parsePath(text)
  if (base === ROOT || path === base || path.startsWith(`${base}/`)) return path
  throw new VarveError(
    'INVALID_OPTION',
    `cannot begin or end at "${path}": it is not below "${base}"`,
  )
}

/** What comes behind `path` in its directory, then in the one above, until that is `base`. */
async function* filesAfter(
  trees: Trees,
  root: TreeRef | null,
  base: Path,
  path: Path,
): AsyncGenerator<FileEntry> {
  for (let at = path; at !== base;) {
    const slash = at.lastIndexOf('/')
    const parent = parsePath(at.slice(0, Math.max(0, slash)))
    for await (const entry of trees.list(root, parent, { after: at.slice(slash + 1) }))
      if (entry.kind === 'file') yield entry
      else yield* trees.walk(root, entry.path)
    at = parent
  }
}
