// What this room keeps from collection: plans of kept jobs and what they read, results of running ones,
// datum and owner trees, and lines of user code. The records in a datum tree, and the lines of a plan,
// name trees in their text: the collector has them read here.

import type { Job } from '../model/entities.ts'
import type { DatumRecord } from '../model/datum.ts'
import type { Fact } from '../model/ops.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { fromUtf8 } from '../base/bytes.ts'
import type { Objects } from '../objects/objects.ts'
import type { Root } from '../objects/upkeep/mark.ts'
import type { Tables } from '../tables/tables.ts'
import type { Versions } from '../versions/versions.ts'
import { LOG_SEGMENTS } from './logs.ts'
import { readMeta, readReused } from './plan.ts'
import type { WorkRows } from './work.ts'

export interface PipelineRootsGuests {
  readonly versions: Versions
  readonly tables: Tables
  readonly rows: WorkRows
}

/** Output of a datum lies in the tree its record names. */
function* namedByRecord(content: Uint8Array): Generator<TreeRef> {
  if (content.length === 0) return
  const record = JSON.parse(fromUtf8(content)) as Partial<DatumRecord>
  if (record.tree) yield record.tree
}

/** Jobs of commits that were not dropped; `reads` where the roots in the plan are kept as well. */
export async function* keptJobs(
  versions: Versions,
  project: string,
): AsyncGenerator<{ readonly pipeline: string; readonly job: Job; readonly reads: boolean }> {
  const heads = new Set<string>()
  for await (const { name } of versions.repos(project))
    for await (const { head } of versions.branches(project, name))
      if (head) heads.add(`${name} ${head.id}`)
  for await (const { name: pipeline } of versions.repos(project))
    for await (const job of versions.jobs(project, pipeline)) {
      const { commit } = job
      if ((await versions.commit(project, commit))?.dropped) continue
      const reads = job.endedAtMs === null || heads.has(`${commit.repo} ${commit.id}`)
      yield { pipeline, job, reads }
    }
}

/** All there are now, or were when this was called. */
export async function* pipelineRoots(
  guests: PipelineRootsGuests,
  project: string,
): AsyncGenerator<Root> {
  const { versions, tables, rows } = guests
  for await (const { pipeline, job, reads } of keptJobs(versions, project)) {
    yield* trees(job)
    if (reads) yield* planRoots(versions.objects, job)
    const key = { project, pipeline, job: job.commit.id }
    if (job.endedAtMs === null)
      for (let n = 0; n < job.chunks; n++) {
        const row = await rows.get({ ...key, n })
        if (row?.result) yield { ref: row.result as TreeRef }
      }
    for await (const { ref, stored } of tables.scan(LOG_SEGMENTS, key)) {
      const root = { ref: ref as TreeRef, chunk: true } as const
      if (ref) yield stored === 1 ? root : { ...root, announced: true }
    }
  }
  for await (const { name: pipeline } of versions.repos(project))
    for await (const job of versions.datumTreesOf(project, pipeline)) yield* trees(job)
}

/** Of an entry: what became a root by it. */
export async function* rootsOfJobFact(objects: Objects, fact: Fact): AsyncGenerator<Root> {
  if (fact.f !== 'job.started' && fact.f !== 'job.finished') return
  yield* trees(fact.job)
  yield* planRoots(objects, fact.job)
}

function* trees({ plan, datumTree, ownerTree }: Job): Generator<Root> {
  yield { ref: plan }
  if (ownerTree) yield { ref: ownerTree }
  if (datumTree) yield { ref: datumTree, names: namedByRecord }
}

/** A running job reads these, and so does whoever plans the next on top of the last. */
async function* planRoots(objects: Objects, { plan }: Job): AsyncGenerator<Root> {
  const { inputs, base } = await readMeta(objects, plan)
  for (const { root } of inputs) yield { ref: root }
  if (base) {
    yield { ref: base.root }
    yield { ref: base.ownerTree }
    yield { ref: base.datumTree, names: namedByRecord }
  }
  for await (const { tree } of readReused(objects, plan)) yield { ref: tree }
}
