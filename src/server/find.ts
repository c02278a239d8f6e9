// Looking things up by name, with a refusal that helps when they are not there.

import type { ErrorCode } from '../base/errors.ts'
import { VarveError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import type { Branch, Commit, Job, Pipeline, Repo } from '../model/entities.ts'
import { DEFAULT_PROJECT } from '../model/name.ts'
import type { Ref } from '../model/ref.ts'
import { parseRef } from '../model/ref.ts'
import { whyNoJob } from '../pipelines/waiting.ts'
import type { Versions } from '../versions/versions.ts'

/** @throws VarveError NOT_FOUND_PROJECT */
export async function requireProject(versions: Versions, project: string): Promise<void> {
  const names: string[] = []
  for await (const one of versions.projects()) {
    if (one.name === project) return
    names.push(one.name)
  }
  if (project === DEFAULT_PROJECT) return
  throw missing('NOT_FOUND_PROJECT', 'project', project, names)
}

/** @param where written before the name, and before the one that is near */
export function missing(
  code: ErrorCode,
  noun: string,
  name: string,
  known: readonly string[],
  where = '',
): VarveError {
  const near = nearest(name, known)
  const hint = near ? `; did you mean "${where}${near}"?` : ''
  return new VarveError(code, `cannot find the ${noun} "${where}${name}"${hint}`, {
    details: { name, ...(near ? { nearest: near } : {}) },
  })
}

/** The row, or a refusal: of the project if that is what is missing, else naming what is near. */
export async function required<T extends { readonly name: string }>(
  versions: Versions,
  project: string,
  found: T | undefined,
  name: string,
  noun: 'repo' | 'pipeline' | 'spout' | 'egress',
  all: AsyncIterable<T>,
): Promise<T> {
  if (found) return found
  await requireProject(versions, project)
  const names: string[] = []
  for await (const row of all) names.push(row.name)
  throw missing(`NOT_FOUND_${noun.toUpperCase()}` as ErrorCode, noun, name, names)
}

export async function requireRepo(
  versions: Versions,
  project: string,
  name: string,
): Promise<Repo> {
  const row = await versions.repo(project, name)
  return required(versions, project, row, name, 'repo', versions.repos(project))
}

export async function requirePipeline(
  versions: Versions,
  project: string,
  name: string,
): Promise<Pipeline> {
  const row = await versions.pipeline(project, name)
  return required(versions, project, row, name, 'pipeline', versions.pipelines(project))
}

/** @throws VarveError NOT_FOUND_REPO, NOT_FOUND_BRANCH */
export async function requireBranch(
  versions: Versions,
  project: string,
  key: { readonly repo: string; readonly branch: string },
): Promise<Branch> {
  const row = await versions.branch(project, key)
  if (row) return row
  await requireRepo(versions, project, key.repo)
  const names: string[] = []
  for await (const one of versions.branches(project, key.repo)) names.push(one.branch)
  throw missing('NOT_FOUND_BRANCH', 'branch', key.branch, names, `${key.repo}@`)
}

/** Reads the version part of a reference: `master`, `master~2`, an id, `master=id`. */
export function refOf(repo: string, version: string): Ref {
  return parseRef(`${repo}@${version}`)
}

/** The commit a reference means where waiting or inspecting: a branch means its tip. */
export async function tipOrCommit(
  versions: Versions,
  project: string,
  repo: string,
  version: string,
): Promise<Commit> {
  const ref = refOf(repo, version)
  if (ref.version !== undefined && ref.branch === undefined && ref.back === 0) {
    const branch = await versions.branch(project, { repo, branch: ref.version })
    if (branch?.tip) {
      const key = { repo, branch: branch.branch, id: branch.tip.id }
      const commit = await versions.commit(project, key)
      if (commit) return commit
    }
  }
  return versions.resolve(project, ref)
}

const MIN_ABBREVIATED = 4
const JOBS_LOOKED_AT = 1000

/** By its id, ≥ 4 first or last characters of one among the newest 1,000, `latest`, or its branch. */
export async function requireJob(
  versions: Versions,
  project: string,
  pipeline: string,
  text: string,
): Promise<Job> {
  const { output } = await requirePipeline(versions, project, pipeline)
  const wanted = text.toLowerCase().replaceAll('-', '')
  const means = (id: string): boolean =>
    wanted.length >= MIN_ABBREVIATED && (id.endsWith(wanted) || id.startsWith(wanted))
  const found: Job[] = []
  for await (const job of versions.jobs(project, pipeline, { limit: JOBS_LOOKED_AT })) {
    const { id } = job.commit
    if (text === 'latest' || text === job.commit.branch || id === wanted) return job
    if (means(id)) found.push(job)
  }
  const [only, ...others] = found
  if (!only) {
    const newest = text === 'latest' || text === output.branch
    const why = await whyNoJob(versions, project, output, ({ id }) => newest || means(id))
    const whole = `cannot find job "${text}" of pipeline "${pipeline}"${why ? `: ${why}` : ''}`
    throw new VarveError('NOT_FOUND_JOB', whole)
  }
  if (others.length > 0)
    throw new VarveError('INVALID_REF', `cannot tell which job "${text}" is: ${found.length} match`)
  return only
}

/** A page of what is listed by name. */
export async function pageByName<T, V>(
  rows: AsyncIterable<T>,
  query: { readonly limit?: number; readonly after?: string },
  nameOf: (row: T) => string,
  view: (row: T) => V | Promise<V>,
): Promise<{ items: V[]; next: string | null }> {
  const all: T[] = []
  for await (const row of rows) all.push(row)
  all.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
  const { after, limit = 100 } = query
  const rest = after === undefined ? all : all.filter((row) => nameOf(row) > after)
  const items = rest.slice(0, limit)
  const last = items.at(-1)
  const next = rest.length > limit && last !== undefined ? nameOf(last) : null
  return { items: await Promise.all(items.map(view)), next }
}

/** A page of what is listed newest first; the cursor is the seq of its last row. */
export async function pageBySeq<T, V>(
  rows: (limit: number, beforeSeq: number | undefined) => AsyncIterable<T>,
  query: { readonly limit?: number; readonly after?: string },
  seqOf: (row: T) => number,
  view: (row: T) => V | Promise<V>,
): Promise<{ items: V[]; next: string | null }> {
  const { limit = 100, after } = query
  const beforeSeq = after === undefined ? undefined : Number(after)
  if (beforeSeq !== undefined && !Number.isSafeInteger(beforeSeq))
    throw new VarveError(
      'INVALID_OPTION',
      `cannot use "${after}" as "after": take "next" of a page`,
    )
  const found: T[] = []
  for await (const row of rows(limit + 1, beforeSeq)) {
    found.push(row)
    if (found.length > limit) break
  }
  const items = found.slice(0, limit)
  const last = items.at(-1)
  const next = found.length > limit && last !== undefined ? String(seqOf(last)) : null
  return { items: await Promise.all(items.map(view)), next }
}
