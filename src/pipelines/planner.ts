// From input commits to a plan. Where the job before ran the same code over the same shape of input,
// planning costs what changed: the difference of the input trees through the glob, and what the last
// job left unsettled. Otherwise every datum is looked at once.
//
// Three places know of results: the base's datum tree (the output is built on it), the newest datum
// tree of the same code key (it holds the successes of failed and stopped jobs), and, only to say
// why something runs, the tree of the job before.

import { must } from '../base/assert.ts'
import { isVarveError } from '../base/errors.ts'
import type { Runner } from '../exec/runner.ts'
import type { DatumPiece, DatumRecord, JobInput, PlannedDatum, RunReason } from '../model/datum.ts'
import type { Job } from '../model/entities.ts'
import type { Path } from '../model/path.ts'
import { ROOT } from '../model/path.ts'
import type { PipelineSpec } from '../model/spec-pipeline.ts'
import { isStanding } from '../model/spec-standing.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { sameTree } from '../model/tree-ref.ts'
import type { Objects, TreeEntry } from '../objects/objects.ts'
import type { Versions } from '../versions/versions.ts'
import { chunkSize, codeKey, datumId, datumKey } from './datum.ts'
import type { Hash } from './datum.ts'
import { readRecord, unsettled } from './datum-tree.ts'
import { readMeta } from './plan.ts'
import type { Draft, PlanMeta } from './plan.ts'

/** The code key of a job whose code could not be identified: no job reuses anything of it. */
const NO_CODE = '0'.repeat(64)

export interface PlanRequest {
  readonly project: string
  readonly pipeline: string
  readonly pipelineVersion: number
  readonly spec: PipelineSpec
  readonly inputs: readonly JobInput[]
  /** The job of the commit the output stands on, and that commit's root. */
  readonly parent: { readonly job: Job; readonly root: TreeRef } | null
}

export class Planner {
  readonly #versions: Versions
  readonly #runner: Runner
  readonly #hash: Hash
  readonly #workers: () => number

  /** `workers`: how many may work at once; it only decides how large chunks are. */
  constructor(options: { versions: Versions; runner: Runner; hash: Hash; workers: () => number }) {
    this.#versions = options.versions
    this.#runner = options.runner
    this.#hash = options.hash
    this.#workers = options.workers
  }

