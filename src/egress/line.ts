// Which commits of a branch stand between what was delivered and its head.

import { assert } from '../base/assert.ts'
import { VarveError } from '../base/errors.ts'
import type { BranchKey, Commit, Egress } from '../model/entities.ts'
import { branchKey } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { Versions } from '../versions/versions.ts'

/**
 * Oldest first; the first of them is the one in progress, if one is.
 * @throws VarveError HEAD_MOVED when the head does not descend from what was delivered
 */
export async function undelivered(
  versions: Versions,
  project: string,
  egress: Egress,
): Promise<Commit[]> {
  const { repo, branch, base, progress } = egress
  const head = (await versions.branch(project, egress))?.head?.id ?? null
  const wanted = progress !== null && !progress.done ? progress.commit : null
  const line: Commit[] = []
  let met = base === null
  let metWanted = wanted === null
  for (let id: Id | null = head; id !== null;) {
    if (id === base) {
      met = true
      break
    }
    const commit: Commit | undefined = await versions.commit(project, { repo, branch, id })
    if (!commit) throw gone({ repo, branch }, id)
    // What was dropped has no records left: those of the next begin where there is something.
    if (!commit.dropped) line.push(commit)
    if (id === wanted) metWanted = true
    id = commit.parent
  }
  if (!met || !metWanted)
    throw new VarveError(
      'HEAD_MOVED',
      `cannot deliver ${branchKey(egress)}: its head does not descend from ${wanted ?? base}, ` +
        `the commit delivered last`,
      { details: { delivered: wanted ?? base, head } },
    )
  line.reverse()
  assert(wanted === null || line[0]?.id === wanted, 'the commit in progress follows its base')
  return line
}

function gone(branch: BranchKey, id: Id): VarveError {
  return new VarveError(
    'NOT_FOUND_COMMIT',
    `cannot read ${branchKey(branch)}=${id}: no such commit`,
  )
}
