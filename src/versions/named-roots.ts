// Trees and messages of commits, and what is staged for open ones, by what people call them, for whoever tells what of them is damaged.

import type { Commit } from '../model/entities.ts'
import { commitKey } from '../model/entities.ts'
import type { NamedRoot } from '../objects/upkeep/verify.ts'
import type { Versions } from './versions.ts'

/** Of all projects, of one, or of one repo of it; newest first in each repo. */
export async function* namedRoots(
  versions: Versions,
  scope: { readonly project?: string | undefined; readonly repo?: string | undefined } = {},
): AsyncGenerator<NamedRoot> {
  for await (const project of projectsOf(versions, scope.project)) {
    if (scope.repo === undefined)
      for await (const { id, map, receipt } of versions.purges(project)) {
        yield { name: `the map of purge ${id}`, ref: map, chunk: true }
        yield { name: `the receipt of purge ${id}`, ref: receipt, chunk: true }
      }
    for await (const repo of reposOf(versions, project, scope.repo))
      for await (const commit of versions.commits(project, repo))
        yield* ofCommit(versions, project, commit)
  }
}

async function* ofCommit(
  versions: Versions,
  project: string,
  commit: Commit,
): AsyncGenerator<NamedRoot> {
  const { root, note } = commit
  const name = `${project}/${commitKey(commit)}`
  const kept = async (): Promise<boolean> => {
    const now = await versions.commit(project, commit)
    return now !== undefined && !now.dropped
  }
  if (root !== null) yield { name, ref: root, kept }
  if (note !== null) yield { name: `message of ${name}`, ref: note, chunk: true, kept }
  if (commit.state !== 'open' || commit.origin !== 'user') return
  const open = async (): Promise<boolean> =>
    (await versions.commit(project, commit))?.state === 'open'
  for await (const ref of versions.stagedRuns(project, commit))
    yield { name: `what is staged for ${name}`, ref, kept: open }
}

async function* projectsOf(versions: Versions, only: string | undefined): AsyncGenerator<string> {
  if (only !== undefined) yield only
  else for await (const { name } of versions.projects()) yield name
}

async function* reposOf(
  versions: Versions,
  project: string,
  only: string | undefined,
): AsyncGenerator<string> {
  if (only !== undefined) yield only
  else for await (const { name } of versions.repos(project)) yield name
}
