// What a purge of some paths of a repo has to look at, what is in its way, and what it cannot reach.

import { fromUtf8 } from '../base/bytes.ts'
import { VarveError } from '../base/errors.ts'
import type { Commit, CommitKey, Purge } from '../model/entities.ts'
import { branchKey, commitKey, hasEnded } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { Path } from '../model/path.ts'
import type { CollectStep } from '../objects/upkeep/collect.ts'
import type { KeptTree, PurgePlan } from '../objects/upkeep/purge-plan.ts'
import type { Request, Versions } from './versions.ts'

export interface PurgeScope {
  readonly project: string
  readonly repo: string
  readonly paths: readonly Path[]
}

export interface DerivedFrom {
  /** repo@branch. */
  readonly branch: string
  readonly commits: number
}

export interface Purging extends PurgeScope {
  readonly plan: boolean
  /** Whether directories that were copied elsewhere lose the entries there as well. */
  readonly alsoCopies: boolean
  readonly waitMs: number
  readonly request: Request
}

export interface PurgeReceipt {
  readonly purge: Id
  readonly project: string
  readonly repo: string
  readonly paths: readonly Path[]
  readonly by: string
  readonly found: PurgePlan
  readonly derived: readonly DerivedFrom[]
  readonly outOfReach: readonly string[]
  /** Null: it has not ended. */
  readonly done: null | {
    /** Packs that had something of it, and were written anew without. */
    readonly packs: number
    readonly deletedPacks: number
    readonly deletedBytes: number
    /** Pieces that stay where they are, because something else uses them: see `found.elsewhere`. */
    readonly sharedPieces: number
  }
}

export type PurgeStep =
  | { readonly phase: 'found'; readonly receipt: PurgeReceipt }
  | { readonly phase: 'collecting'; readonly step: CollectStep }
  | { readonly phase: 'done'; readonly receipt: PurgeReceipt }

/** @throws VarveError CORRUPT */
export async function receiptOf(versions: Versions, { receipt }: Purge): Promise<PurgeReceipt> {
  return JSON.parse(fromUtf8(await versions.objects.getBytes(receipt))) as PurgeReceipt
}

/** The trees of all kept commits, and of branches, of all projects. */
export async function* keptTrees(versions: Versions): AsyncGenerator<KeptTree> {
  for await (const { name: project } of versions.projects())
    for await (const { name: repo } of versions.repos(project))
      yield* treesOf(versions, project, repo)
}

export async function* treesOf(
  versions: Versions,
  project: string,
  repo: string,
): AsyncGenerator<KeptTree & { readonly commit: Commit }> {
  for await (const commit of versions.commits(project, repo))
    if (commit.root !== null)
      yield {
        name: `${project}/${commitKey(commit)}`,
        repo: `${project}/${repo}`,
        ref: commit.root,
        commit,
      }
}

/** @throws VarveError HAS_CHILDREN, NOT_OPEN: what has to be done before */
export async function checkPurgeable(versions: Versions, scope: PurgeScope): Promise<void> {
  const { project, repo, paths } = scope
  const stop = (why: string, remedy: string): never => {
    throw new VarveError('HAS_CHILDREN', `cannot purge from "${repo}": ${why}; ${remedy}`)
  }
  for await (const branch of versions.branches(project, repo))
    for (const path of paths)
      if (await has(versions, branch.head?.root ?? null, path))
        stop(
          `"${path}" is in the newest commit of "${branchKey(branch)}"`,
          `delete it there first, so that pipelines below hear of it: varve file rm ${branchKey(branch)}:/${path}`,
        )
  for await (const { name } of versions.repos(project))
    for await (const commit of versions.commits(project, name)) {
      if (hasEnded(commit.state)) continue
      if (name === repo) stop(`"${commitKey(commit)}" has not ended`, 'wait for it, or stop it')
      const input = await readsFrom(versions, scope, commit)
      if (input)
        stop(
          `"${commitKey(commit)}" is being made from "${commitKey(input)}"`,
          'wait for it, or stop it',
        )
    }
}

async function has(versions: Versions, root: Commit['root'], path: Path): Promise<boolean> {
  return root !== null && (await versions.objects.stat(root, path)) !== undefined
}

async function readsFrom(
  versions: Versions,
  { project, repo, paths }: PurgeScope,
  commit: Commit,
): Promise<CommitKey | undefined> {
  for (const input of commit.provenance) {
    if (input.repo !== repo) continue
    const root = (await versions.commit(project, input))?.root ?? null
    for (const path of paths) if (await has(versions, root, path)) return input
  }
  return undefined
}

/** What was made from commits that had it, directly or by way of others. */
export async function derivedFrom(
  versions: Versions,
  project: string,
  commits: Iterable<CommitKey>,
): Promise<DerivedFrom[]> {
  const open = [...commits]
  const seen = new Set(open.map(commitKey))
  const counts = new Map<string, number>()
  for (let key = open.pop(); key; key = open.pop())
    for await (const below of versions.subvenance(project, key)) {
      if (seen.has(commitKey(below))) continue
      seen.add(commitKey(below))
      open.push(below)
      const name = branchKey(below)
      counts.set(name, (counts.get(name) ?? 0) + 1)
    }
  return [...counts].map(([branch, n]) => ({ branch, commits: n }))
}

/** In words, what of it is where nothing here has a say. */
export async function* outOfReach(
  versions: Versions,
  { project, repo }: PurgeScope,
  derived: readonly DerivedFrom[],
): AsyncGenerator<string> {
  const branches = new Set(derived.map(({ branch }) => branch))
  for await (const egress of versions.egresses(project))
    if ((egress.repo === repo || branches.has(branchKey(egress))) && egress.deliveredRecords > 0)
      yield `what egress "${egress.name}" has sent from "${branchKey(egress)}": ${egress.deliveredRecords} records`
  for await (const spout of versions.spouts(project))
    if (spout.repo === repo) yield `the source that spout "${spout.name}" reads`
  for (const { branch, commits } of derived)
    yield `what ${commits} commits of "${branch}" and their jobs made of it: purge it there as well, or drop them`
  if (derived.length > 0) yield 'what workers that wait have of their last datum, until the next'
  yield 'backups and copies of the store, and disks that were not wiped'
}
