// What commits cost: by repo, by branch, by commit. Files and bytes are those a reader sees (of a repo or
// a branch: at its newest results); stored bytes are what lies in packs, compressed, each place once
// (objects/upkeep/usage.ts). Counted are the trees of kept commits; not messages, nor what jobs keep beside
// their output, nor what is staged. `unique` is exact among a project's repos, or a repo's commits: other
// projects of the store may hold the same bytes, and then dropping frees less.

import type { Commit } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { Versions } from './versions.ts'

export interface UsageRow {
  /** Null: all of them. */
  readonly repo: string | null
  /** Null: all branches of the repo. */
  readonly branch: string | null
  /** Null: all commits of the branch. */
  readonly commit: Id | null
  /** Kept commits with files. */
  readonly commits: number
  readonly files: number
  readonly bytes: number
  readonly storedBytes: number
  /** What would be freed if it alone were dropped. Of all: what one row has to itself, summed up. */
  readonly uniqueBytes: number
}

/** Commits that are counted together; the first is the newest. */
type Group = Pick<UsageRow, 'repo' | 'branch' | 'commit'> & {
  readonly roots: TreeRef[]
  files: number
  bytes: number
}

/** A row for each repo, then one for all. */
export async function usageByRepo(
  versions: Versions,
  project: string,
  signal: AbortSignal,
): Promise<UsageRow[]> {
  const groups: Group[] = []
  for await (const { name: repo } of versions.repos(project)) {
    const group: Group = { ...NOTHING, repo, roots: [] }
    for (const branch of (await byBranch(versions, project, repo)).values()) {
      group.roots.push(...branch.roots)
      group.files += branch.files
      group.bytes += branch.bytes
    }
    groups.push(group)
  }
  return rowsOf(versions, NOTHING, groups, [], signal)
}

/** A row for each branch that has commits, also if it was deleted; then one for all. */
export async function usageByBranch(
  versions: Versions,
  project: string,
  repo: string,
  signal: AbortSignal,
): Promise<UsageRow[]> {
  const groups = await byBranch(versions, project, repo)
  return rowsOf(versions, { ...NOTHING, repo }, [...groups.values()], [], signal)
}

/** A row for each commit of a branch, the newest first; then one for all. */
export async function usageByCommit(
  versions: Versions,
  project: string,
  { repo, branch }: { readonly repo: string; readonly branch: string },
  signal: AbortSignal,
): Promise<UsageRow[]> {
  const groups: Group[] = []
  const others: TreeRef[] = []
  for await (const commit of kept(versions, project, repo))
    if (commit.branch === branch) groups.push(groupOf(commit))
    else others.push(commit.root)
  return rowsOf(versions, { ...NOTHING, repo, branch }, groups, others, signal)
}

/** One commit against all others of its repo. */
export async function usageOfCommit(
  versions: Versions,
  project: string,
  commit: Commit & { readonly root: TreeRef },
  signal: AbortSignal,
): Promise<UsageRow[]> {
  const others: TreeRef[] = []
  for await (const other of kept(versions, project, commit.repo))
    if (other.id !== commit.id || other.branch !== commit.branch) others.push(other.root)
  return rowsOf(versions, undefined, [groupOf(commit)], others, signal)
}

const NOTHING = { repo: null, branch: null, commit: null, files: 0, bytes: 0 }

async function* kept(
  versions: Versions,
  project: string,
  repo: string,
): AsyncGenerator<Commit & { readonly root: TreeRef }> {
  for await (const commit of versions.commits(project, repo)) {
    const { root } = commit
    if (root !== null) yield { ...commit, root }
  }
}

async function byBranch(
  versions: Versions,
  project: string,
  repo: string,
): Promise<Map<string, Group>> {
  const groups = new Map<string, Group>()
  for await (const commit of kept(versions, project, repo)) {
    const group = groups.get(commit.branch)
    if (group) group.roots.push(commit.root)
    else groups.set(commit.branch, { ...groupOf(commit), commit: null })
  }
  return groups
}

function groupOf({ repo, branch, id, root, stats }: Commit & { readonly root: TreeRef }): Group {
  const { files, bytes } = stats ?? NOTHING
  return { repo, branch, commit: id, roots: [root], files, bytes }
}

/** @param others what the groups may share with, and is no row of its own */
async function rowsOf(
  versions: Versions,
  whole: Omit<Group, 'roots'> | undefined,
  groups: readonly Group[],
  others: TreeRef[],
  signal: AbortSignal,
): Promise<UsageRow[]> {
  const trees = [...groups.map(({ roots }) => roots), others]
  const usage = await versions.objects.usage(trees, signal)
  const rows = groups.map(({ roots, ...group }, i): UsageRow => {
    const { storedBytes = 0, uniqueBytes = 0 } = usage.groups[i] ?? {}
    return { ...group, commits: roots.length, storedBytes, uniqueBytes }
  })
  if (!whole) return rows
  const sum = (of: (row: UsageRow) => number): number => rows.reduce((n, row) => n + of(row), 0)
  // Of one branch the newest commit says what there is.
  const shown = whole.branch === null ? rows : rows.slice(0, 1)
  rows.push({
    ...whole,
    commits: sum(({ commits }) => commits),
    files: shown.reduce((n, { files }) => n + files, 0),
    bytes: shown.reduce((n, { bytes }) => n + bytes, 0),
    storedBytes: usage.storedBytes - (usage.groups.at(-1)?.uniqueBytes ?? 0),
    uniqueBytes: sum(({ uniqueBytes }) => uniqueBytes),
  })
  return rows
}
