// Random graphs against a small model that keeps every commit and works everything out anew each time.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Commit } from '../../src/model/entities.ts'
import { branchKey, commitKey, hasEnded } from '../../src/model/entities.ts'
import type { Id } from '../../src/model/id.ts'
import type { Op } from '../../src/model/ops.ts'
import { foldEntry } from '../../src/versions/fold.ts'
import { projectEntries } from '../../src/versions/project.ts'
import { emptyState, restoreState, snapshotState } from '../../src/versions/state.ts'
import { Drive, at as keyAt, openedIn } from './drive.ts'

interface ModelCommit {
  readonly id: string
  readonly branch: string
  readonly inputs: readonly ModelCommit[]
  state: string
  superseded: boolean
  stopped: boolean
}

interface ModelBranch {
  readonly name: string
  inputs: string[]
  pipeline: {
    stopped: boolean
    backlog: 'every' | 'latest'
    stopping: boolean
    /** Its jobs run without end. */
    standing: boolean
  } | null
  /** In the order they opened. */
  readonly commits: ModelCommit[]
  /** Of a branch that persons write to: their open commit, and the last that was finished. */
  writing?: ModelCommit
  last?: ModelCommit
}

const BAD = new Set(['failed', 'unrunnable', 'superseded', 'stopped'])
const isOpen = (commit: ModelCommit): boolean => ['queued', 'running'].includes(commit.state)

class Model {
  readonly branches = new Map<string, ModelBranch>()

  branch(name: string): ModelBranch {
    const branch = this.branches.get(name)
    if (!branch) throw new Error(name)
    return branch
  }

  tip(name: string): ModelCommit | undefined {
    const { last, commits } = this.branch(name)
    return this.isWritten(name) ? last : commits.at(-1)
  }

  head(name: string): ModelCommit | undefined {
    const { last, commits } = this.branch(name)
    return this.isWritten(name) ? last : commits.findLast((one) => one.state === 'finished')
  }

  /** By persons: it is made from nothing, and no pipeline fills it. */
  isWritten(name: string): boolean {
    const { inputs, pipeline } = this.branch(name)
    return inputs.length === 0 && !pipeline
  }

  front(name: string): ModelCommit | undefined {
    return this.branch(name).commits.find(isOpen)
  }

  /** All commits it is made of, itself among them. */
  closure(commit: ModelCommit, all = new Set<ModelCommit>()): Set<ModelCommit> {
    if (all.has(commit)) return all
    all.add(commit)
    for (const input of commit.inputs) this.closure(input, all)
    return all
  }

  /** A person's commit, standing beside the branch. */
  open(name: string, id: string): ModelCommit {
    const commit: ModelCommit = {
      id,
      branch: name,
      inputs: [],
      state: 'open',
      superseded: false,
      stopped: false,
    }
    this.branch(name).commits.push(commit)
    return commit
  }

  finish(commit: ModelCommit): void {
    commit.state = 'finished'
    this.branch(commit.branch).last = commit
    this.propagate(new Set([commit.branch]), commit.id)
  }

  /** Opens what must open after these branches moved (or, for `due`, in any case). */
  propagate(fresh: Set<string>, id: string, due?: string): void {
    // Inputs were made before what reads them.
    for (const [name, branch] of this.branches) {
      if (this.isWritten(name) || branch.pipeline?.stopped) continue
      if (name !== due && !branch.inputs.some((input) => fresh.has(input))) continue
      const inputs = branch.inputs.flatMap((input) => this.tip(input) ?? [])
      if (inputs.length < branch.inputs.length) continue
      const closure = new Set(inputs.flatMap((input) => [...this.closure(input)]))
      if (new Set([...closure].map((one) => one.branch)).size < closure.size) continue
      if (branch.pipeline?.backlog === 'latest') this.supersede(name, this.turn(name))
      branch.commits.push({
        id,
        branch: name,
        inputs,
        state: 'queued',
        superseded: false,
        stopped: false,
      })
      fresh.add(name)
    }
  }

  /** Whose turn it is: what runs without end leaves it to the first that can follow. */
  turn(name: string): ModelCommit | undefined {
    const { commits, pipeline } = this.branch(name)
    const can = (one: ModelCommit): boolean =>
      !one.superseded && !one.stopped && !one.inputs.some((input) => BAD.has(input.state))
    return commits.find(
      (one) => isOpen(one) && (one.state === 'running' ? !pipeline?.standing : can(one)),
    )
  }

  supersede(name: string, but?: ModelCommit): void {
    for (const one of this.branch(name).commits)
      if (one.state === 'queued' && one !== but) one.superseded = true
  }

