// Follows the log: when the commit at the front of an output's queue has finished inputs, plans it and
// proposes its job; a job that runs without end is stopped when the commit behind it could run. Any
// number of schedulers may do so at once; the first plan that is recorded is the one that everybody
// carries out. A share of the projects saves the others the work.

import type { Clock } from '../base/clock.ts'
import { Semaphore } from '../base/async.ts'
import { isVarveError } from '../base/errors.ts'
import type { JobInput } from '../model/datum.ts'
import type { Branch, Commit, Pipeline } from '../model/entities.ts'
import { commitKey } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { PfsInput, PipelineSpec } from '../model/spec-pipeline.ts'
import { isStanding } from '../model/spec-standing.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { Versions } from '../versions/versions.ts'
import type { Board, ProjectBoard } from './board.ts'
import { frontOf, jobKey, successorOf } from './board.ts'
import { ALL_PROJECTS } from './share.ts'
import type { Share } from './share.ts'
import { writePlan } from './plan.ts'
import type { PlanRequest, Planner } from './planner.ts'
import { trouble } from './trouble.ts'

const PLANS_AT_ONCE = 4
const AGAIN_MS = 1_000
const STALE_AGAIN_MS = 5_000

export class Scheduler {
  readonly #board: Board
  readonly #versions: Versions
  readonly #planner: Planner
  readonly #clock: Clock
  readonly #ids: () => Id
  readonly #share: Share
  /** Commits that are planned, or whose run is ended, right now. */
  readonly #doing = new Set<string>()
  /** Those about which an entry came meanwhile: looked at once more. */
  readonly #missed = new Set<string>()
  readonly #gate = new Semaphore(PLANS_AT_ONCE)
  #signal: AbortSignal | undefined

  constructor(options: {
    board: Board
    versions: Versions
    planner: Planner
    clock: Clock
    ids: () => Id
    /** Default: every project. */
    share?: Share | undefined
  }) {
    this.#board = options.board
    this.#versions = options.versions
    this.#planner = options.planner
    this.#clock = options.clock
    this.#ids = options.ids
    this.#share = options.share ?? ALL_PROJECTS
  }

