// The effects before a decision: a change is merged onto the tree its branch reads now, and commits an
// op names are loaded. O(change), and nothing at all where the author built on the branch's tree.
//
// Changes that wait for one branch are merged together, each onto what the one before it is expected to
// make of the branch, into one pack:
//
//  - Each keeps its own root: nothing is folded into one commit.
//  - What is expected is a guess. A proposal that will be refused leaves the branch as it is, as far as
//    that can be seen here; decide compares the ground of each with the branch and asks again. What
//    fails on a guess ends the group, and is tried again when its ground is known.
//  - Nothing that was merged here is told before the pack it lies in is durable. Everything before it in
//    the group lies there too, so it stands whatever is decided about those.

import { must } from '../base/assert.ts'
import { isVarveError } from '../base/errors.ts'
import type { BranchKey, Commit, CommitKey, Spout } from '../model/entities.ts'
import { branchKey } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { Change, Op } from '../model/ops.ts'
import { MOST_DROPPED } from '../model/ops.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { refId } from '../model/tree-ref.ts'
import type { Proposal } from '../log/machine.ts'
import type { Merging, Objects } from '../objects/objects.ts'
import type { Delivered, Merged, Prepared, PreparedOp } from './prepared.ts'
import { isOfClosed } from './decide/sessions.ts'
import type { Reader } from './reader.ts'
import type { ClosedSessions, State } from './state.ts'
import { CLOSED } from './state.ts'

export interface PrepareGuests {
  readonly objects: Pick<Objects, 'merging' | 'stats' | 'loadCondemned'>
  /** By project: the request that had closed sessions when it was last loaded what is condemned. */
  readonly condemnedFor: Map<string, Id>
  readonly reader: Pick<Reader, 'commit' | 'commitsNamed' | 'reach'>
  /** The tree without entries, as `Objects.emptyTree` gives it. */
  readonly emptyRoot: TreeRef
}

/** Files of the changes that are merged together, but for the first: all wait for all of them. */
const MOST_FILES = 4096

/** As `Machine.prepare` says. @throws VarveError PATH_CONFLICT, and what reading and writing the store throws */
export function prepare(
  guests: PrepareGuests,
  state: State,
  proposals: readonly Proposal<Op>[],
): readonly Promise<Prepared | undefined>[] {
  // What is read of the state is read before the first wait.
  const together = new Preparation(guests, state, proposals)
  let before: Promise<unknown> | undefined
  const works = proposals.map((proposal) => {
    const work = before ? together.next(proposal, before) : together.first(proposal)
    before = work.catch(() => {})
    return work
  })
  const stored = Promise.resolve(before).then(() => together.close())
  // Those who wait for it hear how it failed.
  stored.catch(() => {})
  return works.map(async (work) => {
    const prepared = await work
    if (prepared?.some(({ merged }) => merged?.under !== undefined)) await stored
    return prepared
  })
}

/** What a branch reads, or is expected to when those before have been decided. */
interface Ground {
  readonly root: TreeRef | null
  readonly head: Id | null
}

class Preparation {
  readonly #guests: PrepareGuests
  readonly #state: State
  readonly #closed: ClosedSessions | undefined
  readonly #under: Id | null
  #merging: Merging | undefined
  /** What the proposals so far are expected to make of a branch. */
  #grounds = new Map<string, Promise<Ground> | Ground>()
  /** Those that come are to be prepared when it is their turn. */
  #isEnded = false
  #files = 0

  constructor(guests: PrepareGuests, state: State, proposals: readonly Proposal<Op>[]) {
    this.#guests = guests
    this.#state = state
    this.#closed = state.closed.get(CLOSED)
    this.#under = this.#closed?.by ?? null
    for (const op of proposals.flatMap(({ ops }) => ops)) {
      if (!changesTree(op)) continue
      const key = branchKey(branchOf(op))
      const { root = null, id = null } = state.branches.get(key)?.head ?? {}
      this.#grounds.set(key, { root, head: id })
    }
  }

  first(proposal: Proposal<Op>): Promise<Prepared> {
    return this.#proposal(proposal)
  }

