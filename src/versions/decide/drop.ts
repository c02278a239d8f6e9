// Dropping keeps the record of a commit and lets its files go. What is dropped stays a row: its id, what
// it was made from, its feed and its times answer for ever; children and lineage name it as before.

import type { Commit, CommitKey } from '../../model/entities.ts'
import { branchKey, commitKey, hasEnded } from '../../model/entities.ts'
import { ruleOf, sameRule } from '../../model/keep.ts'
import type { KeepRule } from '../../model/keep.ts'
import type { Op } from '../../model/ops.ts'
import { MOST_DROPPED } from '../../model/ops.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { EgressNeed } from '../needed.ts'
import { whyNeeded } from '../needed.ts'
import type { Dropping, PreparedOp } from '../prepared.ts'
import type { View } from '../state.ts'
import type { Stop, Transaction } from './transaction.ts'
import { AGAIN, missing, missingRepo, refuse, stale } from './transaction.ts'

export function dropCommits(
  tx: Transaction,
  { commits, rule }: Extract<Op, { op: 'commit.drop' }>,
  { dropping }: PreparedOp,
): Stop | undefined {
  if (commits.length > MOST_DROPPED)
    return refuse(
      'TOO_LARGE',
      `cannot drop ${commits.length} commits at once: at most ${MOST_DROPPED}`,
    )
  if (!dropping) return AGAIN
  const needs = new AllNeeds(tx.view, dropping)
  for (const key of commits) {
    const stop = dropOne(tx, key, rule, needs)
    if (stop) return stop
  }
  return undefined
}

function dropOne(
  tx: Transaction,
  key: CommitKey,
  rule: KeepRule | undefined,
  needs: AllNeeds,
): Stop | undefined {
  const name = commitKey(key)
  const not = (code: ErrorCode, why: string): Stop => {
    const text = `cannot drop "${name}": ${why}`
    return rule ? stale('STALE_STATE', text) : refuse(code, text)
  }
  const repo = tx.view.repos.get(key.repo)
  const branch = tx.view.branches.get(branchKey(key))
  if (rule && !sameRule(rule, ruleOf(repo, branch)))
    return not('INVALID_OPTION', 'another rule is in force')
  if (!repo) return rule ? not('NOT_FOUND_REPO', 'no such repo') : missingRepo(tx.view, key.repo)
  const open = tx.view.commits.get(name)
  const commit = open ?? needs.row(name)
  if (!commit)
    return rule
      ? not('NOT_FOUND_COMMIT', 'no such commit')
      : missing('NOT_FOUND_COMMIT', 'commit', name, [])
  // It ended while it was looked up.
  if (!open && !hasEnded(commit.state)) return AGAIN
  if (commit.dropped) return rule && not('INVALID_OPTION', 'it was dropped')
  const egresses = needs.egresses(key)
  if (!egresses) return AGAIN
  const why = whyNeeded(commit, { branch, reader: needs.reader(name), egresses })
  if (why !== undefined) return not('HAS_CHILDREN', why)
  const { seq, atMs } = tx.at
  tx.record({
    f: 'commit.dropped',
    commit: { ...commit, root: null, note: null, dropped: { seq, atMs } },
  })
  return undefined
}

/** What the state and the rows that were looked up say of all commits of one op. */
class AllNeeds {
  readonly #view: View
  readonly #dropping: Dropping
  readonly #rows = new Map<string, Commit>()
  #readers: Map<string, Commit> | undefined

  constructor(view: View, dropping: Dropping) {
    this.#view = view
    this.#dropping = dropping
    for (const row of dropping.commits) this.#rows.set(commitKey(row), row)
  }

  row(name: string): Commit | undefined {
    return this.#rows.get(name)
  }

  /** A commit that has not ended and names this one as its input. */
  reader(name: string): Commit | undefined {
    if (!this.#readers) {
      this.#readers = new Map()
      for (const commit of this.#view.commits.values())
        for (const input of commit.provenance) this.#readers.set(commitKey(input), commit)
    }
    return this.#readers.get(name)
  }

  /** Undefined: one of them has come further since it was looked up. */
  egresses(key: CommitKey): EgressNeed[] | undefined {
    const needs: EgressNeed[] = []
    for (const egress of this.#view.egresses.values()) {
      if (branchKey(egress) !== branchKey(key)) continue
      const { name, base } = egress
      const known = this.#dropping.delivered[name]
      if (base !== null && known?.base !== base) return undefined
      needs.push({ name, deliveredSeq: base === null ? null : (known?.endedSeq ?? null) })
    }
    return needs
  }
}
