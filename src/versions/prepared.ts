// What preparation found out for a proposal; decide checks that it still fits.

import type { Commit, Spout, TreeStats } from '../model/entities.ts'
import type { TreeRef } from '../model/tree-ref.ts'

/** A change as it stands on the tree its branch read when it was prepared. */
export interface Merged {
  readonly onto: TreeRef | null
  readonly root: TreeRef
  readonly stats: TreeStats
}

export interface PreparedOp {
  readonly merged?: Merged
  /** Commits of the repo with the id the op names. */
  readonly named?: readonly Commit[]
  /** For spouts that fill the branch the op moves: how far their feed had come at that commit. */
  readonly positions?: Readonly<Record<string, Spout['positions']>>
}

/** One for each op, in order. */
export type Prepared = readonly PreparedOp[]
