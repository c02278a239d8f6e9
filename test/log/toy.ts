// A machine small enough to see through: counters by key, and a world to run its log in.

import { createHash } from 'node:crypto'

import { assert } from '../../src/base/assert.ts'
import type { Clock } from '../../src/base/clock.ts'
import { VarveError } from '../../src/base/errors.ts'
import type { ErrorCode } from '../../src/base/errors.ts'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { MemoryBus } from '../../src/bus/adapters/memory.ts'
import type { Bus, BusMessage } from '../../src/bus/bus.ts'
import { LogClient } from '../../src/log/client.ts'
import type { LogGuests, Mac } from '../../src/log/guests.ts'
import { Journal } from '../../src/log/journal.ts'
import type { LaneOptions } from '../../src/log/lane.ts'
import type { Answer, Entry, Machine, Proposal } from '../../src/log/machine.ts'
import { readMark } from '../../src/log/marks.ts'
import { FIRST_GENERATION, REQUESTS } from '../../src/log/tables.ts'
import { LogWriter } from '../../src/log/writer.ts'
import { idSource, idTimeMs } from '../../src/model/id.ts'
import type { Id } from '../../src/model/id.ts'
import { MemoryTables } from '../../src/tables/adapters/memory.ts'
import { defineTable } from '../../src/tables/schema.ts'
import type { GuardedSpec, RowOf } from '../../src/tables/schema.ts'
import { putFact } from '../../src/tables/tables.ts'
import type { FactWrite, GuardedWrite, Outcome, Tables } from '../../src/tables/tables.ts'

export type ToyOp =
  /** Prepared against the value it sees, and decided only against that one. */
  | { readonly op: 'add'; readonly key: string; readonly by: number; readonly pad?: number }
  /** A machine's step: refused unless the counter stands at `from`. */
  | { readonly op: 'step'; readonly key: string; readonly from: number }
  | { readonly op: 'refuse' }
  | { readonly op: 'throw' }
  | { readonly op: 'unfoldable' }
  /** Prepared only when the gate of that name opens. */
  | { readonly op: 'slow'; readonly key: string; readonly gate: string }

export interface ToyFact {
  readonly key: string
  readonly value: number
  readonly pad?: string
}

export type ToyState = Map<string, number>

export const COUNTERS = defineTable({
  name: 'counters',
  kind: 'facts',
  partition: ['project', 'view'],
  clustering: ['key'],
  columns: { project: 'text', view: 'int', key: 'text', value: 'int' },
})

export const gates = new Map<string, Promise<void>>()

export const toy: Machine<ToyOp, ToyFact, ToyState, number> = {
  empty: () => new Map(),
  fold: (state, entry) => {
    if ('no' in entry.decision) return
    for (const fact of entry.decision.yes) {
      if (fact.key === 'unfoldable') throw new Error('no such fact')
      state.set(fact.key, fact.value)
    }
  },
  orderedBy: ({ ops }) => ops.flatMap((op) => ('key' in op ? [op.key] : [])),
  /** On the value there is, and those behind on what they expect the others to make of it. */
  prepare: (state, proposals) => {
    const [first] = proposals[0]?.ops ?? []
    let value = (first && 'key' in first && state.get(first.key)) || 0
    let before: Promise<unknown> = Promise.resolve()
    return proposals.map(({ ops: [op] }) => {
      const seen = value
      value += op?.op === 'add' ? op.by : 1
      const open = op?.op === 'slow' ? gates.get(op.gate) : undefined
      const prepared = before.then(() => open).then(() => seen)
      before = prepared
      return prepared
    })
  },
  decide: (state, { ops }, prepared) => {
    const op = ops[0]
    assert(op, 'an op')
    const value = ('key' in op && state.get(op.key)) || 0
    switch (op.op) {
      case 'add':
      case 'slow': {
        if (prepared !== value) return { again: true }
        const pad = op.op === 'add' && op.pad ? { pad: 'x'.repeat(op.pad) } : {}
        return { yes: [{ key: op.key, value: value + (op.op === 'add' ? op.by : 1), ...pad }] }
      }
      case 'step':
        if (value !== op.from) return { notice: { code: 'STALE_STATE', message: 'moved on' } }
        return { yes: [{ key: op.key, value: value + 1 }] }
      case 'refuse':
        return { no: { code: 'PATH_CONFLICT', message: 'refused' } }
      case 'unfoldable':
        return { yes: [{ key: 'unfoldable', value: 1 }] }
      case 'throw':
        throw new Error('cannot decide')
    }
  },
  project: (project, view, entries) => {
    const rows = new Map<string, FactWrite>()
    for (const { seq, decision } of entries)
      if ('yes' in decision)
        for (const { key, value } of decision.yes)
          rows.set(key, putFact(COUNTERS, { project, view, key, value }, seq))
    return [...rows.values()]
  },
  snapshot: (state) => [...state],
  restore: (value) => new Map(value as [string, number][]),
}

