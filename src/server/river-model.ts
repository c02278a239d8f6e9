// What the river is drawn from: rows of one project, kept fresh by folding entries. Facts carry whole
// values, so folding one again changes nothing.

import type { Branch, Commit, Egress, Job, Pipeline, Repo, Spout } from '../model/entities.ts'
import { commitKey } from '../model/entities.ts'
import type { Fact } from '../model/ops.ts'
import type { VersionEntry, Versions } from '../versions/versions.ts'

/** Newest first; one more than is drawn, so that the last one drawn has something to differ from. */
export const COMMITS_KEPT = 25
export const JOBS_KEPT = 20
/** Rows counted at the start; a longer history is counted from here on. */
const COUNTED = 1000

export interface RepoRow {
  readonly repo: Repo
  commits: Commit[]
  count: number
}

export interface PipelineRow {
  pipeline: Pipeline
  jobs: Job[]
  count: number
}

export interface RiverModel {
  readonly project: string
  seq: number
  readonly repos: Map<string, RepoRow>
  readonly pipelines: Map<string, PipelineRow>
  readonly spouts: Map<string, Spout>
  readonly egresses: Map<string, Egress>
}

/** Rows at the watermark or later; entries after `seq` must be folded onto it. */
export async function loadRiver(versions: Versions, project: string): Promise<RiverModel> {
  const seq = await versions.watermark(project)
  const model: RiverModel = {
    project,
    seq,
    repos: new Map(),
    pipelines: new Map(),
    spouts: new Map(),
    egresses: new Map(),
  }
  for await (const repo of versions.repos(project)) {
    const row: RepoRow = { repo, commits: [], count: 0 }
    for await (const commit of versions.commits(project, repo.name, { limit: COUNTED }))
      if (++row.count <= COMMITS_KEPT) row.commits.push(commit)
    model.repos.set(repo.name, row)
  }
  for await (const pipeline of versions.pipelines(project)) {
    const row: PipelineRow = { pipeline, jobs: [], count: 0 }
    for await (const job of versions.jobs(project, pipeline.name, { limit: COUNTED }))
      if (++row.count <= JOBS_KEPT) row.jobs.push(job)
    model.pipelines.set(pipeline.name, row)
  }
  for await (const spout of versions.spouts(project)) model.spouts.set(spout.name, spout)
  for await (const egress of versions.egresses(project)) model.egresses.set(egress.name, egress)
  return model
}

/** What an entry touched. */
export interface Touched {
  /** Nodes or edges came or went: draw anew. */
  shape: boolean
  readonly keys: Set<string>
  readonly commits: Commit[]
  readonly jobs: Job[]
}

export function foldRiver(model: RiverModel, entry: VersionEntry): Touched {
  const touched: Touched = { shape: false, keys: new Set(), commits: [], jobs: [] }
  model.seq = Math.max(model.seq, entry.seq)
  if ('yes' in entry.decision) for (const fact of entry.decision.yes) foldFact(model, fact, touched)
  return touched
}

function foldFact(model: RiverModel, fact: Fact, touched: Touched): void {
  switch (fact.f) {
    case 'repo.created':
      if (!model.repos.has(fact.repo.name))
        model.repos.set(fact.repo.name, { repo: fact.repo, commits: [], count: 0 })
      touched.shape = true
      break
    case 'repo.deleted':
      model.repos.delete(fact.repo.name)
      touched.shape = true
      break
    case 'commit.opened':
    case 'commit.changed':
    case 'commit.finished':
    case 'commit.failed':
    case 'commit.dropped':
      foldCommit(model, fact.commit)
      touched.commits.push(fact.commit)
      touched.keys.add(`repo:${fact.commit.repo}`)
      for (const { name, repo } of model.spouts.values())
        if (repo === fact.commit.repo) touched.keys.add(`feed:${name}`)
      for (const { pipeline } of model.pipelines.values())
        if (pipeline.output.repo === fact.commit.repo) touched.keys.add(`pipeline:${pipeline.name}`)
      break
    case 'pipeline.put':
    case 'pipeline.stopped':
    case 'pipeline.started':
      foldPipeline(model, fact.pipeline, touched)
      break
    case 'pipeline.deleted':
      model.pipelines.delete(fact.pipeline.name)
      touched.shape = true
      break
    case 'job.started':
    case 'job.stopping':
    case 'job.finished':
      foldJob(model, fact.job)
      touched.jobs.push(fact.job)
      touched.keys.add(`pipeline:${fact.job.pipeline}`)
      break
    case 'spout.put':
    case 'spout.changed':
      touched.shape ||= fact.f === 'spout.put'
      model.spouts.set(fact.spout.name, fact.spout)
      touched.keys.add(`feed:${fact.spout.name}`)
      break
    case 'spout.deleted':
      model.spouts.delete(fact.spout.name)
      touched.shape = true
      break
    case 'egress.put':
    case 'egress.changed':
    case 'egress.delivered':
      touched.shape ||= fact.f === 'egress.put'
      model.egresses.set(fact.egress.name, fact.egress)
      touched.keys.add(`egress:${fact.egress.name}`)
      break
    case 'egress.deleted':
      model.egresses.delete(fact.egress.name)
      touched.shape = true
      break
    case 'branch.created':
    case 'branch.moved':
    case 'branch.changed':
    case 'branch.deleted':
      foldBranch(fact.branch, touched)
      break
    case 'repo.changed':
      touched.keys.add(`repo:${fact.repo.name}`)
      break
    case 'project.created':
    case 'sessions.closed':
    case 'purge.begun':
    case 'purge.ended':
      break
  }
}

function foldBranch(branch: Branch, touched: Touched): void {
  touched.keys.add(`repo:${branch.repo}`)
}

function foldCommit(model: RiverModel, commit: Commit): void {
  const row = model.repos.get(commit.repo)
  if (!row) return
  const key = commitKey(commit)
  const at = row.commits.findIndex((one) => commitKey(one) === key)
  if (at >= 0) row.commits[at] = commit
  else {
    const oldest = row.commits.at(-1)
    // What has fallen off the end was counted when it came.
    if (oldest && row.commits.length >= COMMITS_KEPT && oldest.openedSeq > commit.openedSeq) return
    row.commits.push(commit)
    row.commits.sort((a, b) => b.openedSeq - a.openedSeq)
    row.commits.length = Math.min(row.commits.length, COMMITS_KEPT)
    row.count++
  }
}

function foldPipeline(model: RiverModel, pipeline: Pipeline, touched: Touched): void {
  const row = model.pipelines.get(pipeline.name)
  if (!row || JSON.stringify(row.pipeline.inputs) !== JSON.stringify(pipeline.inputs))
    touched.shape = true
  if (row) row.pipeline = pipeline
  else model.pipelines.set(pipeline.name, { pipeline, jobs: [], count: 0 })
  touched.keys.add(`pipeline:${pipeline.name}`)
}

function foldJob(model: RiverModel, job: Job): void {
  const row = model.pipelines.get(job.pipeline)
  if (!row) return
  const at = row.jobs.findIndex((one) => one.commit.id === job.commit.id)
  if (at >= 0) row.jobs[at] = job
  else {
    row.jobs = [job, ...row.jobs].sort((a, b) => b.startedSeq - a.startedSeq).slice(0, JOBS_KEPT)
    row.count++
  }
}
