import { VarveError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import type { Clock } from '../base/clock.ts'
import type { Bus, Subscription } from '../bus/bus.ts'
import type { JobInput } from '../model/datum.ts'
import type { BranchKey, Commit, CommitKey, Pipeline } from '../model/entities.ts'
import { branchKey } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { Op, PipelinePut } from '../model/ops.ts'
import type { Path } from '../model/path.ts'
import { refuseUnsupported, withoutEffectHere } from '../model/spec-abilities.ts'
import type { Abilities } from '../model/spec-abilities.ts'
import { parsePipelineDocument } from '../model/spec-pipeline.ts'
import type { PipelineSpec } from '../model/spec-pipeline.ts'
import { refuseSpec } from '../model/spec-fields.ts'
import { RUNS_BRANCH, isStanding, standingWords } from '../model/spec-standing.ts'
import { checkJobKept } from '../versions/dropped.ts'
import type { Request, Versions } from '../versions/versions.ts'
import type { Board } from './board.ts'
import { frontOf } from './board.ts'
import { hearRings } from './bell.ts'
import { Explainer } from './explain.ts'
import type { LogStore } from './logs.ts'
import { LOG_SEGMENTS } from './logs.ts'
import type { Planner } from './planner.ts'
import { HOLDINGS, POOLS } from './pool-book.ts'
import { jobInput, planRequest } from './scheduler.ts'
import type {
  DatumState,
  DatumView,
  FileExplanation,
  JobProgress,
  LogLine,
  PipelinePlan,
  Pipelines,
} from './service.ts'
import { BEATS, WORK } from './work.ts'
import type { WorkRows } from './work.ts'

/** Tables of this room, for whoever makes them. */
export const PIPELINES_TABLES = [WORK, BEATS, POOLS, HOLDINGS, LOG_SEGMENTS]

/** How long lines of a job may still come after it ended. */
const LOG_TAIL_MS = 250

export class PipelineService implements Pipelines {
  readonly #board: Board
  readonly #versions: Versions
  readonly #planner: Planner
  readonly #logs: LogStore
  readonly #clock: Clock
  readonly #explainer: Explainer
  readonly #abilities: Abilities
  readonly #bell: Subscription
  /** By `project/pipeline=job`, then by chunk. */
  readonly #progress = new Map<string, Map<number, { done: number; failed: number }>>()

  constructor(options: {
    board: Board
    versions: Versions
    planner: Planner
    rows: WorkRows
    logs: LogStore
    bus: Bus
    clock: Clock
    /** What code here can be given: what a spec asks beyond it is refused. */
    abilities: Abilities
  }) {
    this.#board = options.board
    this.#versions = options.versions
    this.#planner = options.planner
    this.#logs = options.logs
    this.#clock = options.clock
    this.#abilities = options.abilities
    this.#explainer = new Explainer({ versions: options.versions, rows: options.rows })
    this.#bell = hearRings(options.bus, (what) => {
      if (what.kind !== 'progress') return
      const { project, pipeline, job, n } = what.chunk
      const key = `${project}/${pipeline}=${job}`
      const chunks = this.#progress.get(key) ?? new Map<number, { done: number; failed: number }>()
      chunks.set(n, { done: what.done, failed: what.failed })
      this.#progress.delete(key)
      this.#progress.set(key, chunks)
      // Live values of the newest jobs: older ones have ended.
      const [oldest] = this.#progress.keys()
      if (this.#progress.size > 1_000 && oldest !== undefined) this.#progress.delete(oldest)
    })
  }

  /** Putting what stands, with the code that ran last, changes nothing. */
  async put(
    project: string,
    document: Readonly<Record<string, unknown>>,
    request: Request,
  ): Promise<Pipeline> {
    const spec = this.#readSpec(project, document)
    const { name } = spec.pipeline
    const { egress, ...own } = spec
    const pipeline: PipelinePut = {
      name,
      inputs: inputsOf(spec),
      outputBranch: jobsBranch(spec),
      backlog: spec.backlog,
      spec: { ...own },
    }
    await this.#refuseReaders(project, spec)
    const before = await this.#versions.pipeline(project, name)
    if (before && !egress && (await this.#stands(project, before, own))) return before
    const ops: Op[] = [{ op: 'pipeline.put', pipeline }]
    // There before its code writes to it, so that it can be read and watched.
    if (spec.spout)
      ops.push({ op: 'branch.put', branch: { repo: name, branch: spec.outputBranch } })
    if (egress) {
      const from = `${name}@${spec.outputBranch}`
      const document = { egress: { name }, from, ...egress }
      ops.push({
        op: 'egress.put',
        egress: { name, repo: name, branch: spec.outputBranch, spec: document },
      })
    }
    const entry = await this.#versions.propose(project, ops, request)
    if ('yes' in entry.decision)
      for (const fact of entry.decision.yes)
        if (fact.f === 'pipeline.put' && fact.pipeline.name === name) return fact.pipeline
    const stands = await this.#versions.pipeline(project, name)
    if (stands) return stands
    throw new VarveError('NOT_FOUND_PIPELINE', `cannot find the pipeline "${name}": it was deleted`)
  }

  /**
   * What is made from runs that do not end would wait for ever.
   * @throws VarveError INVALID_SPEC
   */
  async #refuseReaders(project: string, spec: PipelineSpec): Promise<void> {
    const { name } = spec.pipeline
    for (const input of inputsOf(spec)) {
      const above = (await this.#versions.branch(project, input))?.pipeline
      const filling = above && (await this.#versions.pipeline(project, above))
      if (filling && isStanding(filling.spec))
        refuseSpec(
          '/input/pfs',
          `cannot read "${branchKey(input)}": the runs of "${above}" do not end, and put nothing out`,
        )
    }
    if (!isStanding(spec)) return
    const own = branchKey({ repo: name, branch: jobsBranch(spec) })
    for await (const each of this.#versions.pipelines(project))
      if (each.name !== name && each.inputs.some((input) => branchKey(input) === own))
        refuseSpec(
          '/pipeline/name',
          `cannot put "${name}": "${each.name}" reads "${own}", and its runs would not end`,
        )
  }

  /** Whether putting this would change nothing: same words, same code, and the last job did not fail. */
  async #stands(project: string, before: Pipeline, spec: PipelineSpec): Promise<boolean> {
    if (JSON.stringify(before.spec) !== JSON.stringify(spec)) return false
    for await (const job of this.#versions.jobs(project, before.name, { limit: 1 })) {
      if (job.state !== 'finished' && job.state !== 'running') return false
      const code = await this.#planner.codeKey(spec).catch(() => undefined)
      return job.codeKey === code
    }
    return true
  }

  async plan(project: string, document: Readonly<Record<string, unknown>>): Promise<PipelinePlan> {
    const spec = this.#readSpec(project, document)
    const idle = withoutEffectHere(spec, this.#abilities)
    await this.#refuseReaders(project, spec)
    const { name } = spec.pipeline
    const inputs: JobInput[] = []
    for (const pfs of spec.input ? [spec.input.pfs] : []) {
      const branch = await this.#versions.branch(project, pfs)
      if (!branch?.head?.root) {
        const warning = `there is nothing to run yet: "${branchKey(pfs)}" has no finished commit`
        return { total: 0, run: 0, reuse: 0, warnings: [warning, ...idle] }
      }
      inputs.push(jobInput(project, pfs, branch.head.id, branch.head.root))
    }
    const stands = await this.#versions.pipeline(project, name)
    const pipeline = {
      name,
      version: (stands?.version ?? 0) + 1,
      spec: { ...spec },
      output: { repo: name, branch: jobsBranch(spec) },
    }
    const draft = await this.#planner.draft(
      await planRequest(this.#versions, project, pipeline, inputs),
    )
    const { total, run, reuse, codeChanged, error } = draft.meta
    const warnings: string[] = []
    if (error !== null) warnings.push(error)
    else if (total === 0 && spec.input)
      warnings.push(`the glob "${spec.input.pfs.glob}" matches nothing`)
    if (codeChanged > 0) warnings.push(`${codeChanged} datums run again because the code changed`)
    if (spec.transform.image !== undefined && this.#abilities.runs === 'process')
      warnings.push(`the image "${spec.transform.image}" is not used: code runs on this machine`)
    return { total, run, reuse, warnings: [...warnings, ...idle] }
  }

  async waitingFor(project: string, pipeline: string): Promise<string | undefined> {
    const board = this.#board.project(project)
    const known = board?.pipelines.get(pipeline)
    const front = board && known && frontOf(board, known)
    if (!front) return undefined
    if (known.state === 'stopped') return `waiting: "${pipeline}" is stopped`
    if (front.state === 'running') {
      const progress = this.progress(project, pipeline)
      if (front.standing) return `running: ${standingWords(progress)}`
      return progress && `running: ${progress.done} of ${progress.toRun} datums done`
    }
    const open = await this.#openInput(project, front)
    return open === undefined ? 'waiting: to be planned' : `waiting: inputs of ${open}`
  }

  async #openInput(project: string, commit: Commit): Promise<string | undefined> {
    for (const key of commit.provenance) {
      const input = await this.#versions.commit(project, key)
      if (input?.state !== 'finished') return branchKey(key)
    }
    return undefined
  }

  progress(project: string, pipeline: string): JobProgress | undefined {
    for (const job of this.#board.project(project)?.jobs.values() ?? []) {
      if (job.pipeline !== pipeline) continue
      const { id } = job.commit
      let done = 0
      let failed = 0
      for (const chunk of this.#progress.get(`${project}/${pipeline}=${id}`)?.values() ?? []) {
        done += chunk.done
        failed += chunk.failed
      }
      const { total, run } = job.planned
      return { pipeline, job: id, total, toRun: run, done, failed }
    }
    return undefined
  }

  async *datums(
    project: string,
    pipeline: string,
    job: Id,
    options: { state?: DatumState; limit?: number } = {},
  ): AsyncIterable<DatumView> {
    let left = options.limit ?? Infinity
    if (left <= 0) return
    for await (const view of this.#explainer.datums(project, pipeline, job, options.state)) {
      yield view
      if (--left <= 0) return
    }
  }

  explainDatum(project: string, pipeline: string, job: Id, datum: string): Promise<DatumView> {
    return this.#explainer.datum(project, pipeline, job, datum)
  }

  explainFile(project: string, commit: CommitKey, path: Path): Promise<FileExplanation> {
    return this.#explainer.file(project, commit, path)
  }

  /** Without a job: the newest one's lines, and with `follow` those of every job to come. */
  async *logs(
    project: string,
    pipeline: string,
    options: { job?: Id; datum?: string; follow?: boolean; signal?: AbortSignal; tail?: number },
  ): AsyncIterable<LogLine> {
    await this.#known(project, pipeline)
    const named = options.job && (await this.#versions.job(project, pipeline, options.job))
    if (named) await checkJobKept(this.#versions, project, named)
    const job = options.job ?? (await this.#newestJob(project, pipeline))
    const wanted = (line: LogLine): boolean =>
      (options.job === undefined || line.job === options.job) &&
      (options.datum === undefined || line.datum.startsWith(options.datum))
    const ended = new AbortController()
    const signal = AbortSignal.any([ended.signal, ...(options.signal ? [options.signal] : [])])
    // Followed from before the stored lines are read, so that none falls between; told apart by text.
    const live = options.follow ? this.#logs.follow(project, pipeline, signal) : undefined
    const first = live?.next()
    const seen = new Set<string>()
    if (job) {
      const kept: LogLine[] = []
      for await (const line of this.#logs.read({ project, pipeline, job })) {
        if (live) seen.add(JSON.stringify(line))
        if (!wanted(line)) continue
        if (options.tail === undefined) yield line
        else if (kept.push(line) > options.tail) kept.shift()
      }
      yield* kept
    }
    if (!live || !first) return
    if (options.job !== undefined) void this.#untilEnded(project, pipeline, options.job, ended)
    for (let next = await first; !next.done; next = await live.next())
      if (wanted(next.value) && !seen.delete(JSON.stringify(next.value))) yield next.value
  }

  async #newestJob(project: string, pipeline: string): Promise<Id | undefined> {
    for await (const { commit } of this.#versions.jobs(project, pipeline, { limit: 1 })) {
      const row = await this.#versions.commit(project, commit)
      return row?.dropped ? undefined : commit.id
    }
    return undefined
  }

  async #untilEnded(
    project: string,
    pipeline: string,
    job: Id,
    ended: AbortController,
  ): Promise<void> {
    while (this.#board.project(project)?.jobs.has(`${pipeline}=${job}`))
      await this.#clock.sleep(LOG_TAIL_MS)
    await this.#clock.sleep(LOG_TAIL_MS)
    ended.abort()
  }

  async #known(project: string, pipeline: string): Promise<void> {
    if (await this.#versions.pipeline(project, pipeline)) return
    const names: string[] = []
    for await (const each of this.#versions.pipelines(project)) names.push(each.name)
    const meant = nearest(pipeline, names)
    const hint = meant === undefined ? '' : `; did you mean "${meant}"?`
    throw new VarveError('NOT_FOUND_PIPELINE', `cannot find the pipeline "${pipeline}"${hint}`)
  }

  /** @throws VarveError INVALID_SPEC */
  #readSpec(project: string, document: Readonly<Record<string, unknown>>): PipelineSpec {
    const spec = readSpecOf(project, document)
    refuseUnsupported(spec, this.#abilities, document)
    return spec
  }

  close(): Promise<void> {
    return this.#bell.close()
  }
}

function inputsOf(spec: PipelineSpec): readonly BranchKey[] {
  return spec.input ? [{ repo: spec.input.pfs.repo, branch: spec.input.pfs.branch }] : []
}

/** The branch its jobs fill; the code of a spout writes to another. */
function jobsBranch(spec: PipelineSpec): string {
  return spec.spout ? RUNS_BRANCH : spec.outputBranch
}

/** @throws VarveError INVALID_SPEC with details {pointer, field, nearest} */
function readSpecOf(project: string, document: Readonly<Record<string, unknown>>): PipelineSpec {
  const spec = parsePipelineDocument(document)
  const pfs = spec.input?.pfs
  if (spec.pipeline.project !== undefined && spec.pipeline.project !== project)
    refuseSpec(
      '/pipeline/project',
      `cannot put the pipeline into "${project}": it says project "${spec.pipeline.project}"`,
    )
  if (pfs?.project !== undefined && pfs.project !== project)
    refuseSpec(
      '/input/pfs/project',
      `cannot read from project "${pfs.project}": not supported yet: inputs of another project`,
    )
  return spec
}