/** Time that passes only when nothing else is left to do. */
export class VirtualClock implements Clock {
  #nowMs = 1_800_000_000_000
  #sleepers: { atMs: number; order: number; wake: () => void }[] = []
  #order = 0
  #pumping = false

  nowMs(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const sleeper = { atMs: this.#nowMs + ms, order: this.#order++, wake: resolve }
      this.#sleepers.push(sleeper)
      signal?.addEventListener('abort', () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        resolve()
      })
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    setImmediate(() => {
      this.#pumping = false
      const next = this.#sleepers.reduce(
        (a, b) => (b.atMs < a.atMs || (b.atMs === a.atMs && b.order < a.order) ? b : a),
        this.#sleepers[0] ?? { atMs: 0, order: 0, wake: () => {} },
      )
      this.#sleepers = this.#sleepers.filter((other) => other !== next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.wake()
      if (this.#sleepers.length > 0) this.#pump()
    })
  }
}

export type Fate = 'ok' | 'lost' | 'done-unanswered' | 'late'

/** Tables as one process sees them: its conditional writes meet fates, and it can be cut off. */
export class FaultyTables extends MemoryTables {
  readonly #inner: MemoryTables
  readonly #clock: Clock
  fate: (n: number) => Fate = () => 'ok'
  failApply: (n: number) => boolean = () => false
  /** Once true, nothing of this process reaches the tables and it hears nothing any more. */
  cut = false
  cutBeforeApply = false
  writes = 0
  applies = 0

  constructor(inner: MemoryTables, clock: Clock) {
    super()
    this.#inner = inner
    this.#clock = clock
  }

  override get: Tables['get'] = (table, key, options) =>
    this.cut ? never() : this.#inner.get(table, key, options)

  override scan: Tables['scan'] = (table, partition, options) =>
    this.#inner.scan(table, partition, options)

  override put: Tables['put'] = (table, rows, at) =>
    this.cut ? never() : this.#inner.put(table, rows, at)

  override remove: Tables['remove'] = (table, key, at) =>
    this.cut ? never() : this.#inner.remove(table, key, at)

  override async apply(writes: readonly FactWrite[]): Promise<void> {
    if (this.cutBeforeApply) this.cut = true
    if (this.cut) return await never()
    const fail = this.failApply(this.applies++)
    // What fails has done all but the last, which says that all is done.
    await this.#inner.apply(fail ? writes.slice(0, -1) : writes)
    if (fail) throw new VarveError('UNAVAILABLE', 'injected')
  }

  override async writeIf<T extends GuardedSpec>(
    table: T,
    write: GuardedWrite<T>,
  ): Promise<Outcome<RowOf<T>>> {
    if (this.cut) return await never()
    const fate = this.fate(this.writes++)
    if (fate === 'ok') return await this.#inner.writeIf(table, write)
    if (fate === 'done-unanswered') await this.#inner.writeIf(table, write)
    if (fate === 'late') void this.#clock.sleep(40).then(() => this.#inner.writeIf(table, write))
    return { kind: 'unknown', cause: new Error(fate) }
  }
}

function never(): Promise<never> {
  return new Promise(() => {})
}

export type ToyProposal = Partial<Proposal<ToyOp>> & { readonly ops: readonly ToyOp[] }

/** One process: a client, and a writer unless told otherwise. */
export class Process {
  readonly tables: FaultyTables
  readonly bus: Bus
  readonly client: LogClient<ToyOp, ToyFact>
  readonly writer: LogWriter<ToyOp, ToyFact, ToyState, number>
  readonly #world: World
  readonly #stop = new AbortController()
  readonly #running: Promise<void> | undefined

  constructor(world: World, options: ProcessOptions) {
    this.#world = world
    this.tables = new FaultyTables(world.tables, world.clock)
    this.bus = options.bus ?? world.bus
    const { mac } = options
    const guests = { ...world.guests(), tables: this.tables, bus: this.bus, mac }
    this.client = new LogClient(guests)
    this.writer = new LogWriter({ ...guests, machine: toy, keptIds: 8192, ...options.lane })
    this.#running = options.idle ? undefined : this.writer.run(this.#stop.signal)
  }

  proposal(given: ToyProposal): Proposal<ToyOp> {
    const id = given.id ?? this.#world.nextId()
    const fingerprint = JSON.stringify(given.ops)
    return {
      project: 'p',
      principal: 'someone',
      cause: null,
      issuedAtMs: 0,
      fingerprint,
      machine: false,
      ...given,
      id,
    }
  }

  propose(given: ToyProposal, deadlineMs = 60_000): Promise<Answer<ToyFact>> {
    return this.client.propose(this.proposal(given), deadlineMs)
  }

  add(
    key: string,
    by = 1,
    { id, deadline }: { id?: Id; deadline?: number } = {},
  ): Promise<Answer<ToyFact>> {
    return this.propose({ ops: [{ op: 'add', key, by }], ...(id && { id }) }, deadline)
  }

