// The river's nodes in words and numbers: pure functions of rows and of what the hosts say.

import type { Band, Graph, GraphEdge, GraphNode, RecentCommit, RecentJob } from '../api/graph.ts'
import type { PipelinePool } from '../api/pools.ts'
import { ERRORS } from '../base/errors.ts'
import type { EgressStatus } from '../egress/status.ts'
import type { Cause, Commit, Egress, Job, Spout } from '../model/entities.ts'
import { commitKey, hasEnded } from '../model/entities.ts'
import { isTrouble, waitingState } from '../model/hindrance.ts'
import type { Hindrance } from '../model/pool-status.ts'
import { standingWords } from '../model/spec-standing.ts'
import type { JobProgress } from '../pipelines/service.ts'
import type { SpoutStatus } from '../spouts/status.ts'
import { jobHindrance } from './hindrances.ts'
import { COMMITS_KEPT } from './river-model.ts'
import type { PipelineRow, RepoRow, RiverModel } from './river-model.ts'

const RECENT = 20

/** What only the running hosts know. */
export interface LiveWords {
  spout(name: string): SpoutStatus | undefined
  egress(name: string): EgressStatus | undefined
  progress(pipeline: string): JobProgress | undefined
  waitingFor(pipeline: string): string | undefined
  pool(pipeline: string): PipelinePool | null
}

export function graphOf(model: RiverModel, live: LiveWords): Graph {
  const nodes: GraphNode[] = []
  const edges: GraphEdge[] = []
  for (const spout of model.spouts.values()) {
    nodes.push(feedNode(spout, live.spout(spout.name), model.repos.get(spout.repo)))
    edges.push({ from: `feed:${spout.name}`, to: `repo:${spout.repo}` })
  }
  for (const row of model.repos.values()) nodes.push(repoNode(row))
  for (const row of model.pipelines.values()) {
    const { name, inputs, output } = row.pipeline
    nodes.push(pipelineNode(row, live))
    for (const repo of new Set(inputs.map((input) => input.repo)))
      edges.push({ from: `repo:${repo}`, to: `pipeline:${name}` })
    edges.push({ from: `pipeline:${name}`, to: `repo:${output.repo}` })
  }
  for (const egress of model.egresses.values()) {
    nodes.push(egressNode(egress, live.egress(egress.name)))
    edges.push({ from: `repo:${egress.repo}`, to: `egress:${egress.name}` })
  }
  const known = new Set(nodes.map((node) => node.key))
  const commits = [...model.repos.values()].flatMap((row) => row.commits)
  const jobs = [...model.pipelines.values()].flatMap((row) => row.jobs)
  return {
    project: model.project,
    seq: model.seq,
    nodes,
    edges: edges.filter(({ from, to }) => known.has(from) && known.has(to)),
    commits: commits
      .sort((a, b) => b.openedSeq - a.openedSeq)
      .slice(0, RECENT)
      .map(recentCommit),
    jobs: jobs
      .sort((a, b) => b.startedSeq - a.startedSeq)
      .slice(0, RECENT)
      .map(recentJob),
  }
}

/** The node of a key, or undefined when it is no longer there. */
export function nodeOf(model: RiverModel, key: string, live: LiveWords): GraphNode | undefined {
  const colon = key.indexOf(':')
  const name = key.slice(colon + 1)
  const kind = key.slice(0, colon)
  if (kind === 'repo') {
    const row = model.repos.get(name)
    return row && repoNode(row)
  }
  if (kind === 'pipeline') {
    const row = model.pipelines.get(name)
    return row && pipelineNode(row, live)
  }
  if (kind === 'feed') {
    const spout = model.spouts.get(name)
    return spout && feedNode(spout, live.spout(name), model.repos.get(spout.repo))
  }
  const egress = model.egresses.get(name)
  return egress && egressNode(egress, live.egress(name))
}

