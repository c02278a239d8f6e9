// Why a datum ran or did not, and what a file was made of. Everything is read from the trees that
// planning and merging use, so an explanation cannot differ from what was done.

import { VarveError } from '../base/errors.ts'
import type { DatumPiece, DatumRecord, PlannedDatum } from '../model/datum.ts'
import type { Commit, CommitKey, Job } from '../model/entities.ts'
import { commitKey, hasEnded } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { Path } from '../model/path.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { checkJobKept, checkKept } from '../versions/dropped.ts'
import type { Versions } from '../versions/versions.ts'
import { readRecord, readText, records } from './datum-tree.ts'
import type { PlanMeta } from './plan.ts'
import { readChunk, readMeta, readReused } from './plan.ts'
import { readResults } from './results.ts'
import type { DatumState, DatumView, FileExplanation } from './service.ts'
import { whyQueued } from './waiting.ts'
import type { WorkRows } from './work.ts'

const ANCESTORS_LOOKED_AT = 10_000

export class Explainer {
  readonly #versions: Versions
  readonly #rows: WorkRows

  constructor(options: { versions: Versions; rows: WorkRows }) {
    this.#versions = options.versions
    this.#rows = options.rows
  }

  /** Those that ran or will, failed ones first; then those that were not run again. */
  async *datums(
    project: string,
    pipeline: string,
    id: Id,
    state: DatumState | undefined,
  ): AsyncGenerator<DatumView> {
    const job = await this.#job(project, pipeline, id)
    const wants = (each: DatumState): boolean => state === undefined || state === each
    if (wants('failed'))
      for await (const view of this.#ran(project, job)) if (view.state === 'failed') yield view
    for await (const view of this.#ran(project, job))
      if (view.state !== 'failed' && wants(view.state)) yield view
    if (wants('skipped')) yield* this.#skipped(job)
  }

  async *#ran(project: string, job: Job): AsyncGenerator<DatumView> {
    const { objects } = this.#versions
    for (let n = 0; n < job.chunks; n++) {
      const chunk = { project, pipeline: job.pipeline, job: job.commit.id, n }
      const row = await this.#rows.get(chunk)
      if (row?.state === 'done')
        for await (const record of readResults(objects, chunk.job, row.result as TreeRef))
          yield ranView(record)
      else if (row?.state !== 'closed')
        for (const datum of await readChunk(objects, job.plan, n))
          yield waitingView(datum, chunk.job, row?.state === 'leased' ? 'running' : 'queued')
    }
  }

  async *#skipped(job: Job): AsyncGenerator<DatumView> {
    const { objects } = this.#versions
    const reused = new Set<string>()
    for await (const record of readReused(objects, job.plan)) {
      reused.add(record.id)
      yield skippedView(record, 'reused')
    }
    if (!job.datumTree) return
    for await (const record of records(objects, job.datumTree))
      if (record.job !== job.commit.id && !reused.has(record.id))
        yield skippedView(record, 'unchanged')
  }

