// The checkers: what the log, the projections and the store must say at the end, against what users
// were told. Everything here reads the durable state without faults.

import type { Commit, Job } from '../../src/model/entities.ts'
import { branchKey, commitKey, hasEnded } from '../../src/model/entities.ts'
import { idSource } from '../../src/model/id.ts'
import { DEFAULT_PROJECT as P } from '../../src/model/name.ts'
import type { Fact, Op } from '../../src/model/ops.ts'
import { sameTree } from '../../src/model/tree-ref.ts'
import { systemClock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryBus } from '../../src/bus/adapters/memory.ts'
import { LogClient } from '../../src/log/client.ts'
import { Journal } from '../../src/log/journal.ts'
import type { Entry } from '../../src/log/machine.ts'
import { readMark } from '../../src/log/marks.ts'
import { fillView } from '../../src/log/projection.ts'
import { FIRST_GENERATION, WATERMARKS } from '../../src/log/tables.ts'
import { AHEAD_MS } from '../../src/log/time.ts'
import { ObjectEngine } from '../../src/objects/engine.ts'
import { HistoryCheck } from '../../src/versions/history-check.ts'
import { projectEntries } from '../../src/versions/project.ts'
import { VersionsService } from '../../src/versions/service.ts'
import { FEED, INTRUDER, PIPELINES, readFile } from './actors.ts'
import type { Ledger } from './ledger.ts'
import { transformed } from './pipelines.ts'
import type { Durable } from './store.ts'
import { collect } from './ports.ts'
import { hash, storeKey } from './store.ts'
import type { World } from './world.ts'

/** Reads everything as it is, without faults. */
export class Oracle {
  readonly versions: VersionsService
  readonly #durable: Durable
  readonly #guests
  readonly #journal: Journal<Fact>