  ready(name: string): ModelCommit | undefined {
    const front = this.front(name)
    if (front?.state !== 'queued' || this.branch(name).pipeline?.stopped !== false) return undefined
    return front.inputs.every((input) => input.state === 'finished') ? front : undefined
  }

  /** Ends what must end; where more than one reason is right, takes the one that was given. */
  settle(given: (commit: ModelCommit) => string): void {
    for (let changed = true; changed;) {
      changed = false
      for (const name of this.branches.keys()) {
        const front = this.front(name)
        if (front?.state !== 'queued') continue
        const reasons = new Set<string>()
        if (front.superseded) reasons.add('superseded')
        if (front.stopped) reasons.add('stopped')
        for (const input of front.inputs)
          if (BAD.has(input.state))
            reasons.add(input.state === 'superseded' ? 'superseded' : 'unrunnable')
        const joined = this.branch(name).pipeline === null
        if (joined && front.inputs.every((input) => input.state === 'finished'))
          reasons.add('finished')
        if (reasons.size === 0) continue
        const end = given(front)
        front.state = reasons.has(end) ? end : [...reasons].join(' or ')
        changed = true
      }
    }
  }
}

const NODES = 7
/** What is done to branches that persons write to. */
const PERSONS = new Set(['commit', 'open', 'close', 'abandon'])
const command = fc.record({
  what: fc.constantFrom(
    ...([
      'commit',
      'commit',
      'commit',
      'start',
      'start',
      'start',
      'finish',
      'finish',
      'fail',
    ] as const),
    ...(['stop', 'go', 'stopJob', 'stopped', 'put', 'rewire'] as const),
    ...(['open', 'close', 'abandon'] as const),
  ),
  node: fc.nat(NODES - 1),
  inputs: fc.uniqueArray(fc.nat(NODES - 1), { maxLength: 3 }),
})
const graph = fc.record({
  sources: fc.integer({ min: 1, max: 3 }),
  nodes: fc.array(
    fc.record({
      // Without any, nobody but those who put and start a pipeline has it open commits.
      inputs: fc.uniqueArray(fc.nat(NODES - 1), { maxLength: 3 }),
      kind: fc.constantFrom('every', 'every', 'latest', 'standing', 'joined'),
    }),
    { minLength: 2, maxLength: NODES - 3, size: 'max' },
  ),
  // From 1 on, so that what fails can be made small.
  commands: fc.array(command, { minLength: 1, maxLength: 120, size: 'max' }),
})

// A failing graph is run some thousand times while it is made small: steps compare what they must, and
// print only what differs.

/** Whether a branch stands as the model says; `known`: so many of its commits were compared before. */
function agrees(drive: Drive, model: Model, branch: ModelBranch, known: number): boolean {
  const real = drive.all(branch.name)
  const { tip, head } = drive.branch(branch.name)
  const [wantedTip, wantedHead] = [model.tip(branch.name), model.head(branch.name)]
  return (
    real.length === branch.commits.length &&
    tip?.id === wantedTip?.id &&
    tip?.state === wantedTip?.state &&
    head?.id === wantedHead?.id &&
    branch.commits.every((wanted, i) => {
      const one = real[i]
      if (one?.id !== wanted.id || one.state !== wanted.state) return false
      // What a commit is made from never changes.
      return i < known || same(one.provenance.map(commitKey), wanted.inputs.map(keyOf))
    })
  )
}

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((one, i) => one === b[i])
const keyOf = ({ branch, id }: ModelCommit): string => `${branch}=${id}`

/** Inputs of a node among those before it. */
const above = (inputs: readonly number[], node: number): string[] => [
  ...new Set(inputs.map((input) => `n${input % node}@master`)),
]

