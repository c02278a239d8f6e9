// Gathers what was read into a range and commits range after range as the policy says. Invariants:
// - a commit carries [from, to) of each part and the log takes it only if every `from` is what it
//   holds; that comparison, not this program, makes each record be in exactly one commit;
// - one commit is in flight; the next range continues where it ends and is proposed only after it
//   is a fact;
// - `ack` follows the fact, never precedes it;
// - memory: two ranges, the one in flight and the one being gathered, both bounded by the policy;
// - a part keeps its folder, chosen by the commit that first holds the part: nothing was in it and no
//   other spout had it at the head that commit stands on, and it is refused on any other head.

import { assert } from '../base/assert.ts'
import { Bell } from '../base/bell.ts'
import type { Clock } from '../base/clock.ts'
import { toVarveError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { backoffMs } from '../base/retry.ts'
import type { Positions, SourceBatch } from '../connector/contract.ts'
import { parsePosition } from '../connector/position.ts'
import { branchKey } from '../model/entities.ts'
import type { Spout } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import type { Versions } from '../versions/versions.ts'
import { say } from './diagnostics.ts'
import { endOf } from './end.ts'
import type { End } from './end.ts'
import { freeFolder } from './folder.ts'
import { OpenRange } from './open-range.ts'
import type { Poison } from './open-range.ts'
import { whenDue } from './policy.ts'
import type { Due } from './policy.ts'
import type { SpoutSpec } from './spec.ts'

export interface CommitterOptions {
  readonly versions: Versions
  readonly clock: Clock
  readonly random: Random
  readonly newId: () => Id
  readonly project: string
  /** As the log holds it when the committer begins. */
  readonly row: Spout
  readonly spec: SpoutSpec
  /** Kept over the committers of one spout. */
  readonly latest: Latest
  /** Told at each commit, with null, and each time one must wait, why. */
  readonly told: (cause: string | null) => void
}

/** The newest commit; when is monotonic. */
export interface Latest {
  commit: Id | null
  atMs: number | null
}

export const BACKOFF = { firstMs: 200, maxMs: 30_000 }
const IDLE_MS = 60_000

export class Committer {
  readonly #o: CommitterOptions
  readonly #bell = new Bell()
  readonly #room = new Bell()
  #row: Spout
  #range: OpenRange
  #committing: OpenRange | undefined
  /** The reader has ended: what is in hand is due at once. */
  #ending = false

  constructor(options: CommitterOptions) {
    this.#o = options
    this.#row = options.row
    this.#range = new OpenRange(options.row.positions, options.spec.format)
  }

  /** Next position to read, by part, as committed. */
  get committed(): Positions {
    return this.#row.positions
  }

  /** Next position to read behind what is in hand. */
  held(part: string): string | undefined {
    return this.#range.positions()[part]
  }

  add(batch: SourceBatch): Poison | undefined {
    const poison = this.#range.add(batch, this.#o.clock.monotonicMs(), this.#o.spec.poison)
    this.#bell.ring()
    return poison
  }

  /** A record the source itself could not read, kept beside. */
  quarantine(poison: { part: string; from: string; to: string; bytes: Uint8Array }): void {
    const { part, from, to, bytes } = poison
    this.#range.moveTo(part, to, this.#o.clock.monotonicMs())
    this.#range.quarantine(part, parsePosition(from).ordinal, bytes)
  }

  /** Back-pressure: resolves when the range being gathered may take more. */
  async room(signal: AbortSignal): Promise<void> {
    const { records, bytes } = this.#o.spec.commit
    const full = (): boolean => this.#range.records >= records || this.#range.bytes >= bytes
    while (full() && !signal.aborted) await this.#room.wait(this.#o.clock, IDLE_MS, signal)
  }

  /** Nothing more will be added: resolves when all in hand is committed. */
  async drained(signal: AbortSignal): Promise<void> {
    this.#ending = true
    this.#bell.ring()
    while (!signal.aborted && (this.#committing || this.#range.records > 0))
      await this.#room.wait(this.#o.clock, IDLE_MS, signal)
  }

  /** Commits until the signal, or one is refused. @param ack called after each commit that is a fact */
  async run(ack: (positions: Positions) => Promise<void>, signal: AbortSignal): Promise<End> {
    const { clock, spec, latest } = this.#o
    for (;;) {
      const due = this.due()
      const waitMs = due === null ? IDLE_MS : due.atMs - clock.monotonicMs()
      if (due === null || (waitMs > 0 && !this.#ending)) {
        await this.#bell.wait(clock, waitMs, signal)
        if (signal.aborted) return { next: 'again' }
        continue
      }
      const range = this.#range
      this.#committing = range
      this.#range = new OpenRange(range.positions(), spec.format)
      this.#room.ring()
      const refused = await this.#commit(range, signal)
      if (refused) return refused
      this.#committing = undefined
      latest.atMs = clock.monotonicMs()
      this.#room.ring()
      await ack(range.positions())
    }
  }

  /** Looks for a folder where one is needed, and again when somebody moved the head meanwhile. */
  async #commit(range: OpenRange, signal: AbortSignal): Promise<End | null> {
    const { clock, random } = this.#o
    for (let attempt = 0; !signal.aborted; attempt++) {
      const end = await this.#propose(range, await this.#choose(range).catch(endOf), signal)
      if (end !== 'moved') return end
      await clock.sleep(backoffMs(BACKOFF, attempt, random), signal)
    }
    return { next: 'again' }
  }

  async #choose(range: OpenRange): Promise<Choice> {
    const { versions, project } = this.#o
    const begun = range.begun()
    if (begun.length === 0) return { folders: {} }
    const { name } = this.#row
    const head = (await versions.branch(project, this.#row))?.head ?? null
    const claimed = new Set<string>()
    for await (const row of versions.spouts(project))
      if (row.name !== name && branchKey(row) === branchKey(this.#row))
        for (const part of Object.keys(row.positions)) claimed.add(row.folders?.[part] ?? part)
    const folders: Record<string, string> = {}
    for (const each of begun) {
      const folder = await freeFolder(versions.objects, head?.root ?? null, claimed, each)
      folders[each.part] = folder
      claimed.add(folder)
    }
    return { folders, ifParent: head?.id ?? null }
  }

  /**
   * Proposes one range until the answer is definite. The same id is sent again after an answer that
   * did not come: it can be decided once only. `moved`: decided no, the folders must be looked at again.
   */
  async #propose(
    range: OpenRange,
    choice: Choice | End,
    signal: AbortSignal,
  ): Promise<End | null | 'moved'> {
    if ('next' in choice) return choice
    const { versions, newId, clock, random, project, latest, told } = this.#o
    const { name, epoch } = this.#row
    const folders = { ...this.#row.folders, ...choice.folders }
    const request = { id: newId(), principal: `spout:${name}` }
    const begun = Object.keys(choice.folders).length > 0 ? { folders: choice.folders } : {}
    const feed = { spout: name, epoch, ranges: range.ranges(), ...begun }
    const branch = { repo: this.#row.repo, branch: this.#row.branch }
    const onto = choice.ifParent === undefined ? {} : { ifParent: choice.ifParent }
    for (let attempt = 0; ; attempt++) {
      try {
        const commit = await versions.commitFiles(
          project,
          branch,
          async (writer) => {
            for (const { path, bytes } of range.files(folders)) await writer.put(path, bytes)
          },
          request,
          { feed, ...onto },
        )
        const { records, bytes } = range
        assert(commit.id === request.id, 'the commit has the id of its request')
        latest.commit = commit.id
        say('committed', { project, spout: name, commit: commit.id, records, bytes })
        told(null)
        this.#row = { ...this.#row, positions: range.positions(), folders }
        return null
      } catch (error) {
        const known = toVarveError(error)
        // Somebody else committed this part of the feed: go on where the log stands.
        if (known.code === 'STALE_SOURCE' || known.code === 'STALE_STATE')
          return { next: 'again', waitMs: 50 }
        if (known.code === 'HEAD_MOVED') return 'moved'
        if (!known.spec.retry) return endOf(error)
        told(known.message)
        await clock.sleep(50 + backoffMs(BACKOFF, attempt, random), signal)
        if (signal.aborted) return { next: 'again' }
      }
    }
  }

  /** When what is in hand is committed, and why; null with nothing in hand. */
  due(): Due | null {
    const { records, bytes, pinned, firstMs, newestMs } = this.#range
    const committedMs = this.#o.latest.atMs
    const hand = { records, bytes, pinned, firstMs, newestMs, committedMs }
    return whenDue(hand, this.#o.spec.commit)
  }

  /** Read and not yet committed. */
  get inHand(): { readonly records: number; readonly bytes: number } {
    const [a, b] = [this.#range, this.#committing]
    return { records: a.records + (b?.records ?? 0), bytes: a.bytes + (b?.bytes ?? 0) }
  }
}

/** Folders of the parts a range holds for the first time; with any, the head they are free at. */
interface Choice {
  readonly folders: Readonly<Record<string, string>>
  readonly ifParent?: Id | null
}
