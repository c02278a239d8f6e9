// Drives the domain without a log: decide, fold, remember. Trees are made-up references; "merging" a
// change onto another tree makes a new one up.

import { branchKey, commitKey } from '../../src/model/entities.ts'
import type { Branch, BranchKey, Commit, CommitKey } from '../../src/model/entities.ts'
import type { Id } from '../../src/model/id.ts'
import type { Change, Fact, Op, PipelinePut } from '../../src/model/ops.ts'
import { isMachineOp } from '../../src/model/ops.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import { makeTreeRef, refId } from '../../src/model/tree-ref.ts'
import type { Entry, Verdict } from '../../src/log/machine.ts'
import { decide } from '../../src/versions/decide/decide.ts'
import { foldEntry } from '../../src/versions/fold.ts'
import { HistoryCheck } from '../../src/versions/history-check.ts'
import type { Delivered, Dropping, Prepared } from '../../src/versions/prepared.ts'
import type { Cells, State, View } from '../../src/versions/state.ts'
import { emptyState } from '../../src/versions/state.ts'

export function tree(n: number): TreeRef {
  return makeTreeRef(n.toString(16).padStart(64, '0'), { pack: 'p', offset: n, length: 1 })
}

export const EMPTY_ROOT = tree(0)
export const NO_COUNTS = { total: 0, ran: 0, reused: 0, failed: 0, recovered: 0, codeChanged: 0 }
export const PLAN = tree(0xabc)

export function at(name: string): BranchKey {
  const [repo = '', branch = 'master'] = name.split('@')
  return { repo, branch }
}

export function idOf(n: number): Id {
  return `${n.toString(16).padStart(12, '0')}7000800000000000${n.toString(16).padStart(4, '0')}` as Id
}

/** What decide may see: it writes to a layer of its own. The values in it are frozen where they are made. */
function untouchable(state: View): View {
  const cells = Object.entries(state).filter(([, value]) => value instanceof Map)
  return { ...state, ...Object.fromEntries(cells.map(([name, map]) => [name, readOnly(map)])) }
}

function readOnly<V>(cells: Cells<V>): Cells<V> {
  const wrote = (): never => {
    throw new Error('decide wrote state')
  }
  return {
    get: (key) => cells.get(key),
    has: (key) => cells.has(key),
    keys: () => cells.keys(),
    values: () => cells.values(),
    set: wrote,
    delete: wrote,
  }
}

export class Drive {
  state: State
  readonly entries: Entry<Fact>[] = []
  /** The last value of every commit there ever was. */
  readonly commits = new Map<string, Commit>()
  /** The same by branch, in the order they opened, which is that of their first facts. */
  readonly #onBranch = new Map<string, Map<Id, Commit>>()
  #made = 0

  readonly #history: HistoryCheck

  constructor(project = 'default') {
    this.state = emptyState(project)
    this.#history = new HistoryCheck(project)
  }

  get seq(): number {
    return this.entries.length
  }

