// Globs in Pachyderm's dialect, matched in linear time.
//
//   *  ?  [a-z] [!a] [^a] [[:alpha:]]   stop at "/"        **   any characters, "/" too
//   {a,b}   either, nested at will      \x   the character x
// A path is matched as "/" + path; a pattern without a leading slash gets one, a trailing one is
// ignored; "/" alone is the whole repo. A leading dot is an ordinary character.
//
// A pattern becomes a nondeterministic automaton over code points, run as a set of states; sets met
// are kept as the states of a deterministic one. There is no backtracking: work is at most states ×
// characters, and a pattern whose automaton grows past its budget is refused. Captures can be added
// as marks on the transitions of the same automaton.

import { VarveError } from '../base/errors.ts'

const MAX_PATTERN = 1024
/** Sets of states kept; past it they are forgotten and met again. */
const MAX_KNOWN_SETS = 4096
/** States stepped through while the automaton of one pattern is unfolded. */
const STEP_BUDGET = 20_000_000
const MAX_DEPTH = 64

/** Says whether a code point passes; `only` if it is exactly one. */
interface Test {
  readonly only: number | undefined
  passes(point: number): boolean
}

/** A state steps over a character that passes, or goes on to others without one. */
interface Step {
  readonly test: Test | undefined
  readonly next: number[]
}

/** The states a pattern may be in after some characters. */
export interface Progress {
  readonly states: readonly number[]
  readonly accepts: boolean
  readonly after: Map<number, Progress>
}

export class Glob {
  readonly pattern: string
  /** "/": the whole repo as one entry. */
  readonly whole: boolean
  readonly #steps: readonly Step[]
  readonly #known = new Map<string, Progress>()
  readonly #end: number
  #spent = 0

  constructor(pattern: string, whole: boolean, steps: readonly Step[], end: number) {
    this.pattern = pattern
    this.whole = whole
    this.#steps = steps
    this.#end = end
  }

  start(): Progress {
    return this.#progress([0])
  }

  /** After more of the path; undefined: no path that goes on like this can match. */
  advance(from: Progress, text: string): Progress | undefined {
    let at: Progress = from
    for (let i = 0; i < text.length; i++) {
      const point = text.codePointAt(i) as number
      if (point > 0xffff) i++
      at = at.after.get(point) ?? this.#step(at, point)
      if (at.states.length === 0) return undefined
    }
    return at
  }

  matches(path: string): boolean {
    if (this.whole || path === '') return this.whole && path === ''
    return this.advance(this.start(), `/${path}`)?.accepts ?? false
  }

  /** The one name a child must have to go on from here; undefined: there is a choice. */
  literal(from: Progress): string | undefined {
    let name = ''
    for (let at = from; ;) {
      const points = new Set<number>()
      for (const state of at.states) {
        const test = this.#steps[state]?.test
        if (!test) continue
        if (test.only === undefined) return undefined
        points.add(test.only)
      }
      const [point] = points
      if (at.accepts) return points.size === 0 || point === 0x2f ? name : undefined
      if (point === undefined || points.size > 1) return undefined
      if (point === 0x2f) return name
      name += String.fromCodePoint(point)
      at = at.after.get(point) ?? this.#step(at, point)
    }
  }

