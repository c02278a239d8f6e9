// What preparation found out for a proposal; decide checks that it still fits.

import type { Commit, Egress, Spout, TreeStats } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { TreeRef } from '../model/tree-ref.ts'

/** A change as it stands on the tree its branch read when it was prepared. */
export interface Merged {
  readonly onto: TreeRef | null
  readonly root: TreeRef
  readonly stats: TreeStats
  /** Merged here: the request that had closed sessions by then, null: none had. */
  readonly under?: Id | null
}

export interface PreparedOp {
  readonly merged?: Merged
  /** Commits of the repo with the id the op names. */
  readonly named?: readonly Commit[]
  /** For spouts that fill the branch the op moves: how far their feed had come at that commit. */
  readonly positions?: Readonly<Record<string, Spout['positions']>>
  readonly dropping?: Dropping
}

/** Ended commits that are to be dropped, as their rows were. */
export interface Dropping {
  readonly commits: readonly Commit[]
  /** For egresses on their branches: when what they delivered last ended; null: nothing, or unknown. */
  readonly delivered: Readonly<Record<string, Delivered>>
}

export interface Delivered {
  readonly base: Egress['base']
  readonly endedSeq: number | null
}

/** One for each op, in order. */
export type Prepared = readonly PreparedOp[]
