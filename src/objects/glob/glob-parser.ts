// A pattern as text becomes an automaton: every piece leads from one joint to one joint.

import { assert, must } from '../../base/assert.ts'
import type { State, Test } from './glob-automaton.ts'
import { Automaton } from './glob-automaton.ts'
import { refuseGlob, StepBudget } from './glob-budget.ts'
import type { Range } from './glob-class.ts'
import { Alphabet, among, anything, classRanges, exactly, inPart } from './glob-class.ts'

const MAX_PATTERN = 1024
const MAX_DEPTH = 64
const QUANTIFIERS = '@*+?!'

/** What ends the innermost group, and what parts its alternatives. */
interface Group {
  readonly open: string
  readonly close: string
  readonly bar: string
}
const BRACES: Group = { open: '{', close: '}', bar: ',' }
const PARENTHESES: Group = { open: '(', close: ')', bar: '|' }

export interface Parsed {
  /** Nothing but slashes. */
  readonly whole: boolean
  readonly automaton: Automaton
  readonly alphabet: Alphabet
  /** How many "( )" capture. */
  readonly groups: number
}

/** @throws VarveError INVALID_PATH naming what cannot be read */
export function parsePattern(pattern: string): Parsed {
  if (pattern.length > MAX_PATTERN)
    throw refuseGlob(pattern, `it is over ${MAX_PATTERN} characters`)
  if (!pattern.isWellFormed()) throw refuseGlob(pattern, 'it is not valid Unicode')
  return new Parser(pattern, `/${pattern.replace(/^\/+/, '')}`).run()
}

class Parser {
  readonly #pattern: string
  readonly #points: readonly string[]
  readonly #budget: StepBudget
  #at = 0
  #states: State[] = []
  #groups = 0
  readonly #ranges: Range[] = []
  #depth = 0
  /** Inside "!( )", of which nothing is captured. */
  #excepts = 0

  constructor(pattern: string, text: string) {
    this.#pattern = pattern
    this.#points = [...text]
    this.#budget = new StepBudget(pattern)
  }

  run(): Parsed {
    const end = this.#sequence(this.#joint(), undefined)
    this.#link(end, this.#add({ kind: 'end' }))
    const automaton = new Automaton(this.#states, this.#budget)
    const alphabet = new Alphabet(this.#ranges)
    return { whole: this.#points.length === 1, automaton, alphabet, groups: this.#groups }
  }

  #add(state: State): number {
    return this.#states.push(state) - 1
  }

  #joint(): number {
    return this.#add({ kind: 'joint', next: [] })
  }

  #link(from: number, to: number): void {
    const joint = must(this.#states[from], 'joint')
    assert(joint.kind === 'joint', 'links begin at joints')
    joint.next.push(to)
  }

  /** One character. */
  #take(from: number, test: Test): number {
    const after = this.#joint()
    this.#link(from, this.#add({ kind: 'take', test, next: after }))
    return after
  }