  #step(from: Progress, point: number): Progress {
    const next: number[] = []
    for (const state of from.states) {
      const step = this.#steps[state]
      if (step?.test?.passes(point)) next.push(...step.next)
    }
    const to = this.#progress(next)
    from.after.set(point, to)
    return to
  }

  /** The set of all states reached from these without a character. */
  #progress(from: readonly number[]): Progress {
    const reached = new Set<number>()
    const open = [...from]
    for (let state = open.pop(); state !== undefined; state = open.pop()) {
      if (reached.has(state)) continue
      reached.add(state)
      const step = this.#steps[state]
      if (step && !step.test) open.push(...step.next)
    }
    this.#spent += reached.size + from.length
    if (this.#spent > STEP_BUDGET) throw refuse(this.pattern, 'it is too complicated to match')
    const states = [...reached].sort((a, b) => a - b)
    const key = states.join()
    const known = this.#known.get(key)
    if (known) return known
    if (this.#known.size >= MAX_KNOWN_SETS) this.#forget()
    const progress = { states, accepts: reached.has(this.#end), after: new Map() }
    this.#known.set(key, progress)
    return progress
  }

  #forget(): void {
    for (const progress of this.#known.values()) progress.after.clear()
    this.#known.clear()
  }
}

/** @throws VarveError INVALID_PATH naming what cannot be read */
export function parseGlob(pattern: string): Glob {
  if (pattern.length > MAX_PATTERN) throw refuse(pattern, `it is over ${MAX_PATTERN} characters`)
  if (!pattern.isWellFormed()) throw refuse(pattern, 'it is not valid Unicode')
  const text = `/${pattern.replace(/^\//, '')}`.replace(/(?<!\\)\/$/, '')
  const parser = new Parser(pattern, text)
  const end = parser.run()
  return new Glob(pattern, text === '', parser.steps, end)
}

function refuse(pattern: string, why: string): VarveError {
  return new VarveError('INVALID_PATH', `cannot use ${JSON.stringify(pattern)} as a glob: ${why}`)
}

const SLASH = 0x2f
const anything: Test = { only: undefined, passes: () => true }
const inPart: Test = { only: undefined, passes: (point) => point !== SLASH }

function exactly(point: number): Test {
  return { only: point, passes: (other) => other === point }
}

// As in the C locale: characters past ASCII are of no class. Pairs of first and last character.
const CLASSES: Readonly<Record<string, readonly string[]>> = {
  alnum: ['09', 'AZ', 'az'],
  alpha: ['AZ', 'az'],
  ascii: ['\0\x7f'],
  blank: ['\t\t', '  '],
  cntrl: ['\0\x1f', '\x7f\x7f'],
  digit: ['09'],
  graph: ['!~'],
  lower: ['az'],
  print: [' ~'],
  punct: ['!/', ':@', '[`', '{~'],
  space: ['\t\r', '  '],
  upper: ['AZ'],
  word: ['09', 'AZ', '__', 'az'],
  xdigit: ['09', 'AF', 'af'],
}

/** Builds states as it reads: every piece leads from one state to one state. */
class Parser {
  readonly steps: Step[] = []
  readonly #pattern: string
  readonly #points: readonly string[]
  #at = 0

  constructor(pattern: string, text: string) {
    this.#pattern = pattern
    this.#points = [...text]
  }

  /** The accepting state. */
  run(): number {
    const start = this.#state(undefined)
    const end = this.#sequence(start, 0)
    if (this.#at < this.#points.length)
      throw this.#refuse(`"${this.#points[this.#at]}" is unpaired`)
    return end
  }

  #state(test: Test | undefined): number {
    return this.steps.push({ test, next: [] }) - 1
  }

  #link(from: number, to: number): void {
    this.steps[from]?.next.push(to)
  }

  /** A state that takes one character and the state after it. */
  #take(from: number, test: Test): number {
    const taker = this.#state(test)
    const after = this.#state(undefined)
    this.#link(from, taker)
    this.#link(taker, after)
    return after
  }

  /** Any number of characters. */
  #repeat(from: number, test: Test): number {
    const loop = this.#state(undefined)
    const taker = this.#state(test)
    this.#link(from, loop)
    this.#link(loop, taker)
    this.#link(taker, loop)
    return loop
  }

  /** Reads up to the end, or inside braces up to "," or "}". */
  #sequence(from: number, depth: number): number {
    let state = from
    for (;;) {
      const c = this.#points[this.#at]
      if (c === undefined) return state
      if (depth > 0 && (c === ',' || c === '}')) return state
      this.#at++
      state = this.#piece(state, c, depth)
    }
  }

  #piece(from: number, c: string, depth: number): number {
    const next = this.#points[this.#at]
    if (next === '(' && '@*+?!'.includes(c))
      throw this.#refuse(`"${c}( )" is not supported yet; write "\\(" for a parenthesis`)
    switch (c) {
      case '(':
      case ')':
        throw this.#refuse(`"( )" is not supported yet; write "\\${c}" for a parenthesis`)
      case '*':
        if (next !== '*') return this.#repeat(from, inPart)
        while (this.#points[this.#at] === '*') this.#at++
        if (this.#points[this.#at] === '(')
          throw this.#refuse('"*( )" is not supported yet; write "\\(" for a parenthesis')
        return this.#repeat(from, anything)
      case '?':
        return this.#take(from, inPart)
      case '[':
        return this.#take(from, this.#set())
      case '{':
        return this.#braces(from, depth + 1)
      case '}':
        throw this.#refuse('"}" is unpaired')
      case '\\':
        if (next === undefined) throw this.#refuse('it ends with "\\"')
        this.#at++
        return this.#take(from, exactly(next.codePointAt(0) as number))
      default:
        return this.#take(from, exactly(c.codePointAt(0) as number))
    }
  }

  #braces(from: number, depth: number): number {
    if (depth > MAX_DEPTH) throw this.#refuse('it is nested too deeply')
    const after = this.#state(undefined)
    for (;;) {
      const start = this.#state(undefined)
      this.#link(from, start)
      this.#link(this.#sequence(start, depth), after)
      const c = this.#points[this.#at++]
      if (c === '}') return after
      if (c === undefined) throw this.#refuse('"{" is unpaired')
    }
  }

  #set(): Test {
    const negated = this.#points[this.#at] === '!' || this.#points[this.#at] === '^'
    if (negated) this.#at++
    const ranges: [number, number][] = []
    for (let first = true; ; first = false) {
      const c = this.#points[this.#at]
      if (c === undefined) throw this.#refuse('"[" is unpaired')
      if (c === ']' && !first) break
      if (c === '[' && this.#points[this.#at + 1] === ':') {
        ranges.push(...this.#class())
        continue
      }
      const low = this.#setPoint()
      let high = low
      const after = this.#points[this.#at + 1]
      if (this.#points[this.#at] === '-' && after !== undefined && after !== ']') {
        this.#at++
        high = this.#setPoint()
        if (high < low) throw this.#refuse('a range in "[ ]" runs backwards')
      }
      ranges.push([low, high])
    }
    this.#at++
    const holds = (point: number): boolean =>
      ranges.some(([low, high]) => low <= point && point <= high)
    return { only: undefined, passes: (point) => point !== SLASH && holds(point) !== negated }
  }

  #setPoint(): number {
    let c = this.#points[this.#at++]
    if (c === '\\') c = this.#points[this.#at++]
    if (c === undefined) throw this.#refuse('"[" is unpaired')
    return c.codePointAt(0) as number
  }

  #class(): [number, number][] {
    const from = this.#at + 2
    const to = this.#points.indexOf(':', from)
    const name = to < 0 ? '' : this.#points.slice(from, to).join('')
    const found = Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined
    if (!found || this.#points[to + 1] !== ']') throw this.#refuse(`"[:${name}:]" is no class`)
    this.#at = to + 2
    return found.map((pair) => [pair.charCodeAt(0), pair.charCodeAt(1)])
  }

  #refuse(why: string): VarveError {
    return refuse(this.#pattern, why)
  }
}
