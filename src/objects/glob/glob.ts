// Globs in Pachyderm's dialect, matched in linear time.
//
//   *  ?  [a-z] [!a] [^a] [[:alpha:]]   stop at "/"         **   any characters, "/" too
//   {a,b}   either, nested at will                          \x   the character x
//   (a|b) @(a|b)   one of them      ?( ) none or one      *( ) any number      +( ) one or more
//   !(a|b)         what is neither, up to the next "/"
// All in "( )" are captured, numbered by their opening. A path is matched as "/" + path; slashes at
// the beginning and the end of a pattern do not count; "/" alone is the whole repo. A leading dot is
// an ordinary character. glob-parser.ts reads patterns, glob-automaton.ts runs them.

import type { Automaton, Progress } from './glob-automaton.ts'
import { SLASH } from './glob-automaton.ts'
import type { Alphabet } from './glob-class.ts'
import { parsePattern } from './glob-parser.ts'
import type { Parsed } from './glob-parser.ts'

/** @throws VarveError INVALID_PATH naming what cannot be read; so do the methods when it costs too much */
export function parseGlob(pattern: string): Glob {
  return new Glob(parsePattern(pattern))
}

export class Glob {
  /** "/": the whole repo as one entry. */
  readonly whole: boolean
  readonly automaton: Automaton
  readonly alphabet: Alphabet
  /** How many "( )" capture. */
  readonly groups: number

  constructor({ whole, automaton, alphabet, groups }: Parsed) {
    this.whole = whole
    this.automaton = automaton
    this.alphabet = alphabet
    this.groups = groups
  }

  matches(path: string): boolean {
    if (this.whole || path === '') return this.whole && path === ''
    return this.advance(this.start(), `/${path}`)?.accepts ?? false
  }

  start(): Progress {
    return this.automaton.start
  }

  /** After more of the path; undefined: no path that goes on like this can match. */
  advance(from: Progress, text: string): Progress | undefined {
    let at = from
    for (let i = 0; i < text.length; i++) {
      const point = text.codePointAt(i) as number
      if (point > 0xffff) i++
      at = this.automaton.step(at, this.alphabet.firstLike(point))
      if (at.threads.length === 0 && !at.accepts) return undefined
    }
    return at
  }

  /** Into the directory that is named so far; undefined: nothing below can match. */
  enter(from: Progress): Progress | undefined {
    const inside = this.automaton.step(from, SLASH)
    return inside.threads.length === 0 ? undefined : inside
  }

  /** The one name a child must have to go on from here; undefined: there is a choice. */
  literal(from: Progress): string | undefined {
    let name = ''
    for (let at = from; ;) {
      const point = this.#onlyPoint(at)
      const ends = at.accepts && at.threads.length === 0
      if (ends || point === SLASH) return name
      if (at.accepts || point === undefined) return undefined
      name += String.fromCodePoint(point)
      at = this.automaton.step(at, point)
    }
  }

  #onlyPoint({ threads }: Progress): number | undefined {
    const points = new Set<number | undefined>()
    for (const { state } of threads) {
      const at = this.automaton.states[state]
      points.add(at?.kind === 'take' ? at.test.only : undefined)
    }
    return points.size === 1 ? [...points][0] : undefined
  }
}
