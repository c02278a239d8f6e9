// Public events: a pure function of an entry, so that they can be published again from the log at
// any time and are the same. Ids are `<project>:<generation>:<seq>.<n>`.

import { branchKey, commitKey } from '../model/entities.ts'
import type { Branch, Commit, Egress, Job, Pipeline, Spout } from '../model/entities.ts'
import type { Fact } from '../model/ops.ts'
import type { VersionEntry } from '../versions/versions.ts'

export interface PublicEvent {
  readonly id: string
  /** `dev.varve.<noun>.<what happened>.v1` */
  readonly type: string
  /** `project/repo@branch=commit`, `project/pipeline`, … */
  readonly subject: string
  /** Log time, milliseconds since 1970. */
  readonly atMs: number
  readonly data: Readonly<Record<string, unknown>>
}

/** Raised by a restore from an older log only. */
const GENERATION = 1

/** In the order of the entry's facts; none for a rejection. */
export function publicEvents(project: string, entry: VersionEntry): PublicEvent[] {
  if (!('yes' in entry.decision)) return []
  const told = entry.decision.yes.map(tell).filter((event) => event !== undefined)
  return told.map(({ type, subject, data }, n) => ({
    id: `${project}:${GENERATION}:${entry.seq}.${n}`,
    type: `dev.varve.${type}.v1`,
    subject: `${project}/${subject}`,
    atMs: entry.atMs,
    data: { ...data, principal: entry.principal, request: entry.id, cause: entry.cause },
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
  readonly type: string
  readonly subject: string
  readonly data: Readonly<Record<string, unknown>>
}

/** Undefined: no public event. */
function tell(fact: Fact): Told | undefined {
  switch (fact.f) {
    case 'commit.opened':
    case 'commit.finished':
    case 'commit.failed':
      return { type: fact.f, subject: commitKey(fact.commit), data: commitData(fact.commit) }
    case 'branch.created':
    case 'branch.moved':
    case 'branch.deleted':
      return { type: fact.f, subject: branchKey(fact.branch), data: branchData(fact.branch) }
    case 'pipeline.put':
    case 'pipeline.stopped':
    case 'pipeline.started':
    case 'pipeline.deleted':
      return { type: fact.f, subject: fact.pipeline.name, data: pipelineData(fact.pipeline) }
    case 'job.started':
    case 'job.finished':
      return { type: fact.f, subject: jobSubject(fact.job), data: jobData(fact.job) }
    case 'spout.put':
    case 'spout.deleted':
      return { type: fact.f, subject: fact.spout.name, data: spoutData(fact.spout) }
    case 'egress.put':
    case 'egress.changed':
    case 'egress.delivered':
    case 'egress.deleted':
      return { type: fact.f, subject: fact.egress.name, data: egressData(fact.egress) }
    case 'spout.changed':
      return { type: 'spout.state', subject: fact.spout.name, data: spoutData(fact.spout) }
    case 'repo.created':
    case 'repo.deleted':
      return { type: fact.f, subject: fact.repo.name, data: { repo: fact.repo.name } }
    case 'project.created':
    case 'branch.changed':
    case 'commit.changed':
    case 'job.stopping':
      return undefined
  }
}

function commitData(commit: Commit): Told['data'] {
  const { repo, branch, id, state, origin, parent, stats, provenance, cause, feed } = commit
  return { repo, branch, commit: id, state, origin, parent, stats, provenance, why: cause, feed }
}

function branchData({ repo, branch, head, pipeline }: Branch): Told['data'] {
  return { repo, branch, head: head?.id ?? null, pipeline }
}

function pipelineData({ name, version, state, inputs, output }: Pipeline): Told['data'] {
  return { pipeline: name, version, state, inputs, output }
}

function jobSubject(job: Job): string {
  return `${job.pipeline}=${job.commit.id}`
}

function jobData(job: Job): Told['data'] {
  const { pipeline, pipelineVersion, commit, state, planned, counts, cause } = job
  return { pipeline, pipelineVersion, job: commit.id, state, planned, counts, why: cause }
}

function spoutData({ name, repo, branch, state, cause, positions }: Spout): Told['data'] {
  return { spout: name, repo, branch, state, why: cause, positions }
}

function egressData(egress: Egress): Told['data'] {
  const { name, repo, branch, state, cause, progress, deliveredRecords } = egress
  return { egress: name, repo, branch, state, why: cause, progress, deliveredRecords }
}