  /** The code key a job of this spec would have now. @throws VarveError CODE_FAILED */
  async codeKey(spec: PipelineSpec): Promise<string> {
    return codeKey(this.#hash, await this.#runner.identify(spec.transform), spec)
  }

  /** Code that cannot be identified makes a plan with an error, so that its job fails with the reason. */
  async draft(request: PlanRequest): Promise<Draft> {
    const { spec } = request
    let code: string
    try {
      code = await this.codeKey(spec)
    } catch (error) {
      if (!isVarveError(error, 'CODE_FAILED')) throw error
      const meta = { ...plainMeta(request, NO_CODE), error: error.message }
      return { meta, chunks: [], reused: [], removed: [] }
    }
    const planning = await Planning.open(this.#versions, this.#hash, request, code)
    await planning.collect()
    const workers = spec.parallelismSpec?.constant ?? this.#workers()
    return planning.draft(Math.max(1, workers))
  }
}

function plainMeta(request: PlanRequest, code: string): PlanMeta {
  const { pipelineVersion, spec, inputs } = request
  const counts = { total: 0, run: 0, reuse: 0, codeChanged: 0, chunks: 0 }
  return {
    format: 1,
    pipelineVersion,
    spec,
    codeKey: code,
    inputs,
    base: null,
    ...counts,
    error: null,
  }
}

class Planning {
  readonly #objects: Objects
  readonly #hash: Hash
  readonly #request: PlanRequest
  readonly #code: string
  readonly #base: { meta: PlanMeta; job: Job; root: TreeRef } | undefined
  readonly #newest: TreeRef | null
  readonly #prior: TreeRef | null
  #total = 0
  readonly #run: PlannedDatum[] = []
  readonly #reused: DatumRecord[] = []
  readonly #removed: string[] = []

  private constructor(
    objects: Objects,
    hash: Hash,
    request: PlanRequest,
    code: string,
    known: {
      base: { meta: PlanMeta; job: Job; root: TreeRef } | undefined
      newest: TreeRef | null
    },
  ) {
    this.#objects = objects
    this.#hash = hash
    this.#request = request
    this.#code = code
    this.#base = known.base
    this.#newest = known.newest
    this.#prior = request.parent?.job.datumTree ?? null
  }

  static async open(
    versions: Versions,
    hash: Hash,
    request: PlanRequest,
    code: string,
  ): Promise<Planning> {
    const { objects } = versions
    const { project, pipeline, parent, spec } = request
    const always = spec.reprocessSpec === 'every_job'
    const newest = always ? undefined : await versions.datumTreeOf(project, pipeline, code)
    let base: { meta: PlanMeta; job: Job; root: TreeRef } | undefined
    if (!always && parent?.job.datumTree && parent.job.ownerTree && parent.job.codeKey === code) {
      const meta = await readMeta(objects, parent.job.plan)
      if (shape(meta.inputs) === shape(request.inputs)) base = { meta, ...parent }
    }
    return new Planning(objects, hash, request, code, { base, newest: newest?.datumTree ?? null })
  }

  async collect(): Promise<void> {
    const base = this.#base
    if (isStanding(this.#request.spec)) return this.#collectAll()
    // One pfs input is one list of pieces; combining several inputs would happen here.
    for (const [i, input] of this.#request.inputs.entries())
      if (base) await this.#collectChanges(base.job, base.meta.inputs[i] as JobInput, input)
      else
        for await (const entry of this.#objects.glob(input.root, input.glob)) {
          this.#total++
          await this.#consider([pieceOf(input, entry)])
        }
  }

  /** Code without end has one datum of all there is, also where there is nothing. */
  async #collectAll(): Promise<void> {
    const pieces: DatumPiece[] = []
    for (const input of this.#request.inputs) {
      const root = await this.#objects.stat(input.root, ROOT)
      pieces.push(pieceOf(input, must(root, 'root of an input')))
    }
    this.#total = 1
    await this.#consider(pieces)
  }

  async #collectChanges(job: Job, old: JobInput, input: JobInput): Promise<void> {
    this.#total = job.counts?.total ?? 0
    const touched = new Set<string>()
    for await (const change of this.#objects.diffGlob(old.root, input.root, input.glob)) {
      const at = change.new ?? change.old
      if (!at) continue
      const id = this.#idOf([pieceOf(input, at)])
      touched.add(id)
      if (change.old) {
        this.#total--
        this.#removed.push(id)
      }
      if (change.new) {
        this.#total++
        await this.#consider([pieceOf(input, change.new)])
      }
    }
    if (!job.datumTree) return
    for await (const id of unsettled(this.#objects, job.datumTree)) {
      if (touched.has(id)) continue
      const [path] = (await readRecord(this.#objects, job.datumTree, id))?.inputs ?? []
      const entry = path && (await this.#objects.stat(input.root, path.path as Path))
      if (!entry) continue
      this.#removed.push(id)
      await this.#consider([pieceOf(input, entry)])
    }
  }

  #idOf(pieces: readonly DatumPiece[]): string {
    return datumId(this.#hash, this.#request.inputs, pieces)
  }

  /** Reused if a success with this key is known, else to be run. */
  async #consider(pieces: readonly DatumPiece[]): Promise<void> {
    const id = this.#idOf(pieces)
    const key = datumKey(this.#hash, id, this.#request.inputs, pieces, this.#code)
    const known = await readRecord(this.#objects, this.#newest, id)
    if (known?.key === key && known.state === 'success') {
      this.#reused.push(known)
      return
    }
    const prior = sameTree(this.#prior, this.#newest)
      ? known
      : ((await readRecord(this.#objects, this.#prior, id)) ?? known)
    this.#run.push({ id, key, why: reason(key, pieces, known, prior), inputs: pieces })
  }

  draft(workers: number): Draft {
    const { spec } = this.#request
    const chunks = cut(this.#run, chunkSize(this.#run.length, spec.datumSetSpec, workers), spec)
    const { datumTree, ownerTree, commit } = this.#base?.job ?? {}
    const base =
      this.#base && datumTree && ownerTree && commit
        ? { job: commit.id, root: this.#base.root, datumTree, ownerTree }
        : null
    const meta: PlanMeta = {
      ...plainMeta(this.#request, this.#code),
      base,
      total: this.#total,
      run: this.#run.length,
      reuse: this.#total - this.#run.length,
      codeChanged: this.#run.filter((datum) => datum.why === 'code-changed').length,
      chunks: chunks.length,
    }
    return { meta, chunks, reused: this.#reused, removed: this.#removed }
  }
}

/** Why a datum without a known success runs. `known`: same code; `prior`: of the job before. */
function reason(
  key: string,
  pieces: readonly DatumPiece[],
  known: DatumRecord | undefined,
  prior: DatumRecord | undefined,
): RunReason {
  if (known?.key === key) return 'no-success'
  if (!prior) return 'new'
  if (prior.key === key) return prior.state === 'success' ? 'every-job' : 'no-success'
  const same = pieces.every((piece, i) => piece.digest === prior.inputs[i]?.digest)
  return same ? 'code-changed' : 'input-changed'
}

/** Equal for two jobs whose datums are found the same way, so that one's trees fit the other. */
function shape(inputs: readonly JobInput[]): string {
  return JSON.stringify(
    inputs.map(({ name, project, repo, branch, glob, emptyFiles }) => [
      name,
      project,
      repo,
      branch,
      glob,
      emptyFiles,
    ]),
  )
}

function pieceOf(input: JobInput, entry: TreeEntry): DatumPiece {
  const { path, kind, digest, sizeBytes } = entry
  return { name: input.name, path, kind, digest, sizeBytes }
}

function cut(datums: PlannedDatum[], size: number, spec: PipelineSpec): PlannedDatum[][] {
  const maxBytes = spec.datumSetSpec?.sizeBytes ?? Infinity
  const chunks: PlannedDatum[][] = []
  let chunk: PlannedDatum[] = []
  let bytes = 0
  for (const datum of datums) {
    chunk.push(datum)
    bytes += datum.inputs.reduce((sum, piece) => sum + piece.sizeBytes, 0)
    if (chunk.length < size && bytes < maxBytes) continue
    chunks.push(chunk)
    chunk = []
    bytes = 0
  }
  if (chunk.length > 0) chunks.push(chunk)
  return chunks
}
