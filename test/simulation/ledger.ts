// What users were told, kept outside the system: the measure of what it may not lose or take back.

import type { CommitKey } from '../../src/model/entities.ts'
import type { Id } from '../../src/model/id.ts'

export interface Acked {
  readonly key: CommitKey
  readonly path: string
  readonly content: string
  /** True time the request began and the answer came. */
  readonly beganMs: number
  readonly endedMs: number
}

export class Ledger {
  readonly acked: Acked[] = []
  readonly rejected = new Map<Id, string>()
  /** Of commits that were refused: nothing of them may be in any tree. */
  readonly refused: Pick<Acked, 'key' | 'path' | 'content'>[] = []
  /** Files put into open commits and acknowledged. */
  readonly staged: { commit: CommitKey; path: string; content: string }[] = []
}
