// One project's lane: proposals in, decisions out, in one order.
//
//   arrivals ─▶ prepare (beside the lane) ─▶ decide + fold ─▶ append ─▶ project ─▶ publish
//
// Invariants:
//  - The fold runs ahead of the log: a proposal is decided on the state with all decided before it,
//    appended or not. While one append is in flight the next block collects. When an append is
//    refused, everything decided and not appended is void: the state is made again from the log and
//    all of it is prepared and decided again, in arrival order.
//  - The loader's ids are those of appended entries only; ids held here and not yet appended are in
//    `open`; so each id is decided once by this lane, and by the log's guard once by all lanes.
//  - Nobody is answered from anything but an entry at or below the watermark, or an unrecorded notice.

import { assert, must } from '../base/assert.ts'
import { Signal, deferred } from '../base/async.ts'
import { toHex } from '../base/bytes.ts'
import { isVarveError } from '../base/errors.ts'
import { retry } from '../base/retry.ts'
import type { Id } from '../model/id.ts'
import { Item } from './arrivals.ts'
import {
  BLOCK_MAX_ENTRIES,
  ENTRY_MAX_BYTES,
  blockLength,
  encodeEntry,
  printEntries,
} from './block.ts'
import type { EncodedEntry } from './block.ts'
import { say } from './diagnostics.ts'
import type { Fold } from './fold.ts'
import type { LogGuests } from './guests.ts'
import { Journal } from './journal.ts'
import type { Head } from './journal.ts'
import { Loader } from './loader.ts'
import type { Decision, Entry, Machine } from './machine.ts'
import { Preparing } from './preparing.ts'
import { Projector } from './projector.ts'
import { SnapshotKeeper } from './snapshot-keeper.ts'
import { Snapshots } from './snapshots.ts'
import { FIRST_GENERATION, bucketEnd, bucketOf } from './tables.ts'
import { KEPT_IDS, logTimeMs } from './time.ts'
import { Teller } from './teller.ts'
import { KEY_REUSED, no, rule } from './verdict.ts'
import type { Sent } from './wire.ts'

export interface LaneOptions<Op, Fact, State, Prepared> extends LogGuests {
  readonly machine: Machine<Op, Fact, State, Prepared>
  /** How many decided ids are kept, a power of two; the line of expiry goes by half of it. */
  readonly keptIds?: number
  /** No snapshot is taken before the entries since the last weigh this. */
  readonly snapshotMinBytes?: number
  /** A lane that had nothing to do for so long is let go; default 10 minutes. */
  readonly idleMs?: number
}

interface Decided<Op, Fact, Prepared> {
  readonly item: Item<Op, Prepared>
  readonly encoded: EncodedEntry<Fact>
}

const BACKOFF = { firstMs: 10, maxMs: 1_000 }
/** Entries that may wait to be projected; with more of them nothing is appended. */
const UNPROJECTED = 8 * BLOCK_MAX_ENTRIES
/** Turns of the microtask queue without a new decision after which a block is closed. */
const QUIET_TURNS = 4

export class Lane<Op, Fact, State, Prepared> {
  readonly project: string
  readonly #o: LaneOptions<Op, Fact, State, Prepared>
  readonly #journal: Journal<Fact>
  readonly #loader: Loader<Fact, State>
  readonly #projector: Projector<Fact>
  readonly #teller: Teller<Op, Fact>
  readonly #preparing: Preparing<Op, State, Prepared>
  readonly #keeper: SnapshotKeeper
  readonly #stop = new AbortController()
  /** Rejects when deciding finds that something it believes is not so. */
  readonly #failed = deferred<void>()
  readonly #wake = new Signal()

  /** Held from arrival until appended, refused or let go. */
  readonly #open = new Map<Id, Item<Op, Prepared>>()
  #arrived = 0
  #prepared: Item<Op, Prepared>[] = []
  #decided: Decided<Op, Fact, Prepared>[] = []
  /** Of those decided since the last block was closed. */
  #newestIssuedMs = 0

  /** Undefined while it is being made from the log: then nothing is prepared or decided. */
  #fold: Fold<Fact, State> | undefined
  #head: Head | undefined
  #lookAgain = false
  #spoiled = false
  /** By the monotonic clock: when something came last. */
  #busyMs: number

