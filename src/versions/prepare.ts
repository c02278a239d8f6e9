// The effects before a decision: a change is merged onto the tree its branch reads now, and commits an
// op names are loaded. The log prepares a proposal for a branch after the one before it was decided and
// folded, so `state` holds what it will be decided on; where an append is refused and that turns out
// wrong, decide compares and it is prepared again. O(change), and nothing at all where the author built
// on the branch's tree.

import { isVarveError } from '../base/errors.ts'
import type { BranchKey, Commit, CommitKey, Spout } from '../model/entities.ts'
import { branchKey } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { Change, Op } from '../model/ops.ts'
import { MOST_DROPPED } from '../model/ops.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { refId } from '../model/tree-ref.ts'
import type { Proposal } from '../log/machine.ts'
import type { Objects } from '../objects/objects.ts'
import type { Delivered, Merged, Prepared, PreparedOp } from './prepared.ts'
import { isOfClosed } from './decide/sessions.ts'
import type { Reader } from './reader.ts'
import type { ClosedSessions, State } from './state.ts'
import { CLOSED } from './state.ts'

export interface PrepareGuests {
  readonly objects: Pick<Objects, 'merge' | 'loadCondemned'>
  /** By project: the request that had closed sessions when it was last loaded what is condemned. */
  readonly condemnedFor: Map<string, Id>
  readonly reader: Pick<Reader, 'commit' | 'commitsNamed' | 'reach'>
  /** The tree without entries, as `Objects.emptyTree` gives it. */
  readonly emptyRoot: TreeRef
}

/** @throws VarveError PATH_CONFLICT, and what reading and writing the store throws */
export async function prepare(
  guests: PrepareGuests,
  state: State,
  proposal: Proposal<Op>,
): Promise<Prepared> {
  // What is read of the state is read before the first wait.
  const work = new Preparation(guests, state)
  const works = proposal.ops.map((op) => work.op(op))
  return await Promise.all(works)
}

class Preparation {
  readonly #guests: PrepareGuests
  readonly #state: State
  readonly #closed: ClosedSessions | undefined
  readonly #under: Id | null
  /** What earlier ops of this proposal make of a branch. */
  readonly #made = new Map<string, Promise<Merged>>()

  constructor(guests: PrepareGuests, state: State) {
    this.#guests = guests
    this.#state = state
    this.#closed = state.closed.get(CLOSED)
    this.#under = this.#closed?.by ?? null
  }

  async op(op: Op): Promise<PreparedOp> {
    // It is refused, and what it was built on may be gone.
    if (isOfClosed(this.#closed, op)) return {}
    switch (op.op) {
      case 'commit.put':
        return this.#merge(op.branch, op.change)
      case 'commit.finish':
        return this.#merge(op.commit, op.change)
      case 'branch.put':
        return op.head === undefined ? {} : this.#named(op.branch, op.head)
      case 'commit.drop':
        return this.#dropping(op.commits)
      default:
        return {}
    }
  }

  async #merge(branch: BranchKey, change: Change): Promise<PreparedOp> {
    const key = branchKey(branch)
    const now = this.#state.branches.get(key)?.head?.root ?? null
    const made = this.#made.get(key)
    const merging = this.#mergeOnto(made ? made.then(({ root }) => root) : now, change)
    this.#made.set(key, merging)
    try {
      return { merged: await merging }
    } catch (error) {
      // Sessions were closed meanwhile, and what its author saw was collected: decide refuses it.
      const by = this.#state.closed.get(CLOSED)?.by ?? null
      if (isVarveError(error, 'CORRUPT') && by !== this.#under) return {}
      throw error
    }
  }

  async #mergeOnto(before: Promise<TreeRef> | TreeRef | null, change: Change): Promise<Merged> {
    const { emptyRoot, objects } = this.#guests
    const onto = await before
    if (refId(onto ?? emptyRoot) === refId(change.base ?? emptyRoot))
      return { onto, root: change.root, stats: change.stats }
    await this.#knowCondemned()
    const { root, stats } = await objects.merge(onto, change.runs, change.base)
    return { onto, root, stats, under: this.#under }
  }

  /** What is merged here builds on nothing that was condemned before the sessions were closed. */
  async #knowCondemned(): Promise<void> {
    const { project } = this.#state
    const { objects, condemnedFor } = this.#guests
    if (this.#under === null || condemnedFor.get(project) === this.#under) return
    await objects.loadCondemned()
    condemnedFor.set(project, this.#under)
  }

  /** A commit that has not ended is in the state, whatever the projections say yet. */
  async #named(branch: BranchKey, id: Id): Promise<PreparedOp> {
    const { project, seq, commits, spouts } = this.#state
    const { repo } = branch
    const open = [...commits.values()].filter((one) => one.repo === repo && one.id === id)
    const filling = [...spouts.values()].filter((one) => branchKey(one) === branchKey(branch))
    const rows = await this.#guests.reader.commitsNamed(project, repo, id, seq)
    const named = [...open, ...rows.filter((row) => !open.some((o) => o.branch === row.branch))]
    const target = named.find((one) => one.branch === branch.branch) ?? named[0]
    const positions: Record<string, Spout['positions']> = {}
    for (const spout of target ? filling : [])
      positions[spout.name] = await this.#positionsAt(spout, target)
    return { named, positions }
  }

  async #dropping(keys: readonly CommitKey[]): Promise<PreparedOp> {
    if (keys.length > MOST_DROPPED) return {}
    const { project, seq, egresses } = this.#state
    const { reader } = this.#guests
    const branches = new Set(keys.map(branchKey))
    const readers = [...egresses.values()].filter((one) => branches.has(branchKey(one)))
    await reader.reach(project, seq)
    const delivered: Record<string, Delivered> = {}
    for (const { name, repo, branch, base } of readers) {
      const row = base && (await reader.commit(project, { repo, branch, id: base }))
      delivered[name] = { base, endedSeq: (row && row.endedSeq) || null }
    }
    const rows = await Promise.all(keys.map((key) => reader.commit(project, key)))
    return { dropping: { commits: rows.filter((row) => row !== undefined), delivered } }
  }

  /** Where a spout's feed stood when `commit` was the head: the newest range of each part up to it. */
  async #positionsAt(spout: Spout, commit: Commit | undefined): Promise<Spout['positions']> {
    const { project } = this.#state
    const found: Record<string, string> = {}
    let wanted = Object.keys(spout.positions)
    for (let one = commit; one && wanted.length > 0;) {
      if (one.feed?.spout === spout.name)
        for (const [part, { to }] of Object.entries(one.feed.ranges)) found[part] ??= to
      wanted = wanted.filter((part) => found[part] === undefined)
      const { repo, branch, parent }: Commit = one
      one =
        parent === null
          ? undefined
          : await this.#guests.reader.commit(project, { repo, branch, id: parent })
    }
    return found
  }
}
