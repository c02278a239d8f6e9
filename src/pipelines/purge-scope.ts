// What jobs keep of some paths of a repo beside its commits. A purge takes it along: results of datums that
// put the paths out, with the records that name those results, so that nobody counts on them again; and roots
// that plans still read of commits which are dropped by now.

import type { DatumRecord } from '../model/datum.ts'
import type { Job } from '../model/entities.ts'
import type { Path } from '../model/path.ts'
import { joinPath, ROOT } from '../model/path.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { Objects } from '../objects/objects.ts'
import type { PurgeScope } from '../versions/purge-scope.ts'
import type { Versions } from '../versions/versions.ts'
import { outputPath, readRecord, readText, recordPath, records } from './datum-tree.ts'
import { readMeta } from './plan.ts'
import { keptJobs } from './roots.ts'

/** A path of a tree that may be there. */
export interface KeptPath {
  readonly ref: TreeRef
  readonly path: Path
}

/** @throws VarveError CORRUPT, UNAVAILABLE */
export async function* keptByJobs(
  versions: Versions,
  { project, repo, paths }: PurgeScope,
): AsyncGenerator<KeptPath> {
  const { objects } = versions
  for await (const { pipeline, job, reads } of keptJobs(versions, project)) {
    const own = pipeline === repo
    if (own) yield* ofResults(objects, job, paths)
    if (!reads) continue
    const { inputs, base } = await readMeta(objects, job.plan)
    for (const { project: from, repo: name, root } of inputs)
      if (from === project && name === repo) yield* each(root, paths)
    if (!own || !base) continue
    yield* each(base.root, paths)
    yield* ofResults(objects, base, paths)
  }
  for await (const job of versions.datumTreesOf(project, repo))
    yield* ofResults(objects, job, paths)
}

function* each(ref: TreeRef, paths: readonly Path[], below: Path = ROOT): Generator<KeptPath> {
  for (const path of paths) yield { ref, path: joinPath(below, path) }
}

async function* ofResults(
  objects: Objects,
  { datumTree, ownerTree }: Pick<Job, 'datumTree' | 'ownerTree'>,
  paths: readonly Path[],
): AsyncGenerator<KeptPath> {
  if (!datumTree) return
  const found = ownerTree
    ? owners(objects, { datumTree, ownerTree }, paths)
    : records(objects, datumTree)
  for await (const { id, tree, files } of found) {
    let has = false
    for (const at of each(tree, paths, outputPath(id)))
      if (files > 0 && (await objects.stat(at.ref, at.path))) {
        has = true
        yield at
      }
    if (has) yield { ref: datumTree, path: recordPath(id) }
  }
}

/** Of the datums that made the paths, or something below them. */
async function* owners(
  objects: Objects,
  { datumTree, ownerTree }: { readonly datumTree: TreeRef; readonly ownerTree: TreeRef },
  paths: readonly Path[],
): AsyncGenerator<DatumRecord> {
  for (const path of paths) {
    if (!(await objects.stat(ownerTree, path))) continue
    for await (const { path: output } of objects.walk(ownerTree, path)) {
      const id = await readText(objects, ownerTree, output)
      const record = id === undefined ? undefined : await readRecord(objects, datumTree, id)
      if (record) yield record
    }
  }
}
