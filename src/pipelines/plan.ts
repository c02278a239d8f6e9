// A plan as it is recorded: a tree, named by `job started`. Whoever carries out a job reads this one,
// so two schedulers that planned differently still do one thing.
//
//   meta             what is below, as JSON
//   chunks/00000000  datums to run, one JSON line each
//   reused           records of other jobs that count for this one, one JSON line each
//   removed          ids of the base's datums that are gone or changed, one a line

import { utf8 } from '../base/bytes.ts'
import { must } from '../base/assert.ts'
import type { DatumRecord, JobInput, PlannedDatum } from '../model/datum.ts'
import type { Id } from '../model/id.ts'
import type { Path } from '../model/path.ts'
import type { PipelineSpec } from '../model/spec-pipeline.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { Objects } from '../objects/objects.ts'
import { readText } from './datum-tree.ts'

export interface PlanMeta {
  readonly format: 1
  readonly pipelineVersion: number
  readonly spec: PipelineSpec
  readonly codeKey: string
  readonly inputs: readonly JobInput[]
  /** The output this one is built on, when it could be; null: built from nothing. */
  readonly base: {
    readonly job: Id
    readonly root: TreeRef
    readonly datumTree: TreeRef
    readonly ownerTree: TreeRef
  } | null
  readonly total: number
  readonly run: number
  readonly reuse: number
  readonly codeChanged: number
  readonly chunks: number
  /** The code could not be identified: the job fails with these words. */
  readonly error: string | null
}

/** A plan before it is stored. */
export interface Draft {
  readonly meta: PlanMeta
  readonly chunks: readonly (readonly PlannedDatum[])[]
  readonly reused: readonly DatumRecord[]
  readonly removed: readonly string[]
}

const META = 'meta' as Path
const REUSED = 'reused' as Path
const REMOVED = 'removed' as Path

function chunkPath(n: number): Path {
  return `chunks/${String(n).padStart(8, '0')}` as Path
}

/** Durable on return. */
export async function writePlan(objects: Objects, draft: Draft): Promise<TreeRef> {
  const writer = objects.writer(null)
  await writer.put(META, utf8(JSON.stringify(draft.meta)))
  for (const [n, datums] of draft.chunks.entries()) await writer.put(chunkPath(n), lines(datums))
  if (draft.reused.length > 0) await writer.put(REUSED, lines(draft.reused))
  if (draft.removed.length > 0) await writer.put(REMOVED, utf8(draft.removed.join('\n')))
  return writer.finish()
}

export async function readMeta(objects: Objects, plan: TreeRef): Promise<PlanMeta> {
  const text = must(await readText(objects, plan, META), 'meta of a plan')
  return JSON.parse(text) as PlanMeta
}

export async function readChunk(
  objects: Objects,
  plan: TreeRef,
  n: number,
): Promise<PlannedDatum[]> {
  return Array.fromAsync(jsonLines<PlannedDatum>(objects, plan, chunkPath(n)))
}

export function readReused(objects: Objects, plan: TreeRef): AsyncGenerator<DatumRecord> {
  return jsonLines<DatumRecord>(objects, plan, REUSED)
}

export async function* readRemoved(objects: Objects, plan: TreeRef): AsyncGenerator<string> {
  yield* textLines(objects, plan, REMOVED)
}

export function lines(values: readonly unknown[]): Uint8Array {
  return utf8(values.map((value) => `${JSON.stringify(value)}\n`).join(''))
}

export async function* jsonLines<T>(
  objects: Objects,
  root: TreeRef,
  path: Path,
): AsyncGenerator<T> {
  for await (const line of textLines(objects, root, path)) yield JSON.parse(line) as T
}

/** Lines of a file that may not be there. */
async function* textLines(objects: Objects, root: TreeRef, path: Path): AsyncGenerator<string> {
  const entry = await objects.stat(root, path)
  if (entry?.kind !== 'file') return
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of objects.readEntry(entry)) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split('\n')
    rest = parts.pop() ?? ''
    yield* parts
  }
  if (rest !== '') yield rest
}