  /** Unchanged: the base's output already held it. Reused: another job had run it. */
  async #whySkipped(
    project: string,
    job: Job,
    record: DatumRecord,
  ): Promise<'unchanged' | 'reused'> {
    const { objects } = this.#versions
    const base = await this.#base(project, job)
    if (base) {
      const before = await this.#record(base.datumTree, record.id)
      return before?.key === record.key && before.state === record.state ? 'unchanged' : 'reused'
    }
    for await (const { id } of readReused(objects, job.plan)) if (id === record.id) return 'reused'
    return 'unchanged'
  }

  /** What a job built on, unless that was dropped: then its trees may be gone. */
  async #base(project: string, job: Job): Promise<PlanMeta['base']> {
    const { base } = await readMeta(this.#versions.objects, job.plan)
    const commit = base && (await this.#versions.commit(project, { ...job.commit, id: base.job }))
    return commit?.dropped ? null : base
  }

  /** @throws VarveError NOT_FOUND_JOB, NOT_FOUND_DATUM; `datum`: its id or the first ≥ 8 digits */
  async datum(project: string, pipeline: string, id: Id, datum: string): Promise<DatumView> {
    const job = await this.#job(project, pipeline, id)
    const tree = job.datumTree ?? (await this.#base(project, job))?.datumTree
    const record = datum.length === 64 ? await this.#record(tree, datum) : undefined
    if (record && job.datumTree && record.job === id) return ranView(record)
    for await (const view of this.#ran(project, job)) if (view.id.startsWith(datum)) return view
    if (record) return skippedView(record, await this.#whySkipped(project, job, record))
    if (tree && datum.length >= 8 && datum.length < 64)
      for await (const each of records(this.#versions.objects, tree))
        if (each.id.startsWith(datum))
          return skippedView(each, await this.#whySkipped(project, job, each))
    throw new VarveError(
      'NOT_FOUND_DATUM',
      `cannot find datum "${datum}" in job "${pipeline}=${id}"`,
    )
  }

  #record(tree: TreeRef | undefined, id: string): Promise<DatumRecord | undefined> {
    return readRecord(this.#versions.objects, tree, id)
  }

  /** @throws VarveError NOT_FOUND_COMMIT, NOT_FOUND_PATH */
  async file(project: string, key: CommitKey, path: Path): Promise<FileExplanation> {
    const commit = await this.#versions.commit(project, key)
    if (!commit)
      throw new VarveError('NOT_FOUND_COMMIT', `cannot find the commit "${commitKey(key)}"`)
    checkKept(commit)
    const entry = await this.#versions.objects.stat(commit.root, path)
    if (!entry) {
      const why = await this.#whyUnended(project, commit)
      throw new VarveError('NOT_FOUND_PATH', `cannot find "${path}" in "${commitKey(key)}"${why}`)
    }
    const made = commit.origin === 'auto'
    const brought = made ? undefined : await this.#brought(project, commit, path, entry.digest)
    const plain: FileExplanation = {
      path,
      commit: { repo: commit.repo, branch: commit.branch, id: commit.id },
      digest: entry.digest,
      datum: null,
      job: null,
      code: null,
      inputs: [],
      brought: brought ? { repo: brought.repo, branch: brought.branch, id: brought.id } : null,
      // What one commit brought to a directory is not where all of it came from.
      feed: (entry.kind === 'file' && brought?.feed?.ranges) || null,
      set: commit.id,
    }
    return made ? this.#made(project, commit, plain) : plain
  }

  async #whyUnended(project: string, commit: Commit): Promise<string> {
    if (hasEnded(commit.state)) return ''
    const why =
      commit.state === 'running' ? 'its job runs' : await whyQueued(this.#versions, project, commit)
    return `: the commit is ${commit.state}, not finished${why === undefined ? '' : `; ${why}`}`
  }

  /** The commit since which the path has been as it is now, if it is among the ancestors looked at. */
  async #brought(
    project: string,
    commit: Commit,
    path: Path,
    digest: string,
  ): Promise<Commit | undefined> {
    let at = commit
    for (let n = 0; n < ANCESTORS_LOOKED_AT; n++) {
      if (at.parent === null) return at
      const before = await this.#versions.commit(project, { ...at, id: at.parent })
      if (!before || before.dropped) return undefined
      const entry = await this.#versions.objects.stat(before.root, path)
      if (entry?.digest !== digest) return at
      at = before
    }
    return undefined
  }

  async #made(project: string, commit: Commit, plain: FileExplanation): Promise<FileExplanation> {
    const { objects } = this.#versions
    const repo = await this.#versions.repo(project, commit.repo)
    const job = repo?.pipeline
      ? await this.#versions.job(project, repo.pipeline, commit.id)
      : undefined
    const owner = job?.ownerTree ? await readText(objects, job.ownerTree, plain.path) : undefined
    const record =
      owner === undefined ? undefined : await this.#record(job?.datumTree ?? undefined, owner)
    if (!job || !record) return { ...plain, job: job ?? null }
    const meta = await readMeta(objects, job.plan)
    const inputs: FileExplanation[] = []
    for (const piece of record.inputs) {
      const input = meta.inputs.find((each) => each.name === piece.name)
      const from = commit.provenance.find(
        (each) => each.repo === input?.repo && each.branch === input.branch,
      )
      // What a datum read at its own time is here still: it counts because nothing of it changed.
      if (from) inputs.push(await this.#input(project, from, piece))
    }
    const ran = record.job === job.commit.id
    return {
      ...plain,
      datum: ran
        ? ranView(record)
        : skippedView(record, await this.#whySkipped(project, job, record)),
      job,
      code: {
        key: job.codeKey,
        cmd: meta.spec.transform.cmd,
        pipelineVersion: job.pipelineVersion,
      },
      inputs,
    }
  }

  /** Of an input that was dropped only its name is left, and what it was. */
  async #input(project: string, key: CommitKey, piece: DatumPiece): Promise<FileExplanation> {
    const path = piece.path as Path
    const commit = await this.#versions.commit(project, key)
    if (!commit?.dropped) return this.file(project, key, path)
    const { repo, branch, id } = key
    const none = { datum: null, job: null, code: null, inputs: [], brought: null, feed: null }
    return { ...none, path, commit: { repo, branch, id }, digest: piece.digest, set: id }
  }

  async #job(project: string, pipeline: string, id: Id): Promise<Job> {
    const job = await this.#versions.job(project, pipeline, id)
    if (job) {
      await checkJobKept(this.#versions, project, job)
      return job
    }
    throw new VarveError('NOT_FOUND_JOB', `cannot find the job "${id}" of pipeline "${pipeline}"`)
  }
}

function inputViews(pieces: readonly DatumPiece[]): DatumView['inputs'] {
  return pieces.map(({ name, path, digest }) => ({ name, path: path as Path, digest }))
}

function ranView(record: DatumRecord): DatumView {
  const { id, key, state, why, job, attempts, exit, lastLines, times } = record
  const inputs = inputViews(record.inputs)
  return { id, key, state, why, job, inputs, attempts, exit, lastLines, times }
}

/** It counts as it ran in `record.job`. */
function skippedView(record: DatumRecord, why: 'unchanged' | 'reused'): DatumView {
  return { ...ranView(record), state: 'skipped', why }
}

function waitingView(datum: PlannedDatum, job: Id, state: 'queued' | 'running'): DatumView {
  const { id, key, why } = datum
  const none = { attempts: 0, exit: null, lastLines: [], times: null }
  return { id, key, state, why, job, inputs: inputViews(datum.inputs), ...none }
}
