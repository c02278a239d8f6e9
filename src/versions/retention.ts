// Carries out the rules of retention: looks along the commits of the repos that have one and proposes to
// drop what is expired. Invariants:
// - it never proposes what something needs (needed.ts), and decide looks again: a head, an undelivered
//   commit or the input of a waiting job outlives its rule;
// - each proposal names the rule it follows, so that what was proposed under an older one is refused;
// - two of these over one project waste effort and break nothing.
// Memory: one batch of commits, and a number for each repo with a rule.

import { Bell } from '../base/bell.ts'
import type { Clock } from '../base/clock.ts'
import { VarveError, isVarveError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { Branch, Commit, CommitKey } from '../model/entities.ts'
import { idSource } from '../model/id.ts'
import type { Id } from '../model/id.ts'
import { Expiry, ruleOf } from '../model/keep.ts'
import type { KeepRule } from '../model/keep.ts'
import type { Fact } from '../model/ops.ts'
import { MOST_DROPPED } from '../model/ops.ts'
import { egressNeeds, readerOf, whyNeeded } from './needed.ts'
import type { EgressNeed } from './needed.ts'
import { RowRunners } from './row-runners.ts'
import type { Own, RowRunner } from './row-runners.ts'
import type { Versions } from './versions.ts'

/** Repos with a rule are looked at so often: commits grow old, what needed them ends, without a sign. */
const EVERY_MS = 60_000
/** And a repo that changed at once, but no sooner than this after the last look. */
const REST_MS = 5_000
/** Of the rows in one proposal: an entry holds each whole, and is 4 MiB at most. */
const BATCH_CHARS = 1 << 20

export interface RetentionOptions {
  readonly versions: Versions
  readonly clock: Clock
  readonly random: Random
  /** Whose projects this process looks after; default: all. */
  readonly own?: Own | undefined
}

/** Until the signal. */
export function runRetention(options: RetentionOptions, signal: AbortSignal): Promise<void> {
  const { versions, clock, random, own } = options
  const newId = idSource(clock, random)
  const row = { name: 'retention', state: 'running' } as const
  const runners = new RowRunners({
    versions,
    clock,
    own,
    kind: {
      async *rows() {
        yield row
      },
      changeOf: () => undefined,
      keyOf: () => '',
      runnerOf: (project) => new Retention({ versions, clock, newId }, project),
    },
    heard: (project, fact) => runners.runner(project, row.name)?.hear(fact),
  })
  return runners.run(signal)
}

interface Batch {
  readonly rule: KeepRule
  readonly commits: CommitKey[]
  chars: number
}

export class Retention implements RowRunner {
  readonly #versions: Versions
  readonly #clock: Clock
  readonly #newId: () => Id
  readonly #project: string
  readonly #bell = new Bell()
  /** Repos with a rule: under these rules, nothing that opened before `floor` is left to drop. */
  readonly #ruled = new Map<string, { readonly rules: string; readonly floor: number }>()
  readonly #due = new Set<string>()

  constructor(
    guests: { readonly versions: Versions; readonly clock: Clock; readonly newId: () => Id },
    project: string,
  ) {
    this.#versions = guests.versions
    this.#clock = guests.clock
    this.#newId = guests.newId
    this.#project = project
  }

  /** What may make a commit of a repo expired, or give its repo a rule. */
  hear(fact: Fact): void {
    switch (fact.f) {
      case 'repo.changed':
        return this.#ring(fact.repo.name)
      case 'branch.created':
      case 'branch.moved':
      case 'branch.changed': {
        const { repo, keep } = fact.branch
        return keep || this.#ruled.has(repo) ? this.#ring(repo) : undefined
      }
      case 'egress.delivered':
      case 'egress.deleted':
        return this.#ruled.has(fact.egress.repo) ? this.#ring(fact.egress.repo) : undefined
      default:
    }
  }

  #ring(repo: string): void {
    this.#due.add(repo)
    this.#bell.ring()
  }

  async run(signal: AbortSignal): Promise<void> {
    let lookedMs = -Infinity
    while (!signal.aborted) {
      try {
        const nowMs = this.#clock.monotonicMs()
        if (lookedMs === -Infinity)
          for await (const { name } of this.#versions.repos(this.#project)) this.#due.add(name)
        if (nowMs - lookedMs >= EVERY_MS) {
          for (const repo of this.#ruled.keys()) this.#due.add(repo)
          lookedMs = nowMs
        }
        const due = [...this.#due]
        for (const repo of due) {
          if (signal.aborted) return
          this.#due.delete(repo)
          await this.sweep(repo)
        }
      } catch (error) {
        // Trouble of the world: the next look is at all of them.
        if (!(error instanceof VarveError)) throw error
        lookedMs = -Infinity
      }
      await this.#clock.sleep(REST_MS, signal)
      if (this.#due.size === 0 && lookedMs > -Infinity)
        await this.#bell.wait(this.#clock, EVERY_MS, signal)
    }
  }

  /** Drops what is expired in a repo now. */
  async sweep(repo: string): Promise<void> {
    const project = this.#project
    const row = await this.#versions.repo(project, repo)
    const branches = new Map<string, Branch>()
    if (row)
      for await (const branch of this.#versions.branches(project, repo))
        branches.set(branch.branch, branch)
    const own = [...branches.values()].flatMap(({ branch, keep }) => (keep ? [[branch, keep]] : []))
    if (!row || (!row.keep && own.length === 0)) {
      this.#ruled.delete(repo)
      return
    }
    const rules = JSON.stringify([row.createdAtMs, row.keep, own])
    const known = this.#ruled.get(repo)
    const floor = known?.rules === rules ? known.floor : 0
    this.#ruled.set(repo, { rules, floor })
    const look = new Look(this.#versions, project, branches, this.#clock.nowMs())
    const batches = new Map<string, Batch>()
    let oldest = floor
    for await (const commit of this.#versions.commits(project, repo)) {
      if (commit.openedSeq < floor) break
      const rule = ruleOf(row, branches.get(commit.branch))
      if (rule === 'all' || commit.dropped) continue
      oldest = commit.openedSeq
      if (await look.mayGo(rule, commit)) await this.#add(batches, rule, commit)
    }
    for (const batch of batches.values()) await this.#propose(batch)
    this.#ruled.set(repo, { rules, floor: oldest })
  }

  async #add(batches: Map<string, Batch>, rule: KeepRule, commit: Commit): Promise<void> {
    const name = JSON.stringify(rule)
    const batch = batches.get(name) ?? { rule, commits: [], chars: 0 }
    batches.set(name, batch)
    const { repo, branch, id } = commit
    batch.commits.push({ repo, branch, id })
    batch.chars += JSON.stringify(commit).length
    if (batch.commits.length < MOST_DROPPED && batch.chars < BATCH_CHARS) return
    batches.delete(name)
    await this.#propose(batch)
  }

  async #propose({ rule, commits }: Batch): Promise<void> {
    const op = { op: 'commit.drop', commits, rule } as const
    const request = { id: this.#newId(), principal: 'retention' }
    try {
      await this.#versions.propose(this.#project, [op], request)
    } catch (error) {
      // Something needs one of them by now, or the rule is another: the next look is of how it is then.
      if (!isVarveError(error, 'STALE_STATE')) throw error
    }
  }
}

/** One look along a repo: what its branches' rules and the rows say of each commit. */
class Look {
  readonly #versions: Versions
  readonly #project: string
  readonly #branches: ReadonlyMap<string, Branch>
  readonly #nowMs: number
  readonly #expiries = new Map<string, Expiry>()
  readonly #egresses = new Map<string, readonly EgressNeed[]>()

  constructor(
    versions: Versions,
    project: string,
    branches: ReadonlyMap<string, Branch>,
    nowMs: number,
  ) {
    this.#versions = versions
    this.#project = project
    this.#branches = branches
    this.#nowMs = nowMs
  }

  /** Asked of each commit of a branch once, the newest first. */
  async mayGo(rule: KeepRule, commit: Commit): Promise<boolean> {
    const expiry = this.#expiries.get(commit.branch) ?? new Expiry(rule, this.#nowMs)
    this.#expiries.set(commit.branch, expiry)
    if (!expiry.isExpired(commit)) return false
    const branch = this.#branches.get(commit.branch)
    const reader = await readerOf(this.#versions, this.#project, commit)
    const egresses = branch ? await this.#egressesOf(branch) : []
    return whyNeeded(commit, { branch, reader, egresses }) === undefined
  }

  async #egressesOf(branch: Branch): Promise<readonly EgressNeed[]> {
    const known =
      this.#egresses.get(branch.branch) ??
      (await egressNeeds(this.#versions, this.#project, branch))
    this.#egresses.set(branch.branch, known)
    return known
  }
}
