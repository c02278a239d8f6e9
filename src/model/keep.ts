// Rules of retention: which commits of a branch are kept. What a rule lets go is still kept while
// something needs it (versions/needed.ts); a rule only says what may be dropped.

/** All; or the newest `last` with a result and, beside them, all that ended less than this ago. */
export type KeepRule = 'all' | KeepNewest

export interface KeepNewest {
  /** Commits with a result, at least 1; null: none for being among the newest. */
  readonly last: number | null
  /** Milliseconds since it ended, at least 1; null: none for being young. */
  readonly youngerThanMs: number | null
}

/** Of a commit, what a rule looks at. */
export interface Kept {
  readonly state: string
  /** Null: not ended. */
  readonly endedAtMs: number | null
  readonly dropped?: unknown
}

/** Whether it says which commits to keep: a rule by which nothing is kept is none. */
export function isKeepRule(rule: KeepRule): boolean {
  if (rule === 'all') return true
  const { last, youngerThanMs } = rule
  const counts = (n: number | null): boolean => n === null || (Number.isSafeInteger(n) && n >= 1)
  return counts(last) && counts(youngerThanMs) && (last !== null || youngerThanMs !== null)
}

/** The rule of a branch: its own, else its repo's, else all are kept. */
export function ruleOf(
  repo: { readonly keep?: KeepRule } | undefined,
  branch: { readonly keep?: KeepRule } | undefined,
): KeepRule {
  return branch?.keep ?? repo?.keep ?? 'all'
}

export function sameRule(a: KeepRule, b: KeepRule): boolean {
  if (a === 'all' || b === 'all') return a === b
  return a.last === b.last && a.youngerThanMs === b.youngerThanMs
}

/** Goes along the commits of one branch, the newest first, and says of each whether it is expired. */
export class Expiry {
  readonly #rule: KeepRule
  readonly #nowMs: number
  #results = 0

  constructor(rule: KeepRule, nowMs: number) {
    this.#rule = rule
    this.#nowMs = nowMs
  }

  /** A commit that has not ended, or was dropped, is not; nor does it count among the newest. */
  isExpired({ state, endedAtMs, dropped }: Kept): boolean {
    if (this.#rule === 'all' || endedAtMs === null || dropped !== undefined) return false
    const { last, youngerThanMs } = this.#rule
    // Commits without a result keep the company they ended in: bad ones never push good ones out.
    const isNew = last !== null && this.#results < last
    if (state === 'finished') this.#results++
    return !isNew && !(youngerThanMs !== null && this.#nowMs - endedAtMs < youngerThanMs)
  }
}

/** Of the commits of one branch, the newest first, those its rule lets go. */
export function expired<C extends Kept>(
  rule: KeepRule,
  commits: readonly C[],
  nowMs: number,
): readonly C[] {
  const expiry = new Expiry(rule, nowMs)
  return commits.filter((commit) => expiry.isExpired(commit))
}