  newTree(): TreeRef {
    return tree(++this.#made)
  }

  /** The entry; anything but a yes fails the test. */
  yes(...ops: Op[]): Entry<Fact> {
    const verdict = this.propose(ops)
    if (!('yes' in verdict)) throw new Error(`not a yes: ${JSON.stringify(verdict)}`)
    return this.entries.at(-1) as Entry<Fact>
  }

  /** The code of the refusal or notice, or 'again'. */
  no(...ops: Op[]): string {
    const verdict = this.propose(ops)
    if ('yes' in verdict) throw new Error(`a yes: ${JSON.stringify(verdict.yes)}`)
    return 'no' in verdict ? verdict.no.code : 'notice' in verdict ? verdict.notice.code : 'again'
  }

  propose(ops: readonly Op[], prepared = this.prepare(ops)): Verdict<Fact> {
    const seq = this.seq + 1
    const id = idOf(seq)
    const verdict = decide(
      untouchable(this.state),
      {
        project: this.state.project,
        id,
        ops,
        principal: 'test',
        cause: null,
        issuedAtMs: seq,
        fingerprint: '',
        machine: ops.every(isMachineOp),
      },
      prepared,
      { seq, atMs: seq * 1000 },
      EMPTY_ROOT,
    )
    if ('yes' in verdict) {
      const entry = JSON.parse(
        JSON.stringify({
          seq,
          id,
          atMs: seq * 1000,
          principal: 'test',
          cause: null,
          fingerprint: '',
          decision: verdict,
        }),
        (_, value: unknown) => Object.freeze(value),
      ) as Entry<Fact>
      foldEntry(this.state, entry)
      const faults = this.#history.faultsOf(entry)
      if (faults.length > 0) throw new Error(faults.map(({ text }) => text).join('\n'))
      this.entries.push(entry)
      for (const commit of commitsIn(entry)) {
        this.commits.set(commitKey(commit), commit)
        const on = this.#onBranch.get(branchKey(commit)) ?? new Map<Id, Commit>()
        this.#onBranch.set(branchKey(commit), on.set(commit.id, commit))
      }
    }
    return verdict
  }

  prepare(ops: readonly Op[]): Prepared {
    return ops.map((op) => {
      if (op.op === 'branch.put' && op.head !== undefined)
        return {
          named: [...this.commits.values()].filter(
            (one) => one.repo === op.branch.repo && one.id === op.head,
          ),
        }
      if (op.op === 'commit.drop') return { dropping: this.#dropping(op.commits) }
      if (op.op !== 'commit.put' && op.op !== 'commit.finish') return {}
      const key = branchKey(op.op === 'commit.put' ? op.branch : op.commit)
      const onto = this.state.branches.get(key)?.head?.root ?? null
      const same = refId(onto ?? EMPTY_ROOT) === refId(op.change.base ?? EMPTY_ROOT)
      const root = same ? op.change.root : this.newTree()
      return { merged: { onto, root, stats: op.change.stats } }
    })
  }

  #dropping(keys: readonly CommitKey[]): Dropping {
    const delivered: Record<string, Delivered> = {}
    for (const { name, repo, branch, base } of this.state.egresses.values()) {
      const row =
        base === null ? undefined : this.commits.get(commitKey({ repo, branch, id: base }))
      delivered[name] = { base, endedSeq: row?.endedSeq ?? null }
    }
    const commits = keys.flatMap((one) => this.commits.get(commitKey(one)) ?? [])
    return { commits, delivered }
  }

  change(base: TreeRef | null = null): Change {
    return { base, runs: [], root: this.newTree(), stats: { files: 1, bytes: 1 } }
  }

  put(name: string): Extract<Op, { op: 'commit.put' }> {
    return { op: 'commit.put', branch: at(name), change: this.change(), note: null }
  }

  pipeline(name: string, inputs: readonly string[], more: Partial<PipelinePut> = {}): Op {
    const pipeline: PipelinePut = {
      name,
      inputs: inputs.map(at),
      outputBranch: 'master',
      backlog: 'every',
      spec: {},
      ...more,
    }
    return { op: 'pipeline.put', pipeline }
  }

  startJob(commit: CommitKey): Op {
    return {
      op: 'job.started',
      commit: key(commit),
      plan: PLAN,
      chunks: 1,
      codeKey: 'code',
      planned: { run: 1, reuse: 0, total: 1 },
    }
  }

  finishJob(commit: CommitKey, state: 'finished' | 'failed' | 'stopped'): Op {
    return {
      op: 'job.finished',
      commit: key(commit),
      plan: PLAN,
      state,
      root: state === 'finished' ? this.newTree() : null,
      stats: state === 'finished' ? { files: 1, bytes: 1 } : null,
      datumTree: tree(0xd),
      ownerTree: tree(0xe),
      counts: NO_COUNTS,
      cause: null,
    }
  }

  /** Starts and ends the job of the commit whose turn it is on the branch. */
  run(name: string, state: 'finished' | 'failed' = 'finished'): Entry<Fact> {
    const commit = this.open(name)[0]
    if (!commit) throw new Error(`nothing waits on ${name}`)
    this.yes(this.startJob(commit))
    return this.yes(this.finishJob(commit, state))
  }

  branch(name: string): Branch {
    const branch = this.state.branches.get(branchKey(at(name)))
    if (!branch) throw new Error(`no branch ${name}`)
    return branch
  }

  /** The commits of a branch in the order they opened. */
  all(name: string): Commit[] {
    return [...(this.#onBranch.get(branchKey(at(name)))?.values() ?? [])]
  }

  open(name: string): Commit[] {
    return this.all(name).filter((one) => one.endedSeq === null && one.origin === 'auto')
  }

  states(name: string): string[] {
    return this.all(name).map((one) => one.state)
  }
}

export function commitsIn(entry: Entry<Fact>): Commit[] {
  if (!('yes' in entry.decision)) return []
  return entry.decision.yes.flatMap((fact) => ('commit' in fact ? [fact.commit] : []))
}

export function openedIn(entry: Entry<Fact>): Commit[] {
  return commitsIn(entry).filter((one) => one.openedSeq === entry.seq && one.origin === 'auto')
}

function key({ repo, branch, id }: CommitKey): CommitKey {
  return { repo, branch, id }
}
