// The effects before a decision: a change is merged onto the tree its branch reads now, and commits an
// op names are loaded. The log prepares a proposal for a branch after the one before it was decided and
// folded, so `state` holds what it will be decided on; where an append is refused and that turns out
// wrong, decide compares and it is prepared again. O(change), and nothing at all where the author built
// on the branch's tree.

import type { BranchKey, Commit, Spout } from '../model/entities.ts'
import { branchKey } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { Change, Op } from '../model/ops.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { refId } from '../model/tree-ref.ts'
import type { Proposal } from '../log/machine.ts'
import type { Objects } from '../objects/objects.ts'
import type { Merged, Prepared, PreparedOp } from './prepared.ts'
import type { Reader } from './reader.ts'
import type { State } from './state.ts'

export interface PrepareGuests {
  readonly objects: Pick<Objects, 'merge'>
  readonly reader: Pick<Reader, 'commit' | 'commitsNamed'>
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
  /** What earlier ops of this proposal make of a branch. */
  readonly #made = new Map<string, Promise<Merged>>()

  constructor(guests: PrepareGuests, state: State) {
    this.#guests = guests
    this.#state = state
  }

  async op(op: Op): Promise<PreparedOp> {
    switch (op.op) {
      case 'commit.put':
        return this.#merge(op.branch, op.change)
      case 'commit.finish':
        return this.#merge(op.commit, op.change)
      case 'branch.put':
        return op.head === undefined ? {} : this.#named(op.branch, op.head)
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
    return { merged: await merging }
  }

  async #mergeOnto(before: Promise<TreeRef> | TreeRef | null, change: Change): Promise<Merged> {
    const { emptyRoot, objects } = this.#guests
    const onto = await before
    if (refId(onto ?? emptyRoot) === refId(change.base ?? emptyRoot))
      return { onto, root: change.root, stats: change.stats }
    const { root, stats } = await objects.merge(onto, change.runs, change.base)
    return { onto, root, stats }
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
