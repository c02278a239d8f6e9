// Staged runs of open commits: what an author has put and been told is safe, before it is a commit.
//
// Invariants:
//  - a run is added only "if open and n = k", in one conditional write with the guard's n = k + 1;
//  - closing comes first: once the guard says `closing`, n stands for ever, so whoever merges rows
//    0 … n−1 merges every put that was acknowledged, however many finish it and however often;
//  - sessions before the guard's `closed` add nothing (collection raises it); it is part of the condition;
//  - a request adds one run, however often it comes: with the run goes a row that bears its id, so a
//    repeat, or a process that was frozen meanwhile, cannot put old bytes over newer ones.

import type { Commit, CommitKey } from '../model/entities.ts'
import { commitKey } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { Session } from '../model/ops.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { assert } from '../base/assert.ts'
import { toHex } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { VarveError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { backoffMs } from '../base/retry.ts'
import type { KeyOf, RowOf } from '../tables/schema.ts'
import { settle } from '../tables/settle.ts'
import type { Tables } from '../tables/tables.ts'
import { GUARD, RUNS } from './tables.ts'

export interface Staged {
  /** The tree the authors of the runs saw. */
  readonly base: TreeRef | null
  readonly runs: readonly TreeRef[]
}

interface Guard {
  readonly state: 'open' | 'closing'
  readonly n: number
  readonly base: TreeRef | null
  /** Runs of sessions before this seq are not added. */
  readonly closed: number
}

/** An open commit, as far as staging goes. */
export type Staging = CommitKey & Pick<Commit, 'closed'>

const BACKOFF = { firstMs: 2, maxMs: 250 }

export class Stage {
  readonly #tables: Tables
  readonly #guests: { readonly clock: Clock; readonly random: Random }

  constructor(options: { tables: Tables; clock: Clock; random: Random }) {
    this.#tables = options.tables
    this.#guests = options
  }

  /**
   * The tree to write on: the one of the first author, who found `base`.
   * @throws VarveError NOT_OPEN
   */
  async begin(project: string, commit: Staging, base: TreeRef | null): Promise<TreeRef | null> {
    const first: Guard = { state: 'open', n: 0, base, closed: commit.closed ?? 0 }
    return (await this.#guard(project, commit, first, true)).base
  }

  /** From here on nothing that was written in a session before is added. */
  async raise(
    project: string,
    commit: Staging,
    base: TreeRef | null,
    before: number,
  ): Promise<void> {
    const first: Guard = { state: 'open', n: 0, base, closed: before }
    let guard = await this.#guard(project, commit, first, false)
    while (guard.state === 'open' && guard.closed < before) {
      const to = { ...guard, closed: before }
      const changed = await this.#change(project, commit, guard, to)
      guard = changed === guard ? to : changed
    }
  }

  /** What was staged so far. Nobody is kept from adding more. */
  async *runs(project: string, commit: CommitKey): AsyncGenerator<TreeRef> {
    const partition = { project, commit_key: commitKey(commit) }
    const guard = await this.#tables.get(RUNS, { ...partition, row: GUARD }, { serial: true })
    if (guard?.base) yield guard.base as TreeRef
    for (let row = 0; row < (guard?.n ?? 0); row++) {
      const staged = await this.#tables.get(RUNS, { ...partition, row }, { serial: true })
      assert(staged?.run, () => `run ${row} of "${commitKey(commit)}" is missing`)
      yield staged.run as TreeRef
    }
  }

  /**
   * The run is part of the commit when this returns, or an earlier one of the same request is.
   * @throws VarveError NOT_OPEN, SESSION_CLOSED
   */
  async add(
    project: string,
    commit: Staging,
    run: TreeRef,
    request: Id,
    session: Session = 0,
  ): Promise<void> {
    const mark = { project, commit_key: commitKey(commit), row: markOf(request) }
    const first: Guard = { state: 'open', n: 0, base: null, closed: commit.closed ?? 0 }
    let guard = await this.#guard(project, commit, first, false)
    for (let attempt = 0; ; attempt++) {
      if ((await this.#tables.get(RUNS, mark, { serial: true }))?.run === request) return
      if (guard.state !== 'open') throw closed(commit)
      if (session < guard.closed) throw sessionClosed(commit, session, guard.closed)
      const to = { ...guard, n: guard.n + 1 }
      const changed = await this.#change(project, commit, guard, to, { run, mark, request })
      if (changed === guard) return
      guard = changed
      await this.#guests.clock.sleep(backoffMs(BACKOFF, attempt, this.#guests.random))
    }
  }

  /** Closes it to authors; what was staged, in order. Repeat as often as you like. */
  async close(project: string, commit: CommitKey, base: TreeRef | null): Promise<Staged> {
    const guard = await this.shut(project, commit, base)
    const partition = { project, commit_key: commitKey(commit) }
    const runs: TreeRef[] = []
    for (let row = 0; row < guard.n; row++) {
      const staged = await this.#tables.get(RUNS, { ...partition, row }, { serial: true })
      assert(staged?.run, () => `run ${row} of ${guard.n} of "${commitKey(commit)}" is missing`)
      runs.push(staged.run as TreeRef)
    }
    return { base: guard.base, runs }
  }

  /** Closes it to authors. `base`: the tree of its authors if there was none. */
  async shut(project: string, commit: CommitKey, base: TreeRef | null): Promise<Guard> {
    const first: Guard = { state: 'closing', n: 0, base, closed: 0 }
    let guard = await this.#guard(project, commit, first, false)
    while (guard.state === 'open') {
      const closing: Guard = { ...guard, state: 'closing' }
      const changed = await this.#change(project, commit, guard, closing)
      guard = changed === guard ? closing : changed
    }
    return guard
  }

  /** The guard as it stands, made as `first` if there is none yet. */
  async #guard(project: string, commit: CommitKey, first: Guard, open: boolean): Promise<Guard> {
    const key = { project, commit_key: commitKey(commit), row: GUARD }
    const stored = await this.#tables.get(RUNS, key, { serial: true })
    const guard = stored ? guardOf(stored) : await this.#change(project, commit, undefined, first)
    if (open && guard.state !== 'open') throw closed(commit)
    return guard
  }

  /** `from` itself (or `to`, from nothing) if the change stands, else the guard that stood against it. */
  async #change(
    project: string,
    commit: CommitKey,
    from: Guard | undefined,
    to: Guard,
    added?: { readonly run: TreeRef; readonly mark: KeyOf<typeof RUNS>; readonly request: Id },
  ): Promise<Guard> {
    const partition = { project, commit_key: commitKey(commit) }
    const put = [
      {
        ...partition,
        row: GUARD,
        state: to.state,
        n: to.n,
        closed: to.closed,
        base: to.base ?? '',
      },
    ]
    const outcome = await settle(
      this.#tables,
      RUNS,
      {
        partition,
        expect: {
          key: { ...partition, row: GUARD },
          is: from ? { state: from.state, n: from.n, closed: from.closed } : 'absent',
        },
        put:
          added && from
            ? [
                ...put,
                { ...partition, row: from.n, run: added.run },
                { ...added.mark, run: added.request },
              ]
            : put,
        writeId: toHex(this.#guests.random.bytes(16)),
      },
      this.#guests,
    )
    if (outcome.kind === 'applied') return from ?? to
    assert(outcome.current, () => `the guard of "${commitKey(commit)}" went away`)
    return guardOf(outcome.current)
  }
}

/**
 * The row that bears the id of a request, below the guard's. Two ids may come to one row: then the later
 * is remembered, and the earlier no longer.
 */
function markOf(request: Id): number {
  return GUARD - 1 - Number.parseInt(request.slice(-7), 16)
}

function guardOf(row: RowOf<typeof RUNS>): Guard {
  return {
    state: row.state === 'open' ? 'open' : 'closing',
    n: row.n ?? 0,
    closed: row.closed ?? 0,
    base: row.base ? (row.base as TreeRef) : null,
  }
}

/** It may still stand open in the log: then its finish is under way, or was refused. */
function closed(commit: CommitKey): VarveError {
  return new VarveError(
    'NOT_OPEN',
    `cannot write to "${commitKey(commit)}": its finish has begun; if that was refused, delete it`,
  )
}

export function sessionClosed(commit: CommitKey, session: number, before: number): VarveError {
  return new VarveError(
    'SESSION_CLOSED',
    `cannot write to "${commitKey(commit)}" what was written as of entry ${session}: sessions before ${before} are closed`,
  )
}

export function notOpen(commit: CommitKey): VarveError {
  return new VarveError('NOT_OPEN', `cannot write to "${commitKey(commit)}": it is not open`)
}
