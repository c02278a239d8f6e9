// From what a person points at to the commit they mean.

import type { Commit } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import { isId } from '../model/id.ts'
import type { Ref } from '../model/ref.ts'
import { refVersion } from '../model/ref.ts'
import { VarveError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import type { Reader } from './reader.ts'

/** Of a repo's commits, how many a shortened id is looked for in. */
const RECENT = 1_000
const SHORTEST = 4

/** @throws VarveError NOT_FOUND_REPO, NOT_FOUND_BRANCH, NOT_FOUND_COMMIT, INVALID_REF (two match) */
export async function resolveRef(reader: Reader, project: string, ref: Ref): Promise<Commit> {
  if (!(await reader.repo(project, ref.repo))) {
    const names: string[] = []
    for await (const repo of reader.repos(project)) names.push(repo.name)
    throw notFound('NOT_FOUND_REPO', `the repo "${ref.repo}"`, ref.repo, names)
  }
  let commit = await start(reader, project, ref)
  for (let step = 0; step < ref.back; step++) {
    const parent = commit.parent === null ? undefined : await parentOf(reader, project, commit)
    if (!parent)
      throw new VarveError(
        'NOT_FOUND_COMMIT',
        `cannot go back ${ref.back} commits from "${ref.repo}@${refVersion(ref)}": only ${step} are before it`,
      )
    commit = parent
  }
  return commit
}

async function start(reader: Reader, project: string, ref: Ref): Promise<Commit> {
  const version = refVersion(ref)
  if (ref.branch === undefined) {
    const branch = await reader.branch(project, { repo: ref.repo, branch: version })
    if (branch?.head) {
      const head = await reader.commit(project, { ...branch, id: branch.head.id })
      if (head) return head
    }
    if (branch)
      throw new VarveError(
        'NOT_FOUND_COMMIT',
        `cannot read "${ref.repo}@${version}": the branch has no finished commit yet`,
      )
  }
  const found = await byId(reader, project, ref, version)
  const ids = new Set(found.map((commit) => commit.id))
  if (ids.size > 1)
    throw new VarveError(
      'INVALID_REF',
      `cannot read "${ref.repo}@${version}": ${ids.size} commits match it`,
      { details: { ids: [...ids] } },
    )
  // One set on several branches: the one that can be read.
  const commit = found.find((one) => one.state === 'finished' && !one.dropped) ?? found[0]
  if (commit) return commit
  if (ref.branch !== undefined || isId(version))
    throw notFound('NOT_FOUND_COMMIT', `the commit "${ref.repo}@${version}"`, version, [])
  const names: string[] = []
  for await (const branch of reader.branches(project, ref.repo)) names.push(branch.branch)
  throw notFound(
    'NOT_FOUND_BRANCH',
    `the branch or commit "${ref.repo}@${version}"`,
    version,
    names,
  )
}

async function byId(
  reader: Reader,
  project: string,
  ref: Ref,
  version: string,
): Promise<readonly Commit[]> {
  const onBranch = (commit: Commit): boolean =>
    commit.repo === ref.repo && (ref.branch === undefined || commit.branch === ref.branch)
  const wanted = version.toLowerCase()
  if (isId(wanted)) return (await reader.commitSet(project, wanted)).filter(onBranch)
  if (wanted.length < SHORTEST || !/^[0-9a-f]+$/.test(wanted)) return []
  const found: Commit[] = []
  for await (const commit of reader.commits(project, ref.repo, { limit: RECENT }))
    if (onBranch(commit) && (commit.id.endsWith(wanted) || commit.id.startsWith(wanted)))
      found.push(commit)
  return found
}

/** A branch set to a commit of another one goes on there, so a parent may lie on a branch beside. */
export async function parentOf(
  reader: Pick<Reader, 'commit' | 'commitSet'>,
  project: string,
  commit: Commit,
): Promise<Commit | undefined> {
  const id = commit.parent as Id
  const same = await reader.commit(project, { ...commit, id })
  if (same) return same
  return (await reader.commitSet(project, id)).find((one) => one.repo === commit.repo)
}

function notFound(
  code: 'NOT_FOUND_REPO' | 'NOT_FOUND_BRANCH' | 'NOT_FOUND_COMMIT',
  what: string,
  wrong: string,
  known: readonly string[],
): VarveError {
  const near = nearest(wrong, known)
  return near === undefined
    ? new VarveError(code, `cannot find ${what}`)
    : new VarveError(code, `cannot find ${what}; did you mean "${near}"`, {
        details: { nearest: near },
      })
}