  #literal(from: number, c: string): number {
    const point = c.codePointAt(0) as number
    this.#ranges.push([point, point])
    return this.#take(from, exactly(point))
  }

  /** Any number of characters. */
  #repeat(from: number, test: Test): number {
    const loop = this.#joint()
    this.#link(from, loop)
    this.#link(loop, this.#add({ kind: 'take', test, next: loop }))
    return loop
  }

  #mark(from: number, slot: number): number {
    if (this.#excepts > 0) return from
    const after = this.#joint()
    this.#link(from, this.#add({ kind: 'mark', slot, next: after }))
    return after
  }

  /** Reads up to the end, or to what ends this alternative of the group. */
  #sequence(from: number, group: Group | undefined): number {
    let state = from
    for (;;) {
      const c = this.#points[this.#at]
      if (c === undefined || c === group?.bar || c === group?.close) return state
      if (!group && this.#atTrailingSlash()) {
        this.#at = this.#points.length
        return state
      }
      this.#at++
      state = this.#piece(state, c)
    }
  }

  #atTrailingSlash(): boolean {
    for (let i = this.#at; i < this.#points.length; i++) if (this.#points[i] !== '/') return false
    return true
  }

  #piece(from: number, c: string): number {
    const next = this.#points[this.#at]
    if (next === '(' && QUANTIFIERS.includes(c)) {
      this.#at++
      return this.#capture(from, c)
    }
    switch (c) {
      case '(':
        return this.#capture(from, '@')
      case '{':
        return this.#nested(BRACES, (alternatives) => {
          const after = this.#joint()
          alternatives(from, after)
          return after
        })
      case ')':
      case '}':
        throw this.#refuse(`"${c}" is unpaired; write "\\${c}" for the character`)
      case '*':
        if (next !== '*') return this.#repeat(from, inPart)
        this.#at++
        return this.#repeat(from, anything)
      case '?':
        return this.#take(from, inPart)
      case '[':
        return this.#take(from, this.#set())
      case '\\':
        if (next === undefined) throw this.#refuse('it ends with "\\"')
        this.#at++
        return this.#literal(from, next)
      default:
        return this.#literal(from, c)
    }
  }

  /** "( )" and its kin, read from behind the parenthesis. */
  #capture(from: number, quantifier: string): number {
    const slot = 2 * this.#groups++
    return this.#nested(PARENTHESES, (alternatives) => {
      const begin = this.#mark(from, slot)
      const end =
        quantifier === '!'
          ? this.#except(begin, alternatives)
          : this.#quantified(begin, quantifier, alternatives)
      return this.#mark(end, slot + 1)
    })
  }

  #quantified(
    from: number,
    quantifier: string,
    alternatives: (from: number, to: number) => void,
  ): number {
    const before = this.#joint()
    this.#link(from, before)
    const repeats = quantifier === '*' || quantifier === '+'
    const after = quantifier === '*' ? before : this.#joint()
    alternatives(before, after)
    if (quantifier === '+') this.#link(after, before)
    if (quantifier === '?') this.#link(before, after)
    if (!repeats) return after
    const out = this.#joint()
    this.#link(after, out)
    return out
  }

  #except(from: number, alternatives: (from: number, to: number) => void): number {
    const outer = this.#states
    this.#states = []
    this.#excepts++
    const start = this.#joint()
    const end = this.#joint()
    alternatives(start, end)
    this.#link(end, this.#add({ kind: 'end' }))
    this.#excepts--
    const inside = new Automaton(this.#states, this.#budget)
    this.#states = outer
    const after = this.#joint()
    this.#link(from, this.#add({ kind: 'except', inside, next: after }))
    return after
  }

  /** `build` is given what reads the alternatives of a group and its end, each from a joint to a joint. */
  #nested(
    group: Group,
    build: (alternatives: (from: number, to: number) => void) => number,
  ): number {
    if (++this.#depth > MAX_DEPTH) throw this.#refuse('it is nested too deeply')
    const end = build((from, to) => {
      for (;;) {
        const start = this.#joint()
        this.#link(from, start)
        this.#link(this.#sequence(start, group), to)
        const c = this.#points[this.#at++]
        if (c === group.close) return
        if (c === undefined)
          throw this.#refuse(
            `"${group.open}" is unpaired; write "\\${group.open}" for the character`,
          )
      }
    })
    this.#depth--
    return end
  }

  #set(): Test {
    const negated = this.#points[this.#at] === '!' || this.#points[this.#at] === '^'
    if (negated) this.#at++
    const ranges: Range[] = []
    for (let first = true; ; first = false) {
      const c = this.#points[this.#at]
      if (c === undefined) throw this.#refuse('"[" is unpaired; write "\\[" for the character')
      if (c === ']' && !first) break
      if (c === '[' && this.#points[this.#at + 1] === ':') ranges.push(...this.#class())
      else ranges.push(this.#range())
    }
    this.#at++
    this.#ranges.push(...ranges)
    return among(ranges, negated)
  }

  #range(): Range {
    const low = this.#setPoint()
    const after = this.#points[this.#at + 1]
    if (this.#points[this.#at] !== '-' || after === undefined || after === ']') return [low, low]
    this.#at++
    const high = this.#setPoint()
    if (high < low) throw this.#refuse('a range in "[ ]" runs backwards')
    return [low, high]
  }

  #setPoint(): number {
    let c = this.#points[this.#at++]
    if (c === '\\') c = this.#points[this.#at++]
    if (c === undefined) throw this.#refuse('"[" is unpaired; write "\\[" for the character')
    return c.codePointAt(0) as number
  }

  #class(): readonly Range[] {
    const from = this.#at + 2
    const to = this.#points.indexOf(':', from)
    const name = to < 0 ? '' : this.#points.slice(from, to).join('')
    const ranges = classRanges(name)
    if (!ranges || this.#points[to + 1] !== ']') throw this.#refuse(`"[:${name}:]" is no class`)
    this.#at = to + 2
    return ranges
  }

  #refuse(why: string): Error {
    return refuseGlob(this.#pattern, why)
  }
}
