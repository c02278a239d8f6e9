// What pipelines have before them, folded from the log: pipelines, the queue of AUTO commits of each
// output branch, and the jobs that run. Held in memory; loaded from the projections, then followed.

import type { Clock } from '../base/clock.ts'
import type { BranchKey, Commit, Job, Pipeline } from '../model/entities.ts'
import { branchKey, commitKey, hasEnded } from '../model/entities.ts'
import type { Fact } from '../model/ops.ts'
import { SYSTEM_PROJECT } from '../model/name.ts'
import type { VersionEntry, Versions } from '../versions/versions.ts'
import { trouble } from './trouble.ts'

export interface ProjectBoard {
  readonly project: string
  readonly pipelines: Map<string, Pipeline>
  /** By `repo@branch`: commits that have not ended, in the order they opened. */
  readonly queues: Map<string, Map<string, Commit>>
  /** By `pipeline=commit id`: jobs that have not ended. */
  readonly jobs: Map<string, Job>
}

export type BoardListener = (board: ProjectBoard, entry: VersionEntry | undefined) => void

export function jobKey(job: Pick<Job, 'pipeline' | 'commit'>): string {
  return `${job.pipeline}=${job.commit.id}`
}

const AGAIN_MS = 500

export class Board {
  readonly #versions: Versions
  readonly #clock: Clock
  readonly #projects = new Map<string, ProjectBoard>()
  readonly #listeners = new Set<BoardListener>()
  #signal: AbortSignal | undefined

  constructor(options: { versions: Versions; clock: Clock }) {
    this.#versions = options.versions
    this.#clock = options.clock
  }

  /** Loads all projects, then follows them, and new ones, until the signal is aborted. */
  async start(signal: AbortSignal): Promise<void> {
    this.#signal = signal
    const names = new Set<string>()
    for await (const project of this.#versions.projects()) names.add(project.name)
    names.delete(SYSTEM_PROJECT)
    await Promise.all([...names].map((name) => this.add(name)))
    void this.#followSystem(signal)
  }

  /** Calls with every project there is (entry undefined), then after each entry that was folded. */
  listen(listener: BoardListener): () => void {
    this.#listeners.add(listener)
    for (const board of this.#projects.values()) listener(board, undefined)
    return () => void this.#listeners.delete(listener)
  }

  projects(): Iterable<ProjectBoard> {
    return this.#projects.values()
  }

  project(name: string): ProjectBoard | undefined {
    return this.#projects.get(name)
  }

  /** Loads and follows a project; once. */
  async add(project: string): Promise<void> {
    const signal = this.#signal
    if (!signal || this.#projects.has(project)) return
    const board: ProjectBoard = {
      project,
      pipelines: new Map(),
      queues: new Map(),
      jobs: new Map(),
    }
    this.#projects.set(project, board)
    // Entries after this seq are folded again over what is read now: facts are whole values.
    const seq = await this.#versions.watermark(project)
    for await (const pipeline of this.#versions.pipelines(project))
      await this.#load(board, pipeline)
    this.#tell(board, undefined)
    void this.#follow(board, seq, signal)
  }

  async #load(board: ProjectBoard, pipeline: Pipeline): Promise<void> {
    board.pipelines.set(pipeline.name, pipeline)
    const { project } = board
    const { repo, branch } = pipeline.output
    const waiting: Commit[] = []
    for await (const commit of this.#versions.commits(project, repo, { branch })) {
      if (commit.origin === 'auto' && !hasEnded(commit.state)) waiting.push(commit)
      // Commits end in their order, but a superseded one ends before those it waited behind.
      else if (commit.state !== 'superseded' && commit.origin === 'auto') break
    }
    for (const commit of waiting.reverse()) {
      enqueue(board, commit)
      const job = await this.#versions.job(project, pipeline.name, commit.id)
      if (job && !jobEnded(job)) board.jobs.set(jobKey(job), job)
    }
  }

  async #follow(board: ProjectBoard, after: number, signal: AbortSignal): Promise<void> {
    let seq = after
    while (!signal.aborted)
      try {
        for await (const entry of this.#versions.follow(board.project, seq, signal)) {
          if ('yes' in entry.decision) for (const fact of entry.decision.yes) fold(board, fact)
          seq = entry.seq
          this.#tell(board, entry)
        }
      } catch (error) {
        trouble(`follow project "${board.project}"`, error)
        await this.#clock.sleep(AGAIN_MS, signal)
      }
  }

  async #followSystem(signal: AbortSignal): Promise<void> {
    let seq = 0
    while (!signal.aborted)
      try {
        for await (const entry of this.#versions.follow(SYSTEM_PROJECT, seq, signal)) {
          seq = entry.seq
          if (!('yes' in entry.decision)) continue
          for (const fact of entry.decision.yes)
            if (fact.f === 'project.created') await this.add(fact.project.name)
        }
      } catch (error) {
        trouble('follow projects', error)
        await this.#clock.sleep(AGAIN_MS, signal)
      }
  }

  #tell(board: ProjectBoard, entry: VersionEntry | undefined): void {
    for (const listener of this.#listeners) listener(board, entry)
  }
}

function fold(board: ProjectBoard, fact: Fact): void {
  if ('pipeline' in fact) {
    if (fact.f === 'pipeline.deleted') board.pipelines.delete(fact.pipeline.name)
    else board.pipelines.set(fact.pipeline.name, fact.pipeline)
  } else if ('commit' in fact) {
    if (fact.commit.origin === 'auto') enqueue(board, fact.commit)
  } else if ('job' in fact) {
    if (jobEnded(fact.job)) board.jobs.delete(jobKey(fact.job))
    else board.jobs.set(jobKey(fact.job), fact.job)
  }
}

function enqueue(board: ProjectBoard, commit: Commit): void {
  const key = branchKey(commit)
  const queue = board.queues.get(key) ?? new Map<string, Commit>()
  board.queues.set(key, queue)
  if (hasEnded(commit.state)) queue.delete(commitKey(commit))
  else queue.set(commitKey(commit), commit)
}

export function jobEnded(job: Job): boolean {
  return job.state !== 'running' && job.state !== 'stopping'
}

/** The commit at the front of a pipeline's queue. */
export function frontOf(board: ProjectBoard, pipeline: Pipeline): Commit | undefined {
  return board.queues.get(branchKey(pipeline.output))?.values().next().value
}

/** The commit whose turn it is behind a front that runs without end. */
export function successorOf(board: ProjectBoard, branch: BranchKey): Commit | undefined {
  for (const commit of board.queues.get(branchKey(branch))?.values() ?? []) {
    if (commit.state === 'running' && !commit.standing) break
    if (commit.state === 'queued' && !commit.cause) return commit
  }
  return undefined
}
