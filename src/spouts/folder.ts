// Where the files of a part go. File names are made of ordinals, and the ordinals of a source that was
// made again begin anew: in one folder its files would take the place of the old ones.

import type { Objects } from '../objects/objects.ts'
import { joinPath, parsePath } from '../model/path.ts'
import type { Path } from '../model/path.ts'
import type { TreeRef } from '../model/tree-ref.ts'

const POISON = parsePath('_poison')
const SHORT_CHARS = 8

/** Of what cannot be a line. */
export function poisonFolder(folder: Path): Path {
  return joinPath(POISON, folder)
}

/** The names a part's folder may have, best first: the part's own, then with its identity. Endless. */
export function* folderNames(part: string, identity: string | null): Generator<Path, never> {
  yield parsePath(part)
  const short = (identity ?? '').replace(/[^A-Za-z0-9_-]/g, '').slice(0, SHORT_CHARS)
  if (short !== '') yield parsePath(`${part}@${short}`)
  for (let n = 2; ; n++) yield parsePath(short === '' ? `${part}@${n}` : `${part}@${short}.${n}`)
}

/** The first name that nothing in the tree has, nor anybody who claims it. */
export async function freeFolder(
  objects: Objects,
  root: TreeRef | null,
  claimed: ReadonlySet<string>,
  of: { readonly part: string; readonly identity: string | null },
): Promise<Path> {
  for (const name of folderNames(of.part, of.identity)) {
    if (claimed.has(name)) continue
    if (await objects.stat(root, name)) continue
    if (!(await objects.stat(root, poisonFolder(name)))) return name
  }
  throw new Error('unreachable: the names have no end')
}
