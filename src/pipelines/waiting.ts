// Why an output commit has no job yet, read from the projections: for whoever asks after what is not
// there so far.

import type { Commit, CommitKey } from '../model/entities.ts'
import { branchKey, commitKey, hasEnded } from '../model/entities.ts'
import type { Versions } from '../versions/versions.ts'

/** Newest commits of a branch in which the front of its queue is looked for. */
const LOOKED_AT = 1_000

/** What an unended commit of a pipeline waits for, in words; undefined when it runs or has ended. */
export async function whyQueued(
  versions: Pick<Versions, 'commit' | 'commits'>,
  project: string,
  commit: Commit,
): Promise<string | undefined> {
  if (commit.state !== 'queued') return undefined
  for (const key of commit.provenance) {
    const input = await versions.commit(project, key)
    if (input && !hasEnded(input.state))
      return `its input ${commitKey(key)} is ${input.state}, not finished`
  }
  const front = await frontOf(versions, project, commit)
  if (front) return `it is queued behind ${commitKey(front)}, which is ${front.state}`
  return 'it is to be planned'
}

/** The oldest commit of its branch that is before it and has not ended. */
async function frontOf(
  versions: Pick<Versions, 'commits'>,
  project: string,
  commit: Commit,
): Promise<Commit | undefined> {
  let front: Commit | undefined
  const { repo, branch, openedSeq, id } = commit
  for await (const each of versions.commits(project, repo, { branch, limit: LOOKED_AT })) {
    if (each.origin !== 'auto' || each.openedSeq > openedSeq || each.id === id) continue
    // Those before the first that ended have ended too, but for superseded ones.
    if (hasEnded(each.state)) {
      if (each.state !== 'superseded') break
    } else front = each
  }
  return front
}

/** `it waits: …` of the newest unended commit of a branch that the text may mean; else undefined. */
export async function whyNoJob(
  versions: Pick<Versions, 'commit' | 'commits'>,
  project: string,
  output: Omit<CommitKey, 'id'>,
  means: (commit: Commit) => boolean,
): Promise<string | undefined> {
  const { repo, branch } = output
  for await (const commit of versions.commits(project, repo, { branch, limit: LOOKED_AT })) {
    if (!means(commit)) continue
    const why = await whyQueued(versions, project, commit)
    return why && `commit "${branchKey(output)}=${commit.id}" has no job yet: ${why}`
  }
  return undefined
}