  start(signal: AbortSignal): void {
    this.#signal = signal
    const unlisten = this.#board.listen((board) => this.#look(board))
    const unlistenShare = this.#share.listen(() => {
      for (const board of this.#board.projects()) this.#look(board)
    })
    const end = (): void => {
      unlisten()
      unlistenShare()
    }
    signal.addEventListener('abort', end, { once: true })
  }

  #look(board: ProjectBoard): void {
    if (!this.#share.has(board.project)) return
    for (const pipeline of board.pipelines.values()) {
      const front = frontOf(board, pipeline)
      if (pipeline.state !== 'running' || !front) continue
      if (front.state === 'queued' && !front.cause) this.#begin(board, pipeline, front)
      if (front.state === 'running' && front.standing) this.#replace(board, front)
    }
  }

  #begin(board: ProjectBoard, pipeline: Pipeline, commit: Commit): void {
    const name = commitKey(commit)
    this.#once(board, name, `plan the job of "${name}"`, () =>
      this.#plan(board.project, pipeline, commit),
    )
  }

  /** One at a time for each commit; after a failure, or news on the way, its board is looked at again. */
  #once(board: ProjectBoard, commit: string, what: string, act: () => Promise<void>): void {
    const key = `${board.project}/${commit}`
    if (this.#signal?.aborted) return
    if (this.#doing.has(key)) {
      this.#missed.add(key)
      return
    }
    this.#doing.add(key)
    void this.#gate
      .with(act)
      .then(
        () => this.#doing.delete(key),
        async (error: unknown) => {
          trouble(what, error)
          await this.#clock.sleep(AGAIN_MS, this.#signal)
          this.#doing.delete(key)
          this.#missed.add(key)
        },
      )
      .then(() => {
        if (this.#missed.delete(key)) this.#look(board)
      })
  }

  /** Ends a run without end for a newer commit; one whose inputs are not good yet ends nothing. */
  #replace(board: ProjectBoard, front: Commit): void {
    const next = successorOf(board, front)
    const job = board.jobs.get(jobKey({ pipeline: front.repo, commit: front }))
    if (!next || job?.state !== 'running') return
    const { project } = board
    const name = commitKey(front)
    this.#once(board, name, `end the run of "${name}"`, async () => {
      for (const input of next.provenance)
        if ((await this.#versions.commit(project, input))?.state !== 'finished') return
      const request = { id: this.#ids(), principal: 'varve:scheduler' }
      const { repo, branch, id } = front
      await this.#versions
        .propose(project, [{ op: 'job.stop', commit: { repo, branch, id } }], request)
        .catch((error: unknown) => {
          // It has ended meanwhile.
          if (!isVarveError(error, 'NOT_FOUND_JOB')) throw error
        })
    })
  }

  async #plan(project: string, pipeline: Pipeline, commit: Commit): Promise<void> {
    const session = await this.#versions.sessions.open(project)
    const inputs = await jobInputs(this.#versions, project, pipeline, commit)
    if (!inputs) return
    const draft = await this.#planner.draft(
      await planRequest(this.#versions, project, pipeline, inputs),
    )
    const plan = await writePlan(this.#versions.objects, draft)
    const { chunks, codeKey, run, reuse, total } = draft.meta
    const { repo, branch, id } = commit
    try {
      await this.#versions.propose(
        project,
        [
          {
            op: 'job.started',
            commit: { repo, branch, id },
            plan,
            chunks,
            codeKey,
            planned: { run, reuse, total },
            session,
            ...(isStanding(pipeline.spec) && { standing: true }),
          },
        ],
        { id: this.#ids(), principal: 'varve:scheduler' },
      )
    } catch (error) {
      if (!isVarveError(error, 'STALE_STATE')) throw error
      // Another scheduler was first, or the commit ended meanwhile; their entry is on its way. Not
      // surely: the log says this of what it has decided and may still fail to append.
      void this.#clock.sleep(STALE_AGAIN_MS, this.#signal).then(() => {
        const board = this.#board.project(project)
        if (board && !this.#signal?.aborted) this.#look(board)
      })
    }
  }
}

/** The finished commits a job reads; undefined while one is not finished. */
export async function jobInputs(
  versions: Versions,
  project: string,
  pipeline: Pick<Pipeline, 'spec'>,
  commit: Pick<Commit, 'provenance'>,
): Promise<JobInput[] | undefined> {
  const { input: read } = pipeline.spec as unknown as PipelineSpec
  if (!read) return []
  const { pfs } = read
  const from = commit.provenance.find(
    (each) => each.repo === pfs.repo && each.branch === pfs.branch,
  )
  const input = from && (await versions.commit(project, from))
  if (!input || input.state !== 'finished' || !input.root) return undefined
  return [jobInput(project, pfs, input.id, input.root)]
}

export function jobInput(project: string, pfs: PfsInput, commit: Id, root: TreeRef): JobInput {
  const { name, repo, branch, glob } = pfs
  return { name, project, repo, branch, commit, root, glob, emptyFiles: pfs.emptyFiles === true }
}

/** A plan stands on the head of the output branch: the newest good commit, if a job made it. */
export async function planRequest(
  versions: Versions,
  project: string,
  pipeline: Pick<Pipeline, 'name' | 'version' | 'spec' | 'output'>,
  inputs: readonly JobInput[],
): Promise<PlanRequest> {
  const branch: Branch | undefined = await versions.branch(project, pipeline.output)
  const head = branch?.head
  const job = head && (await versions.job(project, pipeline.name, head.id))
  return {
    project,
    pipeline: pipeline.name,
    pipelineVersion: pipeline.version,
    spec: pipeline.spec as unknown as PipelineSpec,
    inputs,
    parent: job && head.root && job.state === 'finished' ? { job, root: head.root } : null,
  }
}
