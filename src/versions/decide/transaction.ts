// One proposal being decided: its ops write facts here, and later ops see what earlier ones did.
// Nothing outside changes; a refused proposal is a transaction thrown away.

import type { Branch, BranchKey, Commit, Repo } from '../../model/entities.ts'
import { branchKey, commitKey, hasEnded } from '../../model/entities.ts'
import type { Fact } from '../../model/ops.ts'
import type { Id } from '../../model/id.ts'
import type { TreeRef } from '../../model/tree-ref.ts'
import { sameTree } from '../../model/tree-ref.ts'
import type { ErrorCode } from '../../base/errors.ts'
import { nearest } from '../../base/nearest.ts'
import type { At, Verdict } from '../../log/machine.ts'
import { applyFact } from '../fold.ts'
import type { View } from '../state.ts'
import { overlay } from '../state.ts'

/** Why an op, and with it the whole proposal, does not become facts. */
export type Stop = Exclude<Verdict<Fact>, { readonly yes: readonly Fact[] }>

export const AGAIN: Stop = { again: true }

export function refuse(code: ErrorCode, message: string, details?: Record<string, unknown>): Stop {
  return { no: details === undefined ? { code, message } : { code, message, details } }
}

/** The state a machine continues is not the state there is: said once, never recorded. */
export function stale(
  code: 'STALE_STATE' | 'STALE_SOURCE' | 'SESSION_CLOSED',
  message: string,
): Stop {
  return { notice: { code, message } }
}

export class Transaction {
  readonly view: View
  /** As it was before the first op. */
  readonly before: View
  /** Of the proposal: the set id of what it opens. */
  readonly id: Id
  readonly at: At
  readonly emptyRoot: TreeRef
  /** Branches with a new tip that is not AUTO, and the set it belongs to. */
  readonly moved = new Map<string, Id>()
  /** Branches that open a commit at the current tips of their inputs, whatever moved. */
  readonly due = new Set<string>()
  /** Branches whose front may have come to its end. */
  readonly unsettled = new Set<string>()
  /** For sets a person's commit of which ended here: the branches that hold one of theirs. */
  readonly setBranches = new Map<Id, ReadonlySet<string>>()
  readonly #facts = new Map<string, Fact>()
  #recorded = 0

  constructor(state: View, id: Id, at: At, emptyRoot: TreeRef) {
    this.before = state
    this.view = overlay(state)
    this.id = id
    this.at = at
    this.emptyRoot = emptyRoot
  }

  /** What was recorded, one fact for each branch, commit and job: its last value. */
  facts(): readonly Fact[] {
    return [...this.#facts.values()]
  }

  record(fact: Fact): void {
    applyFact(this.view, fact)
    this.#facts.set(`#${this.#recorded++}`, fact)
  }

  branch(branch: Branch, how: 'created' | 'moved' | 'changed' = 'changed'): void {
    const key = branchKey(branch)
    const before = this.#facts.get(`branch ${key}`)?.f
    const f =
      how === 'created' || before === 'branch.created'
        ? 'branch.created'
        : how === 'moved' || before === 'branch.moved'
          ? 'branch.moved'
          : 'branch.changed'
    this.#replace(`branch ${key}`, { f, branch })
  }

  branchDeleted(branch: Branch): void {
    this.#facts.delete(`branch ${branchKey(branch)}`)
    this.record({ f: 'branch.deleted', branch })
  }

  commit(commit: Commit): void {
    const opened = commit.openedSeq === this.at.seq
    const f = !hasEnded(commit.state)
      ? opened
        ? 'commit.opened'
        : 'commit.changed'
      : commit.state === 'finished'
        ? 'commit.finished'
        : 'commit.failed'
    this.#replace(`commit ${commitKey(commit)}`, { f, commit })
  }

  /** Whether this entry already opened or ended a commit of this set on this branch. */
  touched(branch: string, id: Id): boolean {
    return this.#facts.has(`commit ${branch}=${id}`)
  }

  // The last value stands last, so that ends on one branch are recorded in the order they happened.
  #replace(key: string, fact: Fact): void {
    applyFact(this.view, fact)
    this.#facts.delete(key)
    this.#facts.set(key, fact)
  }

  /** Null and the empty tree are the same ground. */
  sameGround(a: TreeRef | null, b: TreeRef | null): boolean {
    return sameTree(a ?? this.emptyRoot, b ?? this.emptyRoot)
  }
}

/** `cannot find the repo "x"; did you mean "y"`, with the code of its noun. */
export function missing(
  code: ErrorCode,
  noun: string,
  name: string,
  known: Iterable<string>,
): Stop {
  const near = nearest(name, known)
  return near === undefined
    ? refuse(code, `cannot find the ${noun} "${name}"`)
    : refuse(code, `cannot find the ${noun} "${name}"; did you mean "${near}"`, { nearest: near })
}

export function missingRepo(view: View, name: string): Stop {
  return missing('NOT_FOUND_REPO', 'repo', name, view.repos.keys())
}

export function missingBranch(view: View, key: BranchKey): Stop {
  const names: string[] = []
  for (const branch of view.branches.values())
    if (branch.repo === key.repo) names.push(branch.branch)
  return missing('NOT_FOUND_BRANCH', `branch of "${key.repo}"`, key.branch, names)
}

/**
 * The pipeline whose jobs alone write to the branch, or the branches it is made from, in words. To the
 * other branches of its repo a pipeline without inputs lets everybody write.
 */
export function filledBy(view: View, repo: Repo, branch: Branch | undefined): string | undefined {
  const owner = branch?.pipeline ?? repo.pipeline
  const pipeline = owner === null ? undefined : view.pipelines.get(owner)
  if (pipeline && (pipeline.inputs.length > 0 || branch?.pipeline === owner))
    return `the pipeline "${owner}" fills it`
  if (branch && branch.provenance.length > 0)
    return `it is made from ${branch.provenance.map(branchKey).join(', ')}`
  return undefined
}

/** The branch, created without a tip where only its repo exists. */
export function ensureBranch(tx: Transaction, { repo, branch }: BranchKey): Branch | undefined {
  const known = tx.view.branches.get(branchKey({ repo, branch }))
  if (known) return known
  if (!tx.view.repos.has(repo)) return undefined
  const created: Branch = {
    repo,
    branch,
    provenance: [],
    pipeline: null,
    tip: null,
    head: null,
    epoch: 0,
  }
  tx.branch(created, 'created')
  return created
}

export function addRepo(tx: Transaction, name: string, pipeline: string | null): Repo {
  const repo: Repo = { name, pipeline, createdAtMs: tx.at.atMs, createdSeq: tx.at.seq }
  tx.record({ f: 'repo.created', repo })
  return repo
}
