// After the last chunk: output, owner tree and datum tree of a job, from those of its base.
//
//   output = base, without the paths owned by removed and changed datums, plus what the new runs put
//
// A path has one owner. A path that two runs put, or that a datum owns which did not change, fails the
// job. Nothing here reads what did not change, and no data moves.

import { EMPTY, utf8 } from '../base/bytes.ts'
import { isVarveError } from '../base/errors.ts'
import type { DatumRecord } from '../model/datum.ts'
import type { DatumCounts, TreeStats } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { Path } from '../model/path.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { Objects, TreeWriter } from '../objects/objects.ts'
import {
  encodeRecord,
  outputsOf,
  readRecord,
  readText,
  recordPath,
  unsettledPath,
} from './datum-tree.ts'
import { readRemoved, readReused } from './plan.ts'
import type { PlanMeta } from './plan.ts'
import { readResults } from './results.ts'

export interface MergedJob {
  readonly output: { readonly root: TreeRef; readonly stats: TreeStats } | null
  readonly ownerTree: TreeRef | null
  readonly datumTree: TreeRef
  readonly counts: DatumCounts
  /** The first of the datums that failed, in the order of the plan. */
  readonly firstFailed: DatumRecord | null
  /** Two datums and the path both put; then there is no output. */
  readonly conflict: string | null
}

/** One tree being built: what goes, and after it what comes, so that a path may do both. */
class Edit {
  readonly #objects: Objects
  readonly #base: TreeRef | null
  readonly gone: TreeWriter
  readonly come: TreeWriter
  #deletes = 0

  constructor(objects: Objects, base: TreeRef | null) {
    this.#objects = objects
    this.#base = base
    this.gone = objects.writer(base)
    this.come = objects.writer(base)
  }

  async delete(path: Path): Promise<void> {
    this.#deletes++
    await this.gone.delete(path)
  }

  async finish(): Promise<{ root: TreeRef; stats: TreeStats }> {
    // One after the other: a file may take the place of a folder that goes, or the other way round.
    // What the runs' author saw is the tree itself: a job's output has no other writer.
    let base = this.#base
    if (this.#deletes > 0)
      base = (await this.#objects.merge(base, [await this.gone.finish()], base)).root
    else this.gone.abandon()
    return this.#objects.merge(base, [await this.come.finish()], base)
  }

  abandon(): void {
    this.gone.abandon()
    this.come.abandon()
  }
}

/** `results`: the result trees of the chunks that are done. */
export async function mergeJob(
  objects: Objects,
  job: { readonly id: Id; readonly plan: TreeRef; readonly meta: PlanMeta },
  results: readonly TreeRef[],
): Promise<MergedJob> {
  const { base } = job.meta
  const output = new Edit(objects, base?.root ?? null)
  const owners = new Edit(objects, base?.ownerTree ?? null)
  const datums = new Edit(objects, base?.datumTree ?? null)
  const removed = new Set<string>()
  for await (const id of readRemoved(objects, job.plan)) {
    removed.add(id)
    const record = await readRecord(objects, base?.datumTree, id)
    if (!record) continue
    await datums.delete(recordPath(id))
    if (record.state !== 'success') await datums.delete(unsettledPath(id))
    for await (const { path } of outputsOf(objects, record)) {
      await output.delete(path)
      await owners.delete(path)
    }
  }

  const putBy = new Map<Path, string>()
  let conflict: string | null = null
  let firstFailed: DatumRecord | null = null
  const counts = { ran: 0, failed: 0, recovered: 0, codeChanged: 0 }
  /** Two datums of which one puts a file where the other has a folder. */
  const fileAndFolder = async (path: string): Promise<string> => {
    const owned = [...putBy].filter(([each]) => isAbove(each, path) || isAbove(path, each))
    if (base)
      for await (const entry of objects.walk(base.ownerTree)) {
        if (!isAbove(entry.path, path) && !isAbove(path, entry.path)) continue
        const owner = await ownerBefore(objects, base.ownerTree, entry.path, removed)
        if (owner !== undefined) owned.push([entry.path, owner])
      }
    const named = owned.slice(0, 2).map(([each, id]) => `"/${each}" of datum ${id.slice(0, 8)}`)
    return `a file stands where a folder is: ${named.join(' and ')}`
  }
  const add = async (record: DatumRecord): Promise<void> => {
    await datums.come.put(recordPath(record.id), encodeRecord(record))
    if (record.state !== 'success') await datums.come.put(unsettledPath(record.id), EMPTY)
    else
      for await (const { path, entry } of outputsOf(objects, record)) {
        const other =
          putBy.get(path) ?? (await ownerBefore(objects, base?.ownerTree, path, removed))
        if (other !== undefined && other !== record.id)
          conflict ??= `"/${path}" is put by datum ${other.slice(0, 8)} and by ${record.id.slice(0, 8)}`
        putBy.set(path, record.id)
        if (conflict !== null) continue
        try {
          await output.come.copy(path, entry)
          await owners.come.put(path, utf8(record.id))
        } catch (error) {
          if (!isVarveError(error, 'PATH_CONFLICT')) throw error
          conflict = await fileAndFolder(path)
        }
      }
  }
  for (const tree of results)
    for await (const record of readResults(objects, job.id, tree)) {
      counts.ran++
      if (record.state === 'failed') {
        counts.failed++
        firstFailed ??= record
      }
      if (record.state === 'recovered') counts.recovered++
      if (record.why === 'code-changed') counts.codeChanged++
      await add(record)
    }
  for await (const record of readReused(objects, job.plan)) await add(record)

  const all = { ...counts, total: job.meta.total, reused: job.meta.reuse }
  const datumTree = (await datums.finish()).root
  if (conflict === null)
    try {
      const [merged, ownerTree] = await Promise.all([output.finish(), owners.finish()])
      return {
        output: merged,
        ownerTree: ownerTree.root,
        datumTree,
        counts: all,
        firstFailed,
        conflict,
      }
    } catch (error) {
      // A file of one datum where another has a directory.
      if (!isVarveError(error, 'PATH_CONFLICT')) throw error
      const paths = error.details?.['paths']
      conflict = await fileAndFolder(String(Array.isArray(paths) ? paths[0] : ''))
    }
  else {
    output.abandon()
    owners.abandon()
  }
  return { output: null, ownerTree: null, datumTree, counts: all, firstFailed, conflict }
}

/** The datum of the base that owns a path and still stands. */
async function ownerBefore(
  objects: Objects,
  ownerTree: TreeRef | undefined,
  path: Path,
  removed: ReadonlySet<string>,
): Promise<string | undefined> {
  if (ownerTree === undefined) return undefined
  const owner = await readText(objects, ownerTree, path)
  return owner === undefined || removed.has(owner) ? undefined : owner
}

function isAbove(path: string, other: string): boolean {
  return path === other || other.startsWith(`${path}/`)
}
