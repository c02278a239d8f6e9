// A glob as a nondeterministic automaton over code points, run as the set of states it may be in.
//
// - Sets met are kept: each is worked out once for a set before and a character, so that many paths
//   cost little more than looking up. What is worked out is paid from a budget.
// - There is no backtracking. `!( )` is an automaton of its own: a thread inside it carries the set that
//   automaton is in, may leave where it does not accept, and dies at "/".
// - Links are in order of preference; only glob-captures.ts looks at that, and at marks.

import { must } from '../../base/assert.ts'
import type { StepBudget } from './glob-budget.ts'

export const SLASH = 0x2f
/** Sets kept; past it they are forgotten and met again. */
const MAX_KNOWN_SETS = 4096

/** Says whether a code point passes; `only` if it is exactly one. */
export interface Test {
  readonly only: number | undefined
  passes(point: number): boolean
}

export type State =
  | { readonly kind: 'take'; readonly test: Test; readonly next: number }
  | { readonly kind: 'joint'; readonly next: number[] }
  /** Even slots begin a capture, odd ones end it. */
  | { readonly kind: 'mark'; readonly slot: number; readonly next: number }
  | { readonly kind: 'except'; readonly inside: Automaton; readonly next: number }
  | { readonly kind: 'end' }

/** A state that waits for a character; in `!( )` also how far that has come. */
export interface Thread {
  readonly state: number
  readonly inside: Progress | undefined
}

/** All threads after some characters. */
export interface Progress {
  readonly id: number
  readonly threads: readonly Thread[]
  readonly accepts: boolean
  readonly after: Map<number, Progress>
}

export class Automaton {
  readonly states: readonly State[]
  readonly #budget: StepBudget
  readonly #known = new Map<string, Progress>()
  #start: Progress | undefined
  #nextId = 0

  /** It starts in state 0. */
  constructor(states: readonly State[], budget: StepBudget) {
    this.states = states
    this.#budget = budget
  }

  get start(): Progress {
    this.#start ??= this.#reach([{ state: 0, inside: undefined }])
    return this.#start
  }

  step(from: Progress, point: number): Progress {
    const known = from.after.get(point)
    if (known) return known
    const open: Thread[] = []
    for (const thread of from.threads) {
      const next = this.stepThread(thread, point)
      if (next) open.push(next)
    }
    const to = this.#reach(open)
    from.after.set(point, to)
    return to
  }

  /** Undefined: it ends here. */
  stepThread({ state, inside }: Thread, point: number): Thread | undefined {
    const at = must(this.states[state], 'state')
    if (at.kind === 'take')
      return at.test.passes(point) ? { state: at.next, inside: undefined } : undefined
    if (at.kind !== 'except' || point === SLASH) return undefined
    return { state, inside: at.inside.step(must(inside, 'inside'), point) }
  }

  /** What is reached from these without a character. */
  #reach(open: Thread[]): Progress {
    const seen = new Set<number | string>()
    const threads: Thread[] = []
    const keys: (number | string)[] = []
    let accepts = false
    this.#budget.spend(open.length + 1)
    for (let thread = open.pop(); thread; thread = open.pop()) {
      const { state } = thread
      const at = must(this.states[state], 'state')
      const inside = at.kind === 'except' ? (thread.inside ?? at.inside.start) : undefined
      const key = inside ? `${state}.${inside.id}` : state
      if (seen.has(key)) continue
      seen.add(key)
      this.#budget.spend(1)
      if (at.kind === 'take' || at.kind === 'except') {
        threads.push({ state, inside })
        keys.push(key)
      }
      if (at.kind === 'end') accepts = true
      else if (at.kind === 'joint')
        for (const next of at.next) open.push({ state: next, inside: undefined })
      else if (at.kind === 'mark' || (inside && !inside.accepts))
        open.push({ state: at.next, inside: undefined })
    }
    const name = `${keys.toSorted().join()}${accepts ? '!' : ''}`
    const known = this.#known.get(name)
    if (known) return known
    if (this.#known.size >= MAX_KNOWN_SETS) this.#forget()
    const progress = { id: this.#nextId++, threads, accepts, after: new Map<number, Progress>() }
    this.#known.set(name, progress)
    return progress
  }

  #forget(): void {
    for (const progress of this.#known.values()) progress.after.clear()
    this.#known.clear()
  }
}