function run({ sources, nodes, commands }: Parameters<typeof check>[0]): Drive {
  const drive = new Drive()
  const model = new Model()
  const known = new Map<string, number>()
  const compare = (): void => {
    model.settle((one) => drive.commits.get(`${one.branch}=${one.id}`)?.state ?? 'missing')
    for (const branch of model.branches.values()) {
      const compared = known.get(branch.name) ?? 0
      known.set(branch.name, branch.commits.length)
      if (agrees(drive, model, branch, compared)) continue
      const real = drive.all(branch.name)
      const { tip, head } = drive.branch(branch.name)
      expect({
        commits: real.map(({ id, state, provenance }) => [id, state, provenance.map(commitKey)]),
        tip: [tip?.id, tip?.state],
        head: head?.id,
      }).toEqual({
        commits: branch.commits.map((one) => [one.id, one.state, one.inputs.map(keyOf)]),
        tip: [model.tip(branch.name)?.id, model.tip(branch.name)?.state],
        head: model.head(branch.name)?.id,
      })
    }
  }
  for (let i = 0; i < sources; i++) {
    drive.yes({ op: 'repo.create', name: `n${i}` })
    drive.yes({ op: 'branch.put', branch: { repo: `n${i}`, branch: 'master' } })
    model.branches.set(`n${i}@master`, {
      name: `n${i}@master`,
      inputs: [],
      pipeline: null,
      commits: [],
    })
  }
  for (const [i, { inputs, kind }] of nodes.entries()) {
    const node = sources + i
    const name = `n${node}@master`
    const from = above(inputs, node)
    const standing = kind === 'standing'
    const backlog = standing || kind === 'latest' ? 'latest' : 'every'
    const pipeline =
      kind === 'joined' ? null : ({ stopped: false, stopping: false, backlog, standing } as const)
    model.branches.set(name, { name, inputs: from, pipeline, commits: [] })
    const key = { repo: `n${node}`, branch: 'master' }
    const provenance = from.map(keyAt)
    const entry = pipeline
      ? drive.yes(drive.pipeline(`n${node}`, from, { backlog }))
      : drive.yes(
          { op: 'repo.create', name: key.repo },
          { op: 'branch.put', branch: key, provenance },
        )
    model.propagate(new Set(), entry.id, name)
  }
  for (const { what, node, inputs } of commands) {
    const at = PERSONS.has(what) ? node % sources : sources + (node % nodes.length)
    const name = `n${at}@master`
    const branch = model.branch(name)
    const { pipeline } = branch
    const front = drive.open(name)[0]
    const modelFront = model.front(name)
    switch (what) {
      case 'commit': {
        const entry = drive.yes(drive.put(name))
        model.finish(model.open(name, entry.id))
        break
      }
      case 'open': {
        const op: Op = { op: 'commit.open', branch: keyAt(name), note: null }
        if (branch.writing) expect(drive.no(op)).toBe('ALREADY_EXISTS')
        else branch.writing = model.open(name, drive.yes(op).id)
        break
      }
      case 'close':
      case 'abandon': {
        const { writing } = branch
        if (!writing) break
        const commit = { ...keyAt(name), id: writing.id as Id }
        const finish: Op = { op: 'commit.finish', commit, change: drive.change() }
        const abandon: Op = { op: 'commit.abandon', commit }
        delete branch.writing
        drive.yes(what === 'close' ? finish : abandon)
        expect([drive.no(finish), drive.no(abandon)]).toEqual(['NOT_OPEN', 'NOT_OPEN'])
        if (what === 'close') model.finish(writing)
        else writing.state = 'stopped'
        break
      }
      case 'start': {
        const ready = model.ready(name)
        if (!front) break
        if (!ready) {
          expect(drive.no(drive.startJob(front))).toBe('STALE_STATE')
          break
        }
        drive.yes({ ...drive.startJob(front), ...(pipeline?.standing && { standing: true }) } as Op)
        expect(drive.no(drive.startJob(front))).toBe('STALE_STATE')
        ready.state = 'running'
        break
      }
      case 'finish':
      case 'fail':
      case 'stopped': {
        if (!front || !pipeline) break
        const state = what === 'finish' ? 'finished' : what === 'fail' ? 'failed' : 'stopped'
        const op = drive.finishJob(front, state)
        const allowed = modelFront?.state === 'running' && (what !== 'stopped' || pipeline.stopping)
        if (!allowed || !modelFront) {
          expect(drive.no(op)).toBe('STALE_STATE')
          break
        }
        drive.yes(op)
        modelFront.state = state
        pipeline.stopping = false
        break
      }
      case 'stop':
        if (!pipeline) break
        drive.yes({ op: 'pipeline.stop', name: `n${at}` })
        if (modelFront?.state === 'running' && !pipeline.stopped) pipeline.stopping = true
        pipeline.stopped = true
        break
      case 'go': {
        if (!pipeline) break
        const entry = drive.yes({ op: 'pipeline.start', name: `n${at}` })
        if (pipeline.stopped) {
          pipeline.stopped = false
          model.propagate(new Set(), entry.id, name)
        }
        break
      }
      case 'stopJob': {
        if (!front || !modelFront || !pipeline) break
        drive.yes({
          op: 'job.stop',
          commit: { repo: front.repo, branch: front.branch, id: front.id },
        })
        if (modelFront.state === 'running') pipeline.stopping = true
        else modelFront.stopped = true
        break
      }
      case 'put':
      case 'rewire': {
        if (!pipeline) break
        const from = what === 'put' ? branch.inputs : above(inputs, at)
        const entry = drive.yes(drive.pipeline(`n${at}`, from, { backlog: pipeline.backlog }))
        if (
          new Set([...from, ...branch.inputs]).size !== branch.inputs.length ||
          from.length !== branch.inputs.length
        )
          model.supersede(name)
        branch.inputs = from
        model.propagate(new Set(), entry.id, name)
        break
      }
    }
    compare()
  }
  return drive
}

