// Why the output of a job's datums cannot be: two put one path, or one puts a file where another has a
// folder. Only a job that fails for it pays for the answer: passes over all that was put, of which no
// more is held than the parts of one path.

import type { Path } from '../model/path.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { Objects } from '../objects/objects.ts'
import { readText } from './datum-tree.ts'

/** A path of the output, and the datum that put it. */
export interface Put {
  readonly path: Path
  readonly id: string
}

/**
 * The first path that another datum put as well; null: there is none.
 * @param kept owners of what stays of the base
 * @param owners with all that was put, the later over the earlier
 */
export async function samePath(
  objects: Objects,
  puts: AsyncIterable<Put>,
  kept: TreeRef | null,
  owners: TreeRef,
): Promise<string | null> {
  for await (const { path, id } of puts) {
    const before = await readText(objects, kept, path)
    if (before !== undefined && before !== id) return twice(path, before, id)
    const last = await readText(objects, owners, path)
    if (last !== undefined && last !== id) return twice(path, id, last)
  }
  return null
}

/** Who put a file and who something below it, around a path where the two meet. */
export async function fileAndFolder(
  objects: Objects,
  puts: AsyncIterable<Put>,
  kept: TreeRef | null,
  path: Path,
): Promise<string> {
  const above = new Map<string, string>()
  let below: Put | undefined
  const note = (put: Put): void => {
    if (isAtOrAbove(put.path, path)) {
      if (!above.has(put.path)) above.set(put.path, put.id)
    } else if (!below && isAtOrAbove(path, put.path)) below = put
  }
  for await (const put of puts) note(put)
  for (const part of upwards(path)) {
    const id = await readText(objects, kept, part)
    if (id !== undefined) note({ path: part, id })
  }
  if (!below)
    for await (const entry of objects.walk(kept, path)) {
      const id = await readText(objects, kept, entry.path)
      if (id !== undefined) note({ path: entry.path, id })
      if (below) break
    }
  const chain = [...above].toSorted(([a], [b]) => a.length - b.length)
  if (below) chain.push([below.path, below.id])
  const named = chain.slice(0, 2).map(([each, id]) => `"/${each}" of datum ${id.slice(0, 8)}`)
  return `a file stands where a folder is: ${named.join(' and ')}`
}

function twice(path: Path, one: string, other: string): string {
  return `"/${path}" is put by datum ${one.slice(0, 8)} and by ${other.slice(0, 8)}`
}

function isAtOrAbove(path: string, other: string): boolean {
  return path === other || other.startsWith(`${path}/`)
}

/** A path and all above it. */
function* upwards(path: Path): Generator<Path> {
  for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1))
    yield path.slice(0, end) as Path
}
