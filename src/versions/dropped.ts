// Reading what was dropped is refused by name: never an empty tree, never bytes that may go at any time.

import { VarveError } from '../base/errors.ts'
import type { Commit, Job } from '../model/entities.ts'
import { branchKey, commitKey } from '../model/entities.ts'
import { parentOf } from './resolve.ts'
import type { Versions } from './versions.ts'

const ANCESTORS_LOOKED_AT = 1_000

/** @throws VarveError NOT_FOUND_COMMIT */
export function checkKept(commit: Commit): void {
  if (!commit.dropped) return
  throw new VarveError(
    'NOT_FOUND_COMMIT',
    `cannot read "${commitKey(commit)}": it was dropped; "varve commit list ${branchKey(commit)}" ` +
      'shows which commits are kept',
    { details: { dropped: commit.dropped } },
  )
}

/** A job's plan, datums and lines go with its commit. @throws VarveError NOT_FOUND_COMMIT */
export async function checkJobKept(versions: Versions, project: string, job: Job): Promise<void> {
  const commit = await versions.commit(project, job.commit)
  if (commit) checkKept(commit)
}

/**
 * What a commit is compared with where nobody says: its parent, or of its ancestors the nearest that is
 * kept. Undefined: it is the first.
 * @throws VarveError NOT_FOUND_COMMIT when all that are near were dropped
 */
export async function keptAncestor(
  versions: Versions,
  project: string,
  commit: Commit,
): Promise<Commit | undefined> {
  if (commit.parent === null) return undefined
  let at: Commit | undefined = commit
  for (let n = 0; n < ANCESTORS_LOOKED_AT && at && at.parent !== null; n++) {
    at = await parentOf(versions, project, at)
    if (at && !at.dropped) return at
  }
  throw new VarveError(
    'NOT_FOUND_COMMIT',
    `cannot compare "${commitKey(commit)}" with what was before: those commits were dropped; ` +
      'name one to compare with: "varve file diff OLD NEW"',
  )
}