function repoNode({ repo, commits, count }: RepoRow): GraphNode {
  const [newest] = commits
  const good = commits.find((commit) => commit.stats !== null)
  const size = good?.stats
    ? `${many(good.stats.files, 'file')} · ${bytesText(good.stats.bytes)}`
    : 'nothing in it yet'
  return {
    key: `repo:${repo.name}`,
    kind: 'repo',
    name: repo.name,
    state: newest?.state ?? 'waiting: first commit',
    line: size,
    cause: causeOf(newest?.cause ?? null),
    pods: null,
    address: null,
    progress: null,
    count,
    countUnit: 'commits',
    bands: commits.slice(0, COMMITS_KEPT - 1).map((commit) => band(commit, commits)),
  }
}

function band(commit: Commit, commits: readonly Commit[]): Band {
  const before = commits.find(({ id, branch }) => id === commit.parent && branch === commit.branch)
  // A parent that is no longer at hand: its difference is not known, and 0 claims the least.
  const base = commit.parent === null ? { files: 0, bytes: 0 } : (before?.stats ?? commit.stats)
  return {
    id: commit.id,
    state: commit.state,
    origin: commit.origin,
    atMs: commit.endedAtMs ?? commit.openedAtMs,
    files: commit.stats?.files ?? 0,
    bytes: commit.stats?.bytes ?? 0,
    filesDelta: (commit.stats?.files ?? 0) - (commit.stats ? (base?.files ?? 0) : 0),
    bytesDelta: (commit.stats?.bytes ?? 0) - (commit.stats ? (base?.bytes ?? 0) : 0),
    from: commit.feed ? [commit.feed.spout] : commit.provenance.map(commitKey),
  }
}

function pipelineNode({ pipeline, jobs, count }: PipelineRow, live: LiveWords): GraphNode {
  const { name } = pipeline
  const [job] = jobs
  const waiting = live.waitingFor(name)
  const now = live.progress(name)
  const progress = job && !job.endedAtMs && now?.job === job.commit.id ? now : undefined
  const pool = live.pool(name)
  const hindrance = job ? jobHindrance(job, pool, progress) : null
  return {
    key: `pipeline:${name}`,
    kind: 'pipeline',
    name,
    state: pipelineState(pipeline.state, job, waiting, hindrance),
    line: job ? jobLine(job, progress) : (waiting ?? 'no job so far'),
    cause: causeOf(job?.cause ?? null) ?? poolCause(job, pool),
    pods:
      pool && (pool.wanted > 0 || pool.running > 0)
        ? { pool: pool.pool, running: pool.running, wanted: pool.wanted }
        : null,
    address: pool?.address ?? null,
    progress:
      job && !job.endedAtMs && !job.standing
        ? progress && progress.toRun > 0
          ? progress.done / progress.toRun
          : 0
        : null,
    count,
    countUnit: 'jobs',
    bands: [],
  }
}

function pipelineState(
  state: 'running' | 'stopped',
  job: Job | undefined,
  waiting: string | undefined,
  hindrance: Hindrance | null,
): string {
  if (state === 'stopped') return 'stopped'
  if (hindrance) return waitingState(hindrance)
  if (job && job.endedAtMs === null) return 'running'
  if (waiting) return waiting.startsWith('waiting') ? waiting : `waiting: ${waiting}`
  return job?.state ?? 'waiting: first commit'
}

/** What keeps workers from being there, while there is something for them to do. */
function poolCause(job: Job | undefined, pool: PipelinePool | null): GraphNode['cause'] {
  if (!pool || job?.state !== 'running' || !isTrouble(pool.cause)) return null
  return { text: pool.cause.cause, remedy: pool.cause.remedy }
}

function jobLine(job: Job, progress: JobProgress | undefined): string {
  if (job.standing && job.endedAtMs === null) return standingWords(progress)
  if (job.endedAtMs === null) {
    const { run, reuse } = job.planned
    const done = progress ? `${progress.done} of ${progress.toRun} run` : `${run} to run`
    return `${done}${progress?.failed ? ` · ${progress.failed} failed` : ''} · ${reuse} reused`
  }
  if (!job.counts || job.standing) return job.cause?.text ?? job.state
  const { ran, reused, failed, recovered, codeChanged } = job.counts
  const parts = [codeChanged > 0 ? `${ran} run (${codeChanged} by new code)` : `${ran} run`]
  if (failed > 0) parts.push(`${failed} failed`)
  if (recovered > 0) parts.push(`${recovered} recovered`)
  parts.push(`${reused} reused`)
  return parts.join(' · ')
}

