// What the lane knows of a project while it decides: everything that is not over yet, and nothing
// that is. Ended commits are rows; of them a branch keeps what decisions need (TipValue).
//
// Invariants:
//  - `commits` holds exactly the commits that have not ended; `jobs` the jobs that have not.
//  - the queue of a branch holds exactly its AUTO commits in `commits`, in the order they opened; they
//    leave it from the front only. A branch with a queue has provenance or a pipeline that fills it, so
//    no person writes to it.
//  - `below` is `provenance` of all branches turned around.
//  - `sets` names, for sets that have a person's open commit, the branches that hold one of theirs.
// The last four are derived from facts by the fold; a snapshot leaves out what it can derive.

import type {
  Branch,
  Commit,
  Egress,
  Job,
  Pipeline,
  Project,
  Repo,
  Spout,
} from '../model/entities.ts'
import { branchKey, commitKey } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import { assert } from '../base/assert.ts'

/** A map, or a map laid over another. */
export interface Cells<V> {
  get(key: string): V | undefined
  has(key: string): boolean
  set(key: string, value: V): unknown
  delete(key: string): unknown
  keys(): Iterable<string>
  values(): Iterable<V>
}

/** Places `first` … `next − 1` of `slots` hold the queue of a branch, front first. */
interface Queue {
  readonly first: number
  readonly next: number
}

export interface SetTrace {
  /** Commits of persons still open in this set. */
  readonly open: number
  readonly branches: readonly string[]
}

/** Which sessions are closed (see collection), and the request that did it. */
export interface ClosedSessions {
  readonly before: number
  readonly by: Id
}

export const CLOSED = 'sessions'

export interface View {
  readonly project: string
  readonly projects: Cells<Project>
  readonly repos: Cells<Repo>
  readonly branches: Cells<Branch>
  readonly commits: Cells<Commit>
  readonly pipelines: Cells<Pipeline>
  /** By the key of their commit. */
  readonly jobs: Cells<Job>
  readonly spouts: Cells<Spout>
  readonly egresses: Cells<Egress>
  readonly below: Cells<readonly string[]>
  readonly queues: Cells<Queue>
  readonly slots: Cells<string>
  readonly sets: Cells<SetTrace>
  /** At most one, under CLOSED. */
  readonly closed: Cells<ClosedSessions>
}

export interface State extends View {
  /** The last entry folded into it. */
  seq: number
}

export function emptyState(project: string): State {
  return {
    project,
    seq: 0,
    projects: new Map(),
    repos: new Map(),
    branches: new Map(),
    commits: new Map(),
    pipelines: new Map(),
    jobs: new Map(),
    spouts: new Map(),
    egresses: new Map(),
    below: new Map(),
    queues: new Map(),
    slots: new Map(),
    sets: new Map(),
    closed: new Map(),
  }
}

/** Reads through to `base`; writes stay here. */
class Layer<V> implements Cells<V> {
  readonly #base: Cells<V>
  /** undefined: deleted here. */
  #own: Map<string, V | undefined> | undefined

  constructor(base: Cells<V>) {
    this.#base = base
  }