  constructor(durable: Durable) {
    this.#durable = durable
    this.#guests = {
      tables: durable.tables,
      blob: durable.blob,
      bus: new MemoryBus({ clock: systemClock }),
      clock: systemClock,
      random: seededRandom(1),
      hash,
    }
    const objects = new ObjectEngine({ ...this.#guests, storeKey, cacheBytes: 1 << 20 })
    const log = new LogClient<Op, Fact>(this.#guests)
    this.versions = new VersionsService({ ...this.#guests, log, objects })
    this.#journal = new Journal(this.#guests, P, FIRST_GENERATION)
  }

  get guests() {
    return { ...this.#guests, ids: idSource(this.#guests.clock, this.#guests.random) }
  }

  get random() {
    return this.#guests.random
  }

  /** Every entry; the chain is checked on the way. */
  async entries(): Promise<Entry<Fact>[]> {
    const all: Entry<Fact>[] = []
    const start = this.#journal.genesis()
    const { seq } = await this.#journal.head(start)
    for await (const block of this.#journal.blocksFrom(start, seq))
      all.push(...(await this.#journal.entries(block)))
    return all
  }

  /** What still waits to be projected or made; undefined: nothing. */
  async waiting(): Promise<string | undefined> {
    const { seq } = await this.#journal.head(this.#journal.genesis())
    const mark = await readMark(this.#durable.tables, P)
    if (mark.seq !== seq) return `projections stand at ${mark.seq} of ${seq}`
    for (const { name } of PIPELINES)
      for await (const commit of this.versions.commits(P, name))
        if (!hasEnded(commit.state))
          return `${commitKey(commit)} is ${commit.state}, made from ${commit.provenance.map(commitKey).join(' ')}`
    return undefined
  }

  /** The rows of each view that is or was in use, and what the log says of the same entries. */
  async *rebuiltRows(): AsyncGenerator<{ view: number; before: string[]; after: string[] }> {
    const { tables } = this.#durable
    const rows = (view: number): Promise<string[]> =>
      this.#durable.rows({ project: P, view }, 'view')
    const machine = { project: projectEntries }
    const signal = new AbortController().signal
    const marks = await collect(tables.scan(WATERMARKS, { project: P }))
    const current = await readMark(tables, P)
    for (const { view, seq = 0, next } of marks) {
      if (next === undefined && view !== current.view) continue
      const made = view + 1_000_000
      for await (const _ of fillView(tables, machine, this.#journal, made, seq, signal));
      yield { view, before: await rows(view), after: await rows(made) }
    }
  }
}

export interface History {
  readonly world: World
  readonly oracle: Oracle
  readonly ledger: Ledger
  readonly spoutTotal: number
  /** The most any API's clock was ahead. */
  readonly apiAheadMs: number
  /** The pipelines room did the work. */
  readonly real: boolean
}

export async function checkHistory(history: History): Promise<void> {
  const { world, oracle } = history
  let entries: Entry<Fact>[]
  try {
    entries = await oracle.entries()
  } catch (error) {
    return world.violate('I2', `the log cannot be read: ${(error as Error).message}`)
  }
  checkLog(history, entries)
  checkGraph(world, entries)
  checkFacts(world, entries)
  checkJobs(world, entries)
  checkFeed(history, entries)
  await checkLedger(history, entries)
  await checkContent(history, entries)
  // The watermark row is keyed by its view, not part of it.
  for await (const { view, before, after } of oracle.rebuiltRows()) {
    const lacking = after.filter((row) => !before.includes(row))
    const surplus = before.filter((row) => !after.includes(row))
    for (const row of [...lacking, ...surplus].slice(0, 3))
      world.violate('I4', `a rebuild of view ${view} differs: ${row}`)
  }
}

/** I1, I2 and the clock. */
function checkLog({ world, apiAheadMs }: History, entries: readonly Entry<Fact>[]): void {
  const ids = new Map<string, number>()
  let atMs = 0
  for (const [i, entry] of entries.entries()) {
    if (entry.seq !== i + 1) world.violate('I2', `entry ${entry.seq} stands at ${i + 1}`)
    const before = ids.get(entry.id)
    if (before !== undefined)
      world.violate(
        'I1',
        `request ${entry.id} of ${entry.principal} is decided at ${before} and ${entry.seq}`,
      )
    ids.set(entry.id, entry.seq)
    if (entry.atMs < atMs)
      world.violate('log time', `entry ${entry.seq} is before ${entry.seq - 1}`)
    atMs = entry.atMs
    if (entry.principal === INTRUDER)
      world.violate('I14', `entry ${entry.seq} is of somebody who has not the secret`)
  }
  if (atMs > world.dayMs + apiAheadMs + AHEAD_MS)
    world.violate('log time', `it is ${Math.round(atMs - world.dayMs)} ms ahead of the day`)
}

/** I3, I9: heads move along parents; one AUTO commit a branch below; one version of each input. */
function checkGraph(world: World, entries: readonly Entry<Fact>[]): void {
  const heads = new Map<string, string>()
  const commits = new Map<string, Commit>()
  const below = new Map(
    PIPELINES.map(({ name, inputs }) => [`${name}@master`, inputs.map(branchKey)]),
  )
  const running = new Set<string>()
  for (const entry of entries) {
    if (!('yes' in entry.decision)) continue
    const opened: string[] = []
    const moved: string[] = []
    for (const fact of entry.decision.yes) {
      if (fact.f === 'pipeline.put') running.add(`${fact.pipeline.name}@master`)
      if (!('commit' in fact)) continue
      const { commit } = fact
      const key = commitKey(commit)
      const branch = branchKey(commit)
      const known = commits.get(key)
      if (commit.origin === 'auto' && !known) opened.push(branch)
      if (known && hasEnded(known.state)) world.violate('I2', `${key} ended and changed again`)
      commits.set(key, commit)
      if (commit.state !== 'finished') continue
      if (commit.parent !== (heads.get(branch) ?? null))
        world.violate('I3', `${key} stands on ${commit.parent}, the head is ${heads.get(branch)}`)
      heads.set(branch, commit.id)
      if (commit.origin !== 'auto') moved.push(branch)
      for (const input of commit.provenance) {
        const from = commits.get(commitKey(input))
        if (from?.state !== 'finished')
          world.violate('I9', `${key} is made from ${commitKey(input)}, which is ${from?.state}`)
        for (const [source, id] of Object.entries(from?.sources ?? {}))
          if (commit.sources[source] !== id)
            world.violate('I9', `${key} holds two versions of ${source}`)
      }
    }
    const expected = new Set<string>()
    const spread = (branch: string): void => {
      for (const [name, inputs] of below)
        if (inputs.includes(branch) && running.has(name) && !expected.has(name)) {
          expected.add(name)
          spread(name)
        }
    }
    for (const branch of moved) spread(branch)
    if (moved.length > 0 && opened.toSorted().join() !== [...expected].toSorted().join())
      world.violate(
        'I9',
        `entry ${entry.seq} moved ${moved.join()} and opened ${opened.join() || 'nothing'}`,
      )
  }
}

/** I3, I9 as fsck sees them. */
function checkFacts(world: World, entries: readonly Entry<Fact>[]): void {
  const check = new HistoryCheck(P)
  for (const entry of entries)
    for (const { of, text } of check.faultsOf(entry))
      world.violate(of === 'heads' ? 'I3' : 'I9', `entry ${text}`)
}

/** I7, I8: one plan for a job, one end, the recorded plan carried out. */
function checkJobs(world: World, entries: readonly Entry<Fact>[]): void {
  const plans = new Map<string, Job>()
  const ended = new Set<string>()
  for (const entry of entries) {
    if (!('yes' in entry.decision)) continue
    for (const fact of entry.decision.yes) {
      if (!('job' in fact)) continue
      const key = commitKey(fact.job.commit)
      if (fact.f === 'job.started') {
        if (plans.has(key)) world.violate('I7', `the job of ${key} has two plans`)
        plans.set(key, fact.job)
      } else if (fact.f === 'job.finished') {
        if (ended.has(key)) world.violate('I7', `the job of ${key} ended twice`)
        ended.add(key)
        const started = plans.get(key)
        if (!started || !sameTree(started.plan, fact.job.plan))
          world.violate('I8', `the job of ${key} carried out another plan`)
      }
    }
  }
}

/** I6: the feed's ranges follow one another, without a gap or an overlap. */
function checkFeed({ world, spoutTotal }: History, entries: readonly Entry<Fact>[]): void {
  let at: string | null = null
  for (const entry of entries) {
    if (!('yes' in entry.decision)) continue
    for (const fact of entry.decision.yes) {
      if (fact.f !== 'commit.finished' || !fact.commit.feed) continue
      const range = fact.commit.feed.ranges['p']
      if (!range) continue
      if (range.from !== at)
        world.violate(
          'I6',
          `${commitKey(fact.commit)} holds the feed from ${range.from}, it stood at ${at}`,
        )
      at = range.to
    }
  }
  if (Number(at) !== spoutTotal)
    world.violate('I6', `the feed is recorded to ${at} of ${spoutTotal}`)
}

/** I5, and I3 in real time: what was told stays so, in an order that fits. */
async function checkLedger(
  { world, oracle, ledger }: History,
  entries: readonly Entry<Fact>[],
): Promise<void> {
  const byId = new Map(entries.map((entry) => [entry.id, entry]))
  for (const [id, code] of ledger.rejected) {
    const decision = byId.get(id)?.decision
    if (decision && 'yes' in decision)
      world.violate('I1', `request ${id} was refused with ${code} and is recorded as accepted`)
  }
  for (const { key, path, content } of ledger.acked) {
    const entry = byId.get(key.id)
    if (!entry || !('yes' in entry.decision)) {
      world.violate('I5', `${commitKey(key)} was acknowledged and is not in the log`)
      continue
    }
    const head = (await oracle.versions.branch(P, key))?.head
    for (const root of [(await oracle.versions.commit(P, key))?.root, head?.root])
      if ((await textOf(oracle, root ?? null, path)) !== content)
        world.violate('I5', `"${path}" of ${commitKey(key)} is lost`)
  }
  for (const { key, path, content } of ledger.refused) {
    const root = (await oracle.versions.branch(P, key))?.head?.root ?? null
    if ((await textOf(oracle, root, path)) === content)
      world.violate('I13', `"${path}" of ${commitKey(key)} was refused and is there`)
  }
  for (const a of ledger.acked)
    for (const b of ledger.acked) {
      if (a.endedMs >= b.beganMs || branchKey(a.key) !== branchKey(b.key)) continue
      if ((byId.get(a.key.id)?.seq ?? 0) > (byId.get(b.key.id)?.seq ?? Infinity))
        world.violate(
          'I3',
          `${commitKey(b.key)} began after ${commitKey(a.key)} ended and is before it`,
        )
    }
  for (const { commit, path, content } of ledger.staged) {
    const root = (await oracle.versions.commit(P, commit))?.root ?? null
    if ((await textOf(oracle, root, path)) !== content)
      world.violate('I5', `"${path}" was acknowledged into ${commitKey(commit)} and is not in it`)
  }
}

/** I6 by content, I7 by content, I10 for every commit there is. */
async function checkContent(
  { world, oracle, spoutTotal, real }: History,
  entries: readonly Entry<Fact>[],
): Promise<void> {
  const finished = entries.flatMap(({ decision }) =>
    'yes' in decision
      ? decision.yes.flatMap((fact) => (fact.f === 'commit.finished' ? [fact.commit] : []))
      : [],
  )
  const { objects } = oracle.versions
  for (const commit of finished)
    try {
      const files = await collect(objects.walk(commit.root))
      for (const file of files) await collect(objects.readEntry(file))
      if (files.length !== commit.stats?.files)
        world.violate(
          'I10',
          `${commitKey(commit)} says ${commit.stats?.files} files and has ${files.length}`,
        )
      if (commit.origin !== 'auto') continue
      if (real) {
        await checkOutput(world, oracle, commit)
        continue
      }
      const from = commit.provenance.map(commitKey).toSorted().join(' ')
      const text = await readFile(oracle, commit, 'result')
      if (!text.startsWith(`${commitKey(commit)} from ${from} by `))
        world.violate('I7', `${commitKey(commit)} holds another's result: ${text}`)
    } catch (error) {
      world.violate('I10', `${commitKey(commit)} cannot be read: ${(error as Error).message}`)
    }
  const head = (await oracle.versions.branch(P, FEED))?.head
  const records = new Map<string, number>()
  for (const file of await collect(objects.walk(head?.root ?? null))) {
    const name = file.path.split('/')[1]?.split('-')[0] ?? ''
    records.set(name, (records.get(name) ?? 0) + 1)
  }
  for (let n = 0; n < spoutTotal; n++)
    if (records.get(String(n)) !== 1)
      world.violate('I6', `record ${n} is there ${records.get(String(n)) ?? 0} times`)
}

async function textOf(
  oracle: Oracle,
  root: Commit['root'],
  path: string,
): Promise<string | undefined> {
  try {
    return await readFile(oracle, { root } as Commit, path)
  } catch {
    return undefined
  }
}

/** I7 by content: the output is what one run over the whole input would have given. */
async function checkOutput(world: World, oracle: Oracle, commit: Commit): Promise<void> {
  const { objects } = oracle.versions
  const repo = PIPELINES.find(({ name }) => name === commit.repo)?.inputs[0]?.repo
  const from = commit.provenance.find((input) => input.repo === repo)
  const input = from && (await oracle.versions.commit(P, from))
  const text = async (root: Commit['root'], change: (content: string) => string) => {
    const all: string[] = []
    for (const file of await collect(objects.walk(root)))
      all.push(`${file.path}: ${change((await textOf(oracle, root, file.path)) ?? '')}`)
    return all.join('\n')
  }
  const wanted = await text(input?.root ?? null, (content) => transformed(commit.repo, content))
  const found = await text(commit.root, (content) => content)
  if (found !== wanted)
    world.violate('I7', `${commitKey(commit)} holds "${found}" instead of "${wanted}"`)
}