  /** Entries 1 … n as a follower meets them. */
  async follow(n: number, after = 0): Promise<Entry<ToyFact>[]> {
    const stop = new AbortController()
    const entries: Entry<ToyFact>[] = []
    for await (const entry of this.client.follow('p', after, stop.signal)) {
      const mark = await this.client.watermark('p')
      assert(entry.seq <= mark.seq, `followed seq ${entry.seq} above watermark ${mark.seq}`)
      entries.push(entry)
      if (entry.seq >= n) break
    }
    return entries
  }

  /** As kill -9: nothing it has under way goes on. */
  kill(): void {
    this.tables.cut = true
    this.#stop.abort()
    void this.client.close()
  }

  async stop(): Promise<void> {
    await this.client.close()
    this.#stop.abort()
    await this.#running
  }
}

export interface ProcessOptions {
  readonly bus?: Bus
  readonly idle?: boolean
  readonly mac?: Mac
  readonly lane?: Partial<LaneOptions<ToyOp, ToyFact, ToyState, number>>
}

export class World {
  readonly clock = new VirtualClock()
  readonly tables = new MemoryTables()
  readonly blob = new MemoryBlobStore()
  readonly bus = new MemoryBus({ clock: this.clock })
  readonly #random
  readonly nextId: () => Id
  readonly #processes: Process[] = []

  constructor(seed = 1) {
    this.#random = seededRandom(seed)
    this.nextId = idSource(this.clock, this.#random)
  }

  guests(): LogGuests {
    const hash = (bytes: Uint8Array): Uint8Array =>
      new Uint8Array(createHash('sha256').update(bytes).digest())
    const { tables, blob, bus, clock } = this
    return { tables, blob, bus, clock, random: this.#random, hash }
  }

  process(options: ProcessOptions = {}): Process {
    const process = new Process(this, options)
    this.#processes.push(process)
    return process
  }

  newBus(): MemoryBus {
    return new MemoryBus({ clock: this.clock })
  }

  async close(): Promise<void> {
    await Promise.all(this.#processes.filter(({ tables }) => !tables.cut).map((one) => one.stop()))
  }

  journal(): Journal<ToyFact> {
    return new Journal<ToyFact>(this.guests(), 'p', FIRST_GENERATION)
  }

  async entries(): Promise<Entry<ToyFact>[]> {
    const journal = this.journal()
    const head = await journal.head(journal.genesis())
    const entries: Entry<ToyFact>[] = []
    for await (const block of journal.blocksFrom(journal.genesis(), head.seq))
      entries.push(...(await journal.entries(block)))
    return entries
  }

  /** The log is whole, each id is decided once, and the projections are its fold. */
  async check(): Promise<Entry<ToyFact>[]> {
    const entries = await this.entries()
    const state: ToyState = new Map()
    const ids = new Set<Id>()
    let atMs = 0
    for (const [i, entry] of entries.entries()) {
      assert(entry.seq === i + 1, `seq ${entry.seq} at ${i + 1}`)
      assert(entry.atMs >= atMs, 'log time falls')
      assert(!ids.has(entry.id), `id ${entry.id} decided twice`)
      ids.add(entry.id)
      atMs = entry.atMs
      toy.fold(state, entry)
    }
    const mark = await readMark(this.tables, 'p')
    assert(mark.seq === entries.length, `watermark ${mark.seq} of ${entries.length}`)
    const rows = new Map<string, number>()
    for await (const row of this.tables.scan(COUNTERS, { project: 'p', view: mark.view }))
      rows.set(row.key, row.value ?? NaN)
    const wrong = [...state].filter(([key, value]) => rows.get(key) !== value)
    assert(wrong.length === 0 && rows.size === state.size, `rows differ: ${JSON.stringify(wrong)}`)
    for (const { id, seq } of entries) {
      const slot = Math.floor(idTimeMs(id) / 8000)
      const row = await this.tables.get(REQUESTS, { project: 'p', view: mark.view, slot, id })
      assert(row?.seq === seq, `request row of ${id}`)
    }
    return entries
  }
}

export function codeOf(answer: Answer<ToyFact>): ErrorCode | 'yes' | 'pending' {
  if (answer.kind === 'pending') return 'pending'
  if (answer.kind === 'notice') return answer.code
  const { decision } = answer.entry
  return 'yes' in decision ? 'yes' : decision.no.code
}

/** A bus that loses, repeats, delays and copies messages as a seeded die falls. */
export class BadBus extends MemoryBus {
  readonly #next: () => number
  readonly #clock: Clock

  constructor(clock: Clock, seed: number) {
    super({ clock })
    this.#clock = clock
    this.#next = seededRandom(seed).next
  }

  override async publish(topic: string, messages: readonly BusMessage[]): Promise<void> {
    for (const one of messages) {
      const { partition, key, headers, value } = one
      const message = { partition, key, headers, value }
      const die = this.#next()
      if (die < 0.15) continue
      if (die < 0.3) void this.#clock.sleep(die * 3000).then(() => super.publish(topic, [message]))
      else await super.publish(topic, die < 0.45 ? [message, message] : [message])
    }
    if (this.#next() < 0.05) throw new VarveError('UNAVAILABLE', 'injected')
  }
}
