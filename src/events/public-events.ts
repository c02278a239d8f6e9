// Public events: a pure function of an entry, so that they can be published again from the log at
// any time and are the same. Ids are `<project>:<generation>:<seq>.<n>`.

import { branchKey, commitKey } from '../model/entities.ts'
import type {
  Branch,
  BranchKey,
  Cause,
  Commit,
  CommitKey,
  Egress,
  Job,
  Pipeline,
  Repo,
  Spout,
} from '../model/entities.ts'
import type { Fact } from '../model/ops.ts'
import type { VersionEntry } from '../versions/versions.ts'
import { typeName } from './catalogue.ts'
import type { EventName } from './catalogue.ts'
import type {
  BranchData,
  CommitData,
  CommonData,
  EgressData,
  JobData,
  PipelineData,
  RepoData,
  SpoutData,
} from './nouns.ts'

export interface PublicEvent {
  readonly id: string
  /** `dev.varve.<noun>.<what happened>.v1` */
  readonly type: string
  /** `project/repo@branch=commit`, `project/pipeline`, … */
  readonly subject: string
  /** What it is in order with: `project/repo`, `project/pipeline`, … */
  readonly key: string
  /** Log time, milliseconds since 1970. */
  readonly atMs: number
  /** The fields of its noun (nouns.ts). */
  readonly data: Readonly<Record<string, unknown>>
}

/** Raised by a restore from an older log only. */
export const GENERATION = 1

/** In the order of the entry's facts; none for a rejection. */
export function publicEvents(project: string, entry: VersionEntry): PublicEvent[] {
  if (!('yes' in entry.decision)) return []
  const { seq, atMs, principal, id: request, cause } = entry
  const common: CommonData = { project, seq, atMicros: atMs * 1000, principal, request, cause }
  const told = entry.decision.yes.map(tell).filter((event) => event !== undefined)
  return told.map(({ name, key, subject = key, data }, n) => ({
    id: `${project}:${GENERATION}:${seq}.${n}`,
    type: typeName(name),
    subject: `${project}/${subject}`,
    key: `${project}/${key}`,
    atMs,
    data: { ...common, ...data },
  }))
}

export interface EventPlace {
  readonly seq: number
  readonly n: number
}

/** Where an event id of this project stands; undefined when it is not one. */
export function parseEventId(project: string, id: string): EventPlace | undefined {
  const match = /^(.+):(\d+):(\d+)\.(\d+)$/.exec(id)
  if (!match || match[1] !== project || Number(match[2]) !== GENERATION) return undefined
  return { seq: Number(match[3]), n: Number(match[4]) }
}

interface Told {
  readonly name: EventName
  readonly key: string
  /** Default: the key. */
  readonly subject?: string
  readonly data: Readonly<Record<string, unknown>>
}

/** Undefined: no public event. */
function tell(fact: Fact): Told | undefined {
  switch (fact.f) {
    case 'commit.opened':
    case 'commit.finished':
    case 'commit.failed':
    case 'commit.dropped': {
      const { commit } = fact
      const subject = commitKey(commit)
      return { name: fact.f, key: commit.repo, subject, data: commitData(commit) }
    }
    case 'branch.created':
    case 'branch.moved':
    case 'branch.deleted': {
      const { branch } = fact
      const subject = branchKey(branch)
      return { name: fact.f, key: branch.repo, subject, data: branchData(branch) }
    }
    case 'pipeline.put':
    case 'pipeline.stopped':
    case 'pipeline.started':
    case 'pipeline.deleted':
      return { name: fact.f, key: fact.pipeline.name, data: pipelineData(fact.pipeline) }
    case 'job.started':
    case 'job.finished': {
      const { job } = fact
      const subject = `${job.pipeline}=${job.commit.id}`
      return { name: fact.f, key: job.pipeline, subject, data: jobData(job) }
    }
    case 'spout.put':
    case 'spout.deleted':
      return { name: fact.f, key: fact.spout.name, data: spoutData(fact.spout) }
    case 'spout.changed':
      return { name: 'spout.state', key: fact.spout.name, data: spoutData(fact.spout) }
    case 'egress.put':
    case 'egress.delivered':
    case 'egress.deleted':
      return { name: fact.f, key: fact.egress.name, data: egressData(fact.egress) }
    case 'egress.changed':
      return { name: 'egress.state', key: fact.egress.name, data: egressData(fact.egress) }
    case 'repo.created':
    case 'repo.deleted':
      return { name: fact.f, key: fact.repo.name, data: repoData(fact.repo) }
    case 'project.created':
    case 'sessions.closed':
    case 'purge.begun':
    case 'purge.ended':
    case 'repo.changed':
    case 'branch.changed':
    case 'commit.changed':
    case 'job.stopping':
      return undefined
  }
}

function repoData({ name, pipeline }: Repo): RepoData {
  return { repo: name, pipeline }
}

function branchData({ repo, branch, head, pipeline, provenance, epoch }: Branch): BranchData {
  const from = provenance.map(branchRef)
  return { repo, branch, head: head?.id ?? null, pipeline, provenance: from, epoch }
}

function commitData(commit: Commit): CommitData {
  const { repo, branch, id, state, origin, parent, stats, sources, cause, feed } = commit
  return {
    repo,
    branch,
    commit: id,
    state,
    origin,
    parent,
    stats: stats && { files: stats.files, bytes: stats.bytes },
    provenance: commit.provenance.map(commitRef),
    sources,
    why: whyOf(cause),
    feed: feed && { spout: feed.spout, ranges: feed.ranges },
    openedSeq: commit.openedSeq,
    openedAtMicros: commit.openedAtMs * 1000,
    endedAtMicros: microsOf(commit.endedAtMs),
  }
}

function pipelineData(pipeline: Pipeline): PipelineData {
  const { name, version, state, inputs, output, backlog } = pipeline
  const refs = { inputs: inputs.map(branchRef), output: branchRef(output) }
  return { pipeline: name, version, state, ...refs, backlog }
}

function jobData(job: Job): JobData {
  const { pipeline, pipelineVersion, commit, state, planned, counts, cause } = job
  return {
    pipeline,
    pipelineVersion,
    job: commit.id,
    output: branchRef(commit),
    state,
    planned,
    counts,
    why: whyOf(cause),
    startedAtMicros: job.startedAtMs * 1000,
    endedAtMicros: microsOf(job.endedAtMs),
  }
}

function spoutData({ name, repo, branch, state, cause, epoch, positions }: Spout): SpoutData {
  return { spout: name, repo, branch, state, why: cause, epoch, positions }
}

function egressData(egress: Egress): EgressData {
  const { name, repo, branch, state, cause, epoch, base, progress, deliveredRecords } = egress
  return {
    egress: name,
    repo,
    branch,
    state,
    why: cause,
    epoch,
    base,
    progress: progress && {
      commit: progress.commit,
      records: progress.records,
      done: progress.done,
      coordinates: textsOf(progress.coordinates ?? {}),
    },
    deliveredRecords,
  }
}

function branchRef({ repo, branch }: BranchKey): { repo: string; branch: string } {
  return { repo, branch }
}

function commitRef({ repo, branch, id }: CommitKey): { repo: string; branch: string; id: string } {
  return { repo, branch, id }
}

function whyOf(cause: Cause | null): CommitData['why'] {
  if (cause === null) return null
  const { code, text, commit } = cause
  return { code, text, commit: commit && commitRef(commit) }
}

function microsOf(ms: number | null): number | null {
  return ms === null ? null : ms * 1000
}

/** A sink's words are its own: anything but a text is told as JSON. */
function textsOf(values: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  )
}
