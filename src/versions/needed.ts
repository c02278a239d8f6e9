// What keeps a commit from being dropped. Children are no reason: every commit is a full tree.
//
// Whoever decides asks the state, where the answer counts; whoever wants to know beforehand (a dry run,
// retention) asks the rows.

import type { Branch, Commit, CommitKey } from '../model/entities.ts'
import { branchKey, commitKey, hasEnded } from '../model/entities.ts'
import type { Versions } from './versions.ts'

/** Of the world around one commit, what may need it. */
export interface Needs {
  /** The branch it is on; undefined: that was deleted. */
  readonly branch: Branch | undefined
  /** A commit made from it that has not ended: its job reads, or will read, its files. */
  readonly reader: CommitKey | undefined
  /** Those that read its branch. */
  readonly egresses: readonly EgressNeed[]
}

export interface EgressNeed {
  readonly name: string
  /** When what it delivered last ended: the base of its next diff. Null: it delivered nothing. */
  readonly deliveredSeq: number | null
}

/** In words, and what to do about it; undefined: nothing needs it. */
export function whyNeeded(commit: Commit, { branch, reader, egresses }: Needs): string | undefined {
  const { id, state, endedSeq } = commit
  if (state === 'open') return 'it is open; "varve commit delete" gives it up'
  if (!hasEnded(state)) return `it is ${state}; stop its job or wait for it`
  if (branch?.head?.id === id) return `it is the head of "${branchKey(branch)}"`
  if (branch?.tip?.id === id) return `it is the newest commit of "${branchKey(branch)}"`
  if (reader) return `"${commitKey(reader)}" is made from it and has not ended`
  // What has no tree is in no diff.
  const waiting =
    commit.root === null || endedSeq === null
      ? undefined
      : egresses.find(({ deliveredSeq }) => deliveredSeq === null || endedSeq >= deliveredSeq)
  return waiting && `the egress "${waiting.name}" has not delivered past it`
}

/** By the rows: as of the watermark, or a little later. */
export async function whyNeededNow(
  versions: Versions,
  project: string,
  commit: Commit,
): Promise<string | undefined> {
  const branch = await versions.branch(project, commit)
  return whyNeeded(commit, {
    branch,
    reader: await readerOf(versions, project, commit),
    egresses: branch ? await egressNeeds(versions, project, branch) : [],
  })
}

export async function readerOf(
  versions: Versions,
  project: string,
  commit: CommitKey,
): Promise<CommitKey | undefined> {
  for await (const below of versions.subvenance(project, commit)) {
    const row = await versions.commit(project, below)
    if (row && !hasEnded(row.state)) return below
  }
  return undefined
}

export async function egressNeeds(
  versions: Versions,
  project: string,
  branch: Branch,
): Promise<EgressNeed[]> {
  const needs: EgressNeed[] = []
  for await (const { name, base, ...key } of versions.egresses(project)) {
    if (branchKey(key) !== branchKey(branch)) continue
    const { repo } = key
    const row = base && (await versions.commit(project, { repo, branch: key.branch, id: base }))
    needs.push({ name, deliveredSeq: (row && row.endedSeq) || null })
  }
  return needs
}