  get(key: string): V | undefined {
    return this.#own?.has(key) ? this.#own.get(key) : this.#base.get(key)
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  set(key: string, value: V): void {
    this.#own ??= new Map()
    this.#own.set(key, value)
  }

  delete(key: string): void {
    this.#own ??= new Map()
    this.#own.set(key, undefined)
  }

  *keys(): Iterable<string> {
    for (const key of this.#base.keys()) if (!this.#own?.has(key)) yield key
    for (const [key, value] of this.#own ?? []) if (value !== undefined) yield key
  }

  *values(): Iterable<V> {
    for (const key of this.keys()) {
      const value = this.get(key)
      if (value !== undefined) yield value
    }
  }
}

/** A view that may be written to and thrown away; `base` stays as it is. */
export function overlay(base: View): View {
  return {
    project: base.project,
    projects: new Layer(base.projects),
    repos: new Layer(base.repos),
    branches: new Layer(base.branches),
    commits: new Layer(base.commits),
    pipelines: new Layer(base.pipelines),
    jobs: new Layer(base.jobs),
    spouts: new Layer(base.spouts),
    egresses: new Layer(base.egresses),
    below: new Layer(base.below),
    queues: new Layer(base.queues),
    slots: new Layer(base.slots),
    sets: new Layer(base.sets),
    closed: new Layer(base.closed),
  }
}

const slot = (branch: string, n: number): string => `${branch}#${n}`

export function enqueue(view: View, branch: string, commit: string): void {
  const queue = view.queues.get(branch) ?? { first: 0, next: 0 }
  view.slots.set(slot(branch, queue.next), commit)
  view.queues.set(branch, { first: queue.first, next: queue.next + 1 })
}

/** Takes the front away, which must be `commit`. */
export function dequeue(view: View, branch: string, commit: string): void {
  const queue = view.queues.get(branch)
  const front = queue && view.slots.get(slot(branch, queue.first))
  assert(queue && front === commit, () => `"${commit}" ends, but "${front}" is the front`)
  view.slots.delete(slot(branch, queue.first))
  if (queue.first + 1 === queue.next) view.queues.delete(branch)
  else view.queues.set(branch, { first: queue.first + 1, next: queue.next })
}

function* places(view: View, branch: string, backwards: boolean): Iterable<Commit> {
  const { first, next } = view.queues.get(branch) ?? { first: 0, next: 0 }
  for (let i = 0; i < next - first; i++) {
    const key = view.slots.get(slot(branch, backwards ? next - 1 - i : first + i))
    const commit = key === undefined ? undefined : view.commits.get(key)
    assert(commit, () => `the queue of "${branch}" names "${key}", which is not open`)
    yield commit
  }
}

/** The AUTO commit of the branch whose turn it is. */
export function frontOf(view: View, branch: string): Commit | undefined {
  for (const commit of places(view, branch, false)) return commit
  return undefined
}

/** The AUTO commits of a branch that have not ended, the oldest first. */
export function queueOf(view: View, branch: string): Iterable<Commit> {
  return places(view, branch, false)
}

/** The same, the newest first. */
export function queueBackwards(view: View, branch: string): Iterable<Commit> {
  return places(view, branch, true)
}

/** Replaces the edges into `branch`. */
export function setEdges(
  view: View,
  branch: string,
  before: readonly string[],
  after: readonly string[],
): void {
  for (const above of before) {
    if (after.includes(above)) continue
    const rest = (view.below.get(above) ?? []).filter((key) => key !== branch)
    if (rest.length === 0) view.below.delete(above)
    else view.below.set(above, rest)
  }
  for (const above of after) {
    const now = view.below.get(above) ?? []
    if (!now.includes(branch)) view.below.set(above, [...now, branch])
  }
}

interface Snapshot {
  readonly project: string
  readonly seq: number
  readonly projects: readonly Project[]
  readonly repos: readonly Repo[]
  readonly branches: readonly Branch[]
  readonly commits: readonly Commit[]
  readonly pipelines: readonly Pipeline[]
  readonly jobs: readonly Job[]
  readonly spouts: readonly Spout[]
  readonly egresses: readonly Egress[]
  readonly sets: readonly (SetTrace & { readonly id: string })[]
  readonly closed?: ClosedSessions
}

export function snapshotState(state: State): Snapshot {
  const { project, seq } = state
  const closed = state.closed.get(CLOSED)
  const names = [...state.sets.keys()]
  return {
    project,
    seq,
    projects: [...state.projects.values()],
    repos: [...state.repos.values()],
    branches: [...state.branches.values()],
    commits: [...state.commits.values()],
    pipelines: [...state.pipelines.values()],
    jobs: [...state.jobs.values()],
    spouts: [...state.spouts.values()],
    egresses: [...state.egresses.values()],
    sets: names.map((id) => ({ id, ...(state.sets.get(id) ?? { open: 0, branches: [] }) })),
    ...(closed && { closed }),
  }
}

export function restoreState(value: unknown): State {
  const from = value as Snapshot
  const state = emptyState(from.project)
  state.seq = from.seq
  for (const project of from.projects) state.projects.set(project.name, project)
  for (const repo of from.repos) state.repos.set(repo.name, repo)
  for (const branch of from.branches) {
    state.branches.set(branchKey(branch), branch)
    setEdges(state, branchKey(branch), [], branch.provenance.map(branchKey))
  }
  // An entry opens at most one AUTO commit on a branch, so their seqs are the order of the queue.
  for (const commit of from.commits.toSorted((a, b) => a.openedSeq - b.openedSeq)) {
    state.commits.set(commitKey(commit), commit)
    if (commit.origin === 'auto') enqueue(state, branchKey(commit), commitKey(commit))
  }
  for (const pipeline of from.pipelines) state.pipelines.set(pipeline.name, pipeline)
  for (const job of from.jobs) state.jobs.set(commitKey(job.commit), job)
  for (const spout of from.spouts) state.spouts.set(spout.name, spout)
  for (const egress of from.egresses) state.egresses.set(egress.name, egress)
  for (const { id, open, branches } of from.sets) state.sets.set(id, { open, branches })
  if (from.closed) state.closed.set(CLOSED, from.closed)
  return state
}