  async next(proposal: Proposal<Op>, before: Promise<unknown>): Promise<Prepared | undefined> {
    const files = this.#filesOf(proposal)
    await before
    this.#isEnded ||= !proposal.ops.every(changesTree)
    if (!this.#isEnded) this.#files += await files
    this.#isEnded ||= this.#files > MOST_FILES
    if (this.#isEnded) return undefined
    try {
      return await this.#proposal(proposal)
    } catch {
      // Perhaps on this ground only, which is a guess: nobody is refused for it.
      this.#isEnded = true
      return undefined
    }
  }

  /** What was merged is durable. */
  async close(): Promise<void> {
    await this.#merging?.close()
  }

  /** Their roots are fetched beside each other, and are at hand when they are merged. */
  async #filesOf({ ops }: Proposal<Op>): Promise<number> {
    const runs = ops.flatMap((op) => (changesTree(op) ? op.change.runs : []))
    // What is wrong with one is found when it is merged.
    const files = runs.map((run) =>
      this.#guests.objects.stats(run).then(
        (s) => s.files,
        () => 0,
      ),
    )
    return (await Promise.all(files)).reduce((sum, count) => sum + count, 0)
  }

  async #proposal({ id, ops }: Proposal<Op>): Promise<Prepared> {
    const before = new Map(this.#grounds)
    try {
      const prepared = await Promise.all(ops.map((op) => this.#op(op, id)))
      if (!ops.every(changesTree)) this.#isEnded = true
      // It will be refused as a whole.
      else if (prepared.some(({ merged }) => !merged)) this.#grounds = before
      return prepared
    } catch (error) {
      if (isVarveError(error) && error.spec.retry) this.#isEnded = true
      this.#grounds = before
      throw error
    }
  }

  async #op(op: Op, id: Id): Promise<PreparedOp> {
    // It is refused, and what it was built on may be gone.
    if (isOfClosed(this.#closed, op)) return {}
    switch (op.op) {
      case 'commit.put':
        return this.#merge(op, id, op.ifParent)
      case 'commit.finish':
        return this.#merge(op, op.commit.id)
      case 'branch.put':
        return op.head === undefined ? {} : this.#named(op.branch, op.head)
      case 'commit.drop':
        return this.#dropping(op.commits)
      default:
        return {}
    }
  }

  async #merge(op: ChangesTree, head: Id, ifParent?: Id | null): Promise<PreparedOp> {
    const key = branchKey(branchOf(op))
    const before = must(this.#grounds.get(key), 'what the branch reads')
    const merging = this.#mergeOnto(before, op.change, ifParent)
    const ground = Promise.all([before, merging]).then(([was, merged]) =>
      merged ? { root: merged.root, head } : was,
    )
    ground.catch(() => {})
    this.#grounds.set(key, ground)
    try {
      const merged = await merging
      return merged ? { merged } : {}
    } catch (error) {
      // Sessions were closed meanwhile, and what its author saw was collected: decide refuses it.
      const by = this.#state.closed.get(CLOSED)?.by ?? null
      if (isVarveError(error, 'CORRUPT') && by !== this.#under) return {}
      throw error
    }
  }

  /** Undefined: it is not made for this ground. */
  async #mergeOnto(
    before: Promise<Ground> | Ground,
    change: Change,
    ifParent: Id | null | undefined,
  ): Promise<Merged | undefined> {
    const { emptyRoot, objects } = this.#guests
    const { root: onto, head } = await before
    if (ifParent !== undefined && ifParent !== head) return undefined
    if (refId(onto ?? emptyRoot) === refId(change.base ?? emptyRoot))
      return { onto, root: change.root, stats: change.stats }
    await this.#knowCondemned()
    this.#merging ??= objects.merging()
    const { root, stats } = await this.#merging.merge(onto, change.runs, change.base)
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

type ChangesTree = Extract<Op, { op: 'commit.put' | 'commit.finish' }>

/** What becomes of the branch is known when it is merged. */
function changesTree(op: Op): op is ChangesTree {
  return op.op === 'commit.put' || op.op === 'commit.finish'
}

function branchOf(op: ChangesTree): BranchKey {
  return op.op === 'commit.put' ? op.branch : op.commit
}
