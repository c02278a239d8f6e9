// What the log room asks of a domain: how to prepare, decide and fold. Generic over ops and facts.

import type { ErrorCode } from '../base/errors.ts'
import type { Id } from '../model/id.ts'
import type { FactWrite } from '../tables/tables.ts'

export interface Proposal<Op> {
  readonly project: string
  /** Made by the author, stable over retries. */
  readonly id: Id
  readonly ops: readonly Op[]
  readonly principal: string
  /** What led to it: another proposal's id, or null. */
  readonly cause: Id | null
  /** Stamped by the API at each send. */
  readonly issuedAtMs: number
  /** 64 hex digits over the request as its author made it; never over base, root or runs. */
  readonly fingerprint: string
  /** Carries the state it continues: never expires, a repeat is refused by state, unrecorded. */
  readonly machine: boolean
  /** Instead of ops: makes this view of the projections the current one. */
  readonly view?: number
}

export type Decision<Fact> =
  | { readonly yes: readonly Fact[] }
  | {
      readonly no: {
        readonly code: ErrorCode
        readonly message: string
        readonly details?: Record<string, unknown>
      }
    }

/** A recorded decision. JSON values only. */
export interface Entry<Fact> {
  readonly seq: number
  readonly id: Id
  /** Log time: never falls; seq is the order. */
  readonly atMs: number
  /**
   * The newest stamp of its proposal, where that is later than `atMs`: the writer's clock was behind.
   * Copies of the proposal bear stamps about as late, so its id is kept from then on.
   */
  readonly issuedAtMs?: number
  readonly principal: string
  readonly cause: Id | null
  readonly fingerprint: string
  readonly decision: Decision<Fact>
  /** From this entry on this view is the current one. */
  readonly view?: number
}

export type Verdict<Fact> =
  | Decision<Fact>
  /** What was prepared no longer fits the state: prepare again, in a later block. */
  | { readonly again: true }
  /** A machine's state was not equal, or another passing refusal: goes out as a notice, unrecorded. */
  | { readonly notice: { readonly code: ErrorCode; readonly message: string } }

/** Where decide stands. */
export interface At {
  readonly seq: number
  readonly atMs: number
}

export interface Machine<Op, Fact, State, Prepared> {
  empty(project: string): State
  /** Applies an entry; pinned for ever by golden logs. Throws on a fact it does not know. */
  fold(state: State, entry: Entry<Fact>): void
  /**
   * Keys whose proposals must be prepared and decided in arrival order (branches). A proposal
   * without keys waits for nobody.
   */
  orderedBy(proposal: Proposal<Op>): readonly string[]
  /**
   * The effects before a decision: merges runs onto the tip, loads ended commits it names. Runs
   * beside the lane; may read `state` synchronously at its start only. Returns at once what needs no work.
   *
   * The proposals are those of one key that will be decided next, in this order: each may be prepared
   * on what those before it are expected to make of the state, and decide says `again` where that came
   * otherwise. One promise for each; undefined: what is before it cannot be foreseen, or is enough for
   * once, so it is to be prepared when its turn has come. Never of the first.
   * @throws VarveError: retryable ones are tried again by the lane, others become the recorded "no"
   */
  prepare(
    state: State,
    proposals: readonly Proposal<Op>[],
  ): readonly Promise<Prepared | undefined>[]
  /** Pure and synchronous: no clock, chance or I/O. The state is not changed. */
  decide(state: State, proposal: Proposal<Op>, prepared: Prepared, at: At): Verdict<Fact>
  /** The final rows of a dense run of entries, for one view; commit rows first, branch rows after. */
  project(project: string, view: number, entries: readonly Entry<Fact>[]): FactWrite[]
  /**
   * JSON-able value of the whole state; `restore(snapshot(s))` folds on identically. It is printed
   * later, while the state goes on changing: what it holds of the state never changes.
   */
  snapshot(state: State): unknown
  restore(value: unknown): State
}

/** The answer a proposer gets. */
export type Answer<Fact> =
  | { readonly kind: 'decided'; readonly entry: Entry<Fact> }
  | { readonly kind: 'notice'; readonly code: ErrorCode; readonly message: string }
  /** No answer within the deadline; asking again with the same id always ends in a definite one. */
  | { readonly kind: 'pending' }

/** What other rooms use of a log. */
export interface Log<Op, Fact> {
  /** Sends it and waits for the answer until the deadline. Repeat with the same id as often as you like. */
  propose(proposal: Proposal<Op>, deadlineMs: number): Promise<Answer<Fact>>
  /** The decision on an id, if there is one at or below the watermark. */
  decisionOf(project: string, id: Id): Promise<Entry<Fact> | undefined>
  /**
   * Entries after `after`, dense, in order, never above the watermark; ends with the signal. Waits
   * for new ones.
   */
  follow(project: string, after: number, signal: AbortSignal): AsyncIterable<Entry<Fact>>
  /** The seq through which everything can be read; and the view that stands there. */
  watermark(project: string): Promise<{ readonly seq: number; readonly view: number }>
  /**
   * Fills another view of the projections from the first entry on, then has a recorded entry make it
   * the current one; reads go on meanwhile. With `check` it is compared with the current one instead,
   * and stays unused. Each step says how far it is; again after a failure it begins anew, unless
   * `id` is decided. @throws VarveError STALE_STATE: another rebuild was quicker; UNAVAILABLE, CORRUPT
   */
  rebuild(
    project: string,
    machine: Pick<Machine<never, Fact, never, never>, 'project'>,
    request: RebuildRequest,
    signal: AbortSignal,
  ): AsyncIterable<RebuildStep>
}

export interface RebuildRequest {
  readonly id: Id
  readonly principal: string
  readonly check: boolean
}

export interface RebuildStep {
  readonly phase: 'filling' | 'comparing' | 'switching' | 'done'
  /** The view that is made, and where it stands. */
  readonly view: number
  readonly seq: number
  /** How far it is to be filled. */
  readonly through: number
  /** Rows compared so far. */
  readonly rows: number
  /** How many of them differ, and the first of those. */
  readonly differing: number
  readonly examples: readonly string[]
}