  constructor(project: string, options: LaneOptions<Op, Fact, State, Prepared>) {
    this.project = project
    this.#o = options
    const { machine, random, keptIds = KEPT_IDS } = options
    // The line must not depend on what is decided and not yet appended.
    assert(keptIds >= 8 * BLOCK_MAX_ENTRIES, 'enough ids are kept')
    this.#journal = new Journal(options, project, FIRST_GENERATION)
    const journal = this.#journal
    const snapshots = new Snapshots(options, project, FIRST_GENERATION)
    this.#keeper = new SnapshotKeeper(project, snapshots, options.snapshotMinBytes)
    this.#loader = new Loader({ project, machine, journal, snapshots, random, keptIds })
    this.#preparing = new Preparing(
      options,
      (item) => {
        this.#prepared.push(item)
        this.#decideAll()
      },
      this.#stop.signal,
    )
    this.#busyMs = options.clock.monotonicMs()
    this.#teller = new Teller(options, project)
    this.#projector = new Projector(options, options.machine, this.#journal, (run) =>
      this.#teller.entries(run),
    )
  }

  /** Proposals it holds. */
  get size(): number {
    return this.#open.size
  }

  /** It holds proposals it will not answer; their authors ask again. */
  get stopped(): boolean {
    return this.#stop.signal.aborted
  }

  /** It has had nothing to do for `forMs`, and holds nothing that is not in the log and told. */
  isIdle(forMs: number): boolean {
    if (this.#open.size > 0 || this.#decided.length > 0 || !this.#fold || this.#lookAgain)
      return false
    if (this.#projector.lag > 0 || !this.#teller.isIdle || this.#keeper.isSaving) return false
    return this.#o.clock.monotonicMs() - this.#busyMs >= forMs
  }

  /** Lets it go: `run` ends. */
  retire(): void {
    this.#stop.abort()
  }

  /** Takes what came from the bus; copies of what it holds join it. */
  offer(sent: Sent<Op>): void {
    if (this.stopped) return
    this.#busyMs = this.#o.clock.monotonicMs()
    if (sent.kind === 'ring') {
      this.#lookAgain = true
      this.#wake.ring()
      return
    }
    const held = this.#open.get(sent.proposal.id)
    if (held) {
      if (held.proposal.fingerprint === sent.proposal.fingerprint)
        held.issuedAtMs.push(sent.proposal.issuedAtMs)
      else if (sent.kind === 'propose' && held.kind === 'propose')
        this.#teller.notice(new Item(0, sent, []), KEY_REUSED)
      return
    }
    const item = new Item<Op, Prepared>(this.#arrived++, sent, this.#keysOf(sent))
    this.#open.set(sent.proposal.id, item)
    this.#preparing.add(item)
  }

  /** Serves until the signal. Rejects when it cannot go on; what it held is unanswered then. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = (): void => this.#stop.abort()
    if (signal.aborted) return
    signal.addEventListener('abort', stop)
    const inner = this.#stop.signal
    inner.addEventListener('abort', () => {
      this.#failed.resolve()
      this.#wake.ring()
    })
    const loops = [
      this.#failed.promise,
      this.#appending(inner),
      this.#projector.run(inner),
      this.#teller.run(
        inner,
        () => this.#projector.seq,
        (seq) => this.#patiently(inner, () => this.#journal.entry(seq)),
      ),
    ]
    try {
      await Promise.all(loops)
    } catch (error) {
      if (inner.aborted) return
      say('stopped', { project: this.project, error })
      throw error
    } finally {
      signal.removeEventListener('abort', stop)
      stop()
      await Promise.allSettled(loops)
    }
  }

  #keysOf(sent: Exclude<Sent<Op>, { kind: 'ring' }>): readonly string[] {
    if (sent.kind === 'give-up') return []
    try {
      return [...new Set(this.#o.machine.orderedBy(sent.proposal))]
    } catch {
      return [] // decide says INTERNAL to what makes no sense
    }
  }

  // ── decide ──

  #decideAll(): void {
    try {
      while (
        this.#fold &&
        !this.#spoiled &&
        !this.#keeper.due &&
        this.#decided.length < BLOCK_MAX_ENTRIES
      ) {
        const item = this.#prepared.shift()
        if (!item) return
        this.#decide(item, this.#fold)
      }
    } catch (error) {
      this.#failed.reject(error)
    }
  }

  #decide(item: Item<Op, Prepared>, fold: Fold<Fact, State>): void {
    const { proposal } = item
    const decidedBy = this.#loader.ids.get(proposal.id)
    if (decidedBy !== undefined) {
      this.#teller.copy(item, decidedBy)
      return this.#letGo(item)
    }
    const issuedAtMs = item.newestIssuedAtMs
    // Silence: whether it was decided long ago is known to `requests`, where its sender looks next.
    if (!(proposal.machine && item.kind === 'propose') && issuedAtMs < fold.lineMs) {
      say('anomaly', { project: this.project, what: 'a proposal came too late', id: proposal.id })
      return this.#letGo(item)
    }
    const newest = Math.max(this.#newestIssuedMs, issuedAtMs)
    const at = {
      seq: fold.seq + 1,
      atMs: logTimeMs(fold.atMs, this.#o.clock.nowMs(), newest),
    }
    const ruling = rule(this.#o.machine, fold, item, at)
    if (ruling.bug !== undefined)
      say('anomaly', {
        project: this.project,
        what: 'a proposal cannot be decided',
        id: proposal.id,
        error: ruling.bug,
      })
    if ('again' in ruling) {
      item.again++
      return this.#preparing.prepare(item)
    }
    if ('notice' in ruling) {
      this.#teller.notice(item, ruling.notice)
      return this.#letGo(item)
    }
    const decision: Decision<Fact> = 'yes' in ruling ? { yes: ruling.yes } : { no: ruling.no }
    const encoded = this.#encode({
      seq: at.seq,
      id: proposal.id,
      atMs: at.atMs,
      ...(issuedAtMs > at.atMs ? { issuedAtMs } : {}),
      principal: proposal.principal,
      cause: proposal.cause,
      fingerprint: proposal.fingerprint,
      decision,
      ...('yes' in decision && proposal.view !== undefined ? { view: proposal.view } : {}),
    })
    try {
      fold.apply(encoded.entry, this.#loader.nthNewestMs(at.seq))
    } catch (error) {
      say('anomaly', { project: this.project, what: 'a new fact cannot be folded', error })
      assert(!item.poisoned, 'an entry that says INTERNAL can be folded')
      item.poisoned = true
      this.#spoiled = true
      this.#wake.ring()
      return
    }
    this.#newestIssuedMs = newest
    this.#decided.push({ item, encoded })
    this.#wake.ring()
    this.#preparing.release(item)
  }

  #encode(entry: Entry<Fact>): EncodedEntry<Fact> {
    const { random, hash } = this.#o
    const key = (): string =>
      `log/${this.project}/${FIRST_GENERATION}/${entry.seq}-${toHex(random.bytes(8))}`
    const encoded = encodeEntry(entry, hash, key)
    if (encoded.bytes.length <= ENTRY_MAX_BYTES) return encoded
    const said = `cannot record this request: it comes to ${encoded.bytes.length} bytes, and ${ENTRY_MAX_BYTES} is the most`
    return encodeEntry({ ...entry, decision: no('TOO_LARGE', said) }, hash, key)
  }

  /** Forgets an item that will not be appended. */
  #letGo(item: Item<Op, Prepared>): void {
    this.#open.delete(item.proposal.id)
    this.#preparing.release(item)
  }

  // ── append ──

  async #appending(signal: AbortSignal): Promise<void> {
    await this.#load(signal)
    while (!signal.aborted) {
      if (this.#spoiled) await this.#load(signal)
      if (this.#lookAgain) await this.#look(signal)
      while (this.#projector.lag >= UNPROJECTED && !signal.aborted) await this.#projector.moved()
      await this.#collect()
      if (this.#spoiled) continue
      if (this.#decided.length > 0) await this.#appendBlock(signal)
      else if (this.#keeper.due) this.#takeSnapshot()
      else if (!this.#lookAgain) await this.#wake.wait()
    }
  }

  /** Lets those join that are about to be decided, such as the rest of a batch from the bus. */
  async #collect(): Promise<void> {
    let size = this.#decided.length
    if (size === 0) return
    for (let quiet = 0; quiet < QUIET_TURNS && size < BLOCK_MAX_ENTRIES; quiet++) {
      await Promise.resolve()
      if (this.#decided.length !== size) quiet = -1
      size = this.#decided.length
    }
  }

  async #appendBlock(signal: AbortSignal): Promise<void> {
    const head = must(this.#head, 'the head')
    const room = bucketEnd(bucketOf(head.seq + 1)) - head.seq
    const all = this.#decided.map((one) => one.encoded)
    const block = this.#decided.slice(0, blockLength(all, room))
    assert(block.length > 0, 'an entry fits in a block')
    this.#decided = this.#decided.slice(block.length)
    if (this.#decided.length === 0) this.#newestIssuedMs = 0
    const encoded = all.slice(0, block.length)
    const append = (): Promise<Head | undefined> => this.#journal.append(head, encoded, signal)
    let next: Head | undefined
    try {
      const blobs = encoded.flatMap((one) => one.blob ?? [])
      if (blobs.length > 0) await this.#patiently(signal, () => this.#o.blob.put(blobs))
      next = await this.#patiently(signal, append)
    } catch (error) {
      if (!isVarveError(error, 'DISK_FULL')) throw error
      // Nothing was written. Their authors hear it and may ask again; reads go on.
      for (const { item } of block) {
        this.#teller.notice(item, { code: error.code, message: error.message })
        this.#open.delete(item.proposal.id)
      }
      return await this.#load(signal)
    }
    if (!next) {
      say('takeover', { project: this.project, seq: head.seq, because: 'somebody else wrote' })
      return await this.#load(signal)
    }
    this.#head = next
    for (const { item, encoded: one } of block) {
      this.#loader.addId(one.entry)
      this.#open.delete(item.proposal.id)
    }
    this.#loader.dropIds(encoded.at(-1)?.entry.atMs ?? 0)
    const sizeBytes = encoded.reduce((sum, one) => sum + one.bytes.length + 1, 0)
    this.#projector.push({
      entries: encoded.map((one) => one.entry),
      print: () => printEntries(encoded),
      sizeBytes,
    })
    say('appended', { project: this.project, entries: block.length, bytes: sizeBytes })
    this.#keeper.weigh(sizeBytes)
    this.#decideAll()
  }

  /** Whether somebody else wrote: then theirs are folded, and projected if they are not yet. */
  async #look(signal: AbortSignal): Promise<void> {
    this.#lookAgain = false
    const known = must(this.#head, 'the head')
    const head = await this.#patiently(signal, () => this.#journal.head(known))
    if (head.seq !== known.seq) await this.#load(signal)
  }

  /** Makes the state anew from the log; what was decided and not appended is void. */
  async #load(signal: AbortSignal): Promise<void> {
    this.#fold = undefined
    this.#spoiled = false
    this.#prepared = []
    this.#decided = []
    this.#newestIssuedMs = 0
    this.#preparing.end(this.#open.values())
    const loaded = await this.#patiently(signal, () => this.#loader.read(this.#head))
    const { fold, head, snapshotBytes, sinceBytes } = loaded
    this.#fold = fold
    this.#head = head
    this.#keeper.begin(snapshotBytes, sinceBytes)
    this.#projector.reach(head.seq)
    this.#preparing.begin(this.#open.values(), fold.state)
  }

  #takeSnapshot(): void {
    const fold = must(this.#fold, 'the state')
    const head = must(this.#head, 'the head')
    assert(fold.seq === head.seq, 'a snapshot is of what is in the log')
    const { atMs, lineMs, view } = fold
    const state = this.#o.machine.snapshot(fold.state)
    this.#keeper.take({ head, atMs, lineMs, view, state })
    this.#decideAll()
  }

  async #patiently<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const retryable = (error: unknown): boolean =>
      isVarveError(error) && error.spec.retry && error.code !== 'DISK_FULL'
    const value = await retry(this.#o, BACKOFF, work, { retryable, signal })
    signal.throwIfAborted()
    return value
  }
}