function feedNode(
  spout: Spout,
  status: SpoutStatus | undefined,
  repo: RepoRow | undefined,
): GraphNode {
  const state = spout.state === 'paused' ? 'paused' : (status?.state ?? 'waiting: its host')
  const cause = (spout.state === 'running' ? status?.cause : null) ?? spout.cause
  const lag = status?.lagRecords
  return {
    key: `feed:${spout.name}`,
    kind: 'feed',
    name: spout.name,
    state,
    line: status
      ? `${rate(status.recordsPerSecond)}${lag === null || lag === undefined ? '' : ` · lag ${count(lag)}`}`
      : 'not running here',
    cause: cause ? { text: cause, remedy: feedRemedy(spout) } : null,
    pods: null,
    address: null,
    progress: null,
    // Positions are the source's own words: what can be counted is what it became.
    count: repo?.count ?? 0,
    countUnit: 'commits',
    bands: [],
  }
}

const feedRemedy = ({ name, state }: Spout): string =>
  state === 'paused' ? `varve spout resume ${name}` : `varve spout status ${name}`

function egressNode(egress: Egress, status: EgressStatus | undefined): GraphNode {
  const cause = (egress.state === 'running' ? status?.cause : null) ?? egress.cause
  return {
    key: `egress:${egress.name}`,
    kind: 'egress',
    name: egress.name,
    state: egress.state === 'paused' ? 'paused' : (status?.state ?? 'waiting: its host'),
    line: status
      ? `${rate(status.recordsPerSecond)} · lag ${many(status.lagCommits, 'commit')}`
      : 'not running here',
    cause: cause
      ? {
          text: cause,
          remedy:
            egress.state === 'paused'
              ? `varve egress resume ${egress.name}`
              : `varve egress status ${egress.name}`,
        }
      : null,
    pods: null,
    address: null,
    progress: null,
    count: egress.deliveredRecords,
    countUnit: 'records',
    bands: [],
  }
}

const REMEDIES: Readonly<Record<Cause['code'], string>> = {
  INPUT_FAILED: 'mend the input that failed; the next commit runs as usual',
  SUPERSEDED: 'nothing to do: a newer commit took its place',
  DATUM_FAILED: ERRORS.CODE_FAILED.remedy,
  OUTPUT_CONFLICT: 'let each datum write paths of its own, then put the pipeline again',
  CODE_FAILED: ERRORS.CODE_FAILED.remedy,
  STOPPED: 'put the pipeline again or send a new commit to run it anew',
}

function causeOf(cause: Cause | null): GraphNode['cause'] {
  return cause && { text: cause.text, remedy: REMEDIES[cause.code] }
}

export function recentCommit(commit: Commit): RecentCommit {
  return {
    repo: commit.repo,
    branch: commit.branch,
    id: commit.id,
    state: commit.state,
    origin: commit.origin,
    atMs: hasEnded(commit.state) ? (commit.endedAtMs ?? commit.openedAtMs) : commit.openedAtMs,
    files: commit.stats?.files ?? 0,
    bytes: commit.stats?.bytes ?? 0,
  }
}

export function recentJob(job: Job): RecentJob {
  return {
    pipeline: job.pipeline,
    id: job.commit.id,
    state: job.state,
    startedAtMs: job.startedAtMs,
    endedAtMs: job.endedAtMs,
    ran: job.counts?.ran ?? 0,
    reused: job.counts?.reused ?? job.planned.reuse,
    failed: job.counts?.failed ?? 0,
    cause: job.cause?.text ?? null,
  }
}

const count = (n: number): string => Math.round(n).toLocaleString('en-US')
const many = (n: number, noun: string): string => `${count(n)} ${noun}${n === 1 ? '' : 's'}`
const rate = (perSecond: number): string =>
  `${perSecond >= 10 || perSecond === 0 ? count(perSecond) : perSecond.toFixed(1)} records/s`

function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`
}
