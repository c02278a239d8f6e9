// After the last chunk: output, owner tree and datum tree of a job, from those of its base.
//
//   output = base, without the paths owned by removed and changed datums, plus what the new runs put
//
// - A path has one owner. A path that two runs put, or that a datum owns which did not change, fails the job.
//   It shows in the number of owners: they are fewer than were put. Only then is it looked for.
// - Nothing here reads what did not change, and no data moves.
// - Everything streams: what is held is what the writers hold, whatever the number of paths.

import { EMPTY, utf8 } from '../base/bytes.ts'
import { isVarveError } from '../base/errors.ts'
import type { DatumRecord } from '../model/datum.ts'
import type { DatumCounts } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { Path } from '../model/path.ts'
import { ROOT } from '../model/path.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { FileEntry, MergeResult, Objects, TreeWriter } from '../objects/objects.ts'
import { encodeRecord, outputsOf, readRecord, recordPath, unsettledPath } from './datum-tree.ts'
import { fileAndFolder, samePath } from './merge-conflict.ts'
import type { Put } from './merge-conflict.ts'
import { readRemoved, readReused } from './plan.ts'
import type { PlanMeta } from './plan.ts'
import { readResults } from './results.ts'

export interface MergedJob {
  readonly output: MergeResult | null
  readonly ownerTree: TreeRef | null
  readonly datumTree: TreeRef
  readonly counts: DatumCounts
  /** The first of the datums that failed, in the order of the plan. */
  readonly firstFailed: DatumRecord | null
  /** Two datums and the path both put; then there is no output. */
  readonly conflict: string | null
}

/** A job of which all chunks that count are done. */
interface DoneJob {
  readonly id: Id
  readonly plan: TreeRef
  readonly meta: PlanMeta
}

/**
 * One tree being built: what goes, and after it what comes, so that a path may do both, and a file may
 * take the place of a folder that goes, or the other way round.
 */
class Edit {
  readonly #objects: Objects
  #base: TreeRef | null
  #writer: TreeWriter
  #deletes = 0

  constructor(objects: Objects, base: TreeRef | null) {
    this.#objects = objects
    this.#base = base
    this.#writer = objects.writer(base)
  }

  async delete(path: Path): Promise<void> {
    this.#deletes++
    await this.#writer.delete(path)
  }

  /** Nothing goes any more. What is left of the base. */
  async turn(): Promise<TreeRef | null> {
    if (this.#deletes > 0) {
      this.#base = (await this.#writer.finishOnto(this.#base)).root
      this.#writer = this.#objects.writer(this.#base)
    }
    return this.#base
  }

  get come(): TreeWriter {
    return this.#writer
  }

  /** A job's output has no other writer: nothing came between. */
  finish(): Promise<MergeResult> {
    return this.#writer.finishOnto(this.#base)
  }

  abandon(): void {
    this.#writer.abandon()
  }
}

/** `results`: the result trees of the chunks that are done. */
export async function mergeJob(
  objects: Objects,
  job: DoneJob,
  results: readonly TreeRef[],
): Promise<MergedJob> {
  const { base, total, reuse: reused } = job.meta
  const output = new Edit(objects, base?.root ?? null)
  const owners = new Edit(objects, base?.ownerTree ?? null)
  const datums = new Edit(objects, base?.datumTree ?? null)
  for await (const id of readRemoved(objects, job.plan)) {
    const record = await readRecord(objects, base?.datumTree, id)
    if (!record) continue
    await datums.delete(recordPath(id))
    if (record.state !== 'success') await datums.delete(unsettledPath(id))
    for await (const { path } of outputsOf(objects, record)) {
      await output.delete(path)
      await owners.delete(path)
    }
  }
  const [kept] = await Promise.all([owners.turn(), output.turn(), datums.turn()])

  let paths = (await objects.stats(kept)).files
  /** Where a file met a folder: nothing more is put. */
  let clash: Path | undefined
  const counts = { ran: 0, failed: 0, recovered: 0, codeChanged: 0 }
  let firstFailed: DatumRecord | null = null
  for await (const record of recordsOf(objects, job, results)) {
    if (record.job === job.id) {
      counts.ran++
      if (record.state === 'failed') {
        counts.failed++
        firstFailed ??= record
      }
      if (record.state === 'recovered') counts.recovered++
      if (record.why === 'code-changed') counts.codeChanged++
    }
    await datums.come.put(recordPath(record.id), encodeRecord(record))
    if (record.state !== 'success') await datums.come.put(unsettledPath(record.id), EMPTY)
    if (clash !== undefined) continue
    clash = await clashOf(async () => {
      for await (const { path, id, entry } of putsOf(objects, record)) {
        paths++
        await output.come.copy(path, entry)
        await owners.come.put(path, utf8(id))
      }
    })
  }

  const datumTree = (await datums.finish()).root
  let merged: MergeResult | undefined
  let owned: MergeResult | undefined
  if (clash === undefined)
    clash = await clashOf(async () => {
      ;[merged, owned] = await Promise.all([output.finish(), owners.finish()])
    })
  else {
    output.abandon()
    owners.abandon()
  }
  const puts = allPuts(objects, job, results)
  let conflict: string | null = null
  if (clash !== undefined) conflict = await fileAndFolder(objects, puts, kept, clash)
  else if (owned && owned.stats.files < paths)
    conflict = await samePath(objects, puts, kept, owned.root)
  const stands = conflict === null
  return {
    output: stands && merged ? merged : null,
    ownerTree: stands && owned ? owned.root : null,
    datumTree,
    counts: { ...counts, total, reused },
    firstFailed,
    conflict,
  }
}

/** Of this job's own runs, then of others that count for it. */
async function* recordsOf(
  objects: Objects,
  job: DoneJob,
  results: readonly TreeRef[],
): AsyncGenerator<DatumRecord> {
  for (const tree of results) yield* readResults(objects, job.id, tree)
  yield* readReused(objects, job.plan)
}

async function* putsOf(
  objects: Objects,
  record: DatumRecord,
): AsyncGenerator<Put & { readonly entry: FileEntry }> {
  if (record.state !== 'success') return
  for await (const output of outputsOf(objects, record)) yield { ...output, id: record.id }
}

async function* allPuts(
  objects: Objects,
  job: DoneJob,
  results: readonly TreeRef[],
): AsyncGenerator<Put> {
  for await (const record of recordsOf(objects, job, results)) yield* putsOf(objects, record)
}

/** The path at which a file met a folder, if that is what ended it. */
async function clashOf(work: () => Promise<void>): Promise<Path | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (!isVarveError(error, 'PATH_CONFLICT')) throw error
    const paths = error.details?.['paths'] as readonly Path[] | undefined
    return paths?.[0] ?? ROOT
  }
}