function check(input: {
  sources: number
  nodes: { inputs: number[]; kind: string }[]
  commands: { what: string; node: number; inputs: number[] }[]
}): void {
  const drive = run(input)
  // Persons' commits follow each other as they are finished, all others as they are opened.
  const seqOf = (branch: string, id: string): number => {
    const commit = drive.commits.get(`${branch}=${id}`)
    return (commit?.origin === 'user' ? commit.endedSeq : commit?.openedSeq) ?? -1
  }
  const heads = new Map<string, number>()
  for (const entry of drive.entries) {
    const opened = openedIn(entry)
    // One of each branch, all of one set.
    expect(new Set(opened.map(branchKey)).size).toBe(opened.length)
    expect(new Set(opened.map((one) => one.id)).size).toBeLessThanOrEqual(1)
    for (const commit of opened) expectWhole(drive, commit)
    for (const fact of 'yes' in entry.decision ? entry.decision.yes : []) {
      if (!('branch' in fact) || !fact.branch.head) continue
      const key = branchKey(fact.branch)
      const seq = seqOf(key, fact.branch.head.id)
      expect(seq).toBeGreaterThanOrEqual(heads.get(key) ?? 0)
      heads.set(key, seq)
    }
  }
  expectRebuilt(drive)
  expectSplitsEqual(drive, input.commands.length)
}

/** `sources` is the transitive closure of provenance, with one version of each branch. */
function expectWhole(drive: Drive, commit: Commit): void {
  const found: Record<string, string> = {}
  const seen = new Set<string>()
  const visit = (one: Commit): void => {
    for (const input of one.provenance) {
      const key = branchKey(input)
      if ((found[key] ??= input.id) !== input.id) expect(found[key]).toBe(input.id)
      if (seen.has(commitKey(input))) continue
      seen.add(commitKey(input))
      const next = drive.commits.get(commitKey(input))
      if (next) visit(next)
      else expect(next).toBeDefined()
    }
  }
  visit(commit)
  expect(commit.sources).toEqual(found)
}

function expectRebuilt(drive: Drive): void {
  const half = Math.floor(drive.entries.length / 2)
  let state = emptyState('default')
  for (const [i, entry] of drive.entries.entries()) {
    if (i === half) state = restoreState(JSON.parse(JSON.stringify(snapshotState(state))))
    foldEntry(state, entry)
  }
  const order = (text: unknown): unknown =>
    Object.entries(text as Record<string, unknown>).map(([name, value]) =>
      Array.isArray(value) ? [name, value.map((one) => JSON.stringify(one)).toSorted()] : value,
    )
  expect(order(snapshotState(state))).toEqual(order(snapshotState(drive.state)))
  for (const key of drive.state.branches.keys())
    expect(state.below.get(key)?.toSorted()).toEqual(drive.state.below.get(key)?.toSorted())
  for (const commit of drive.state.commits.values()) expect(hasEnded(commit.state)).toBe(false)
}

function expectSplitsEqual(drive: Drive, seed: number): void {
  const rowsOf = (step: (i: number) => number): string[] => {
    const rows = new Map<string, string>()
    for (let i = 0; i < drive.entries.length;) {
      const next = i + step(i)
      for (const write of projectEntries('default', 1, drive.entries.slice(i, next))) {
        const cells = 'put' in write ? write.put : write.remove
        const { partition, clustering } = write.table
        const key = [...partition, ...clustering].map((column) => cells[column])
        // Where a wave begins depends on what is written together; the rows do not.
        const row = JSON.stringify({ ...write, after: undefined })
        rows.set(`${write.table.name} ${JSON.stringify(key)}`, row)
      }
      i = next
    }
    return [...rows].map(([key, row]) => `${key} ${row}`).toSorted()
  }
  const whole = rowsOf(() => drive.entries.length)
  for (const rows of [rowsOf(() => 1), rowsOf((i) => 1 + ((i * 7 + seed) % 5))])
    if (!same(rows, whole)) expect(rows).toEqual(whole)
}

test('any graph and history agrees with the model, and leaves whole lineage', () => {
  fc.assert(fc.property(graph, check), { numRuns: 300 })
})

test('a graph that joins, fails and stops has cases of each end', () => {
  // The property above is worth nothing if its histories are tame.
  const seen = new Set<string>()
  fc.assert(
    fc.property(graph, (input) => {
      for (const commit of run(input).commits.values()) seen.add(commit.state)
    }),
    { numRuns: 20, seed: 1, endOnFailure: true },
  )
  for (const state of [
    'open',
    'queued',
    'running',
    'finished',
    'failed',
    'unrunnable',
    'superseded',
    'stopped',
  ])
    expect(seen).toContain(state)
})
