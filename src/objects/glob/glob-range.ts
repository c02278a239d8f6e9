// Whether a glob can match between two names, so that the leaves of a large directory in which it cannot
// are not read. Byte order of UTF-8 is the order of code points.

import type { Glob } from './glob.ts'
import type { Progress } from './glob-automaton.ts'
import { SLASH } from './glob-automaton.ts'

const LAST_POINT = 0x10ffff

/** Whether a name above `low` and up to `high`, or a path that goes on from it, can match from here. */
export function mayHold(glob: Glob, from: Progress, low: string, high: string): boolean {
  const above = pointsOf(low)
  const upTo = pointsOf(high)
  let at = from
  let i = 0
  for (; i < above.length && above[i] === upTo[i]; i++) at = stepped(glob, at, above[i] as number)
  if (i === above.length) return mayEndUpTo(glob, at, upTo, i)
  const [first, last] = [above[i] as number, upTo[i] as number]
  return (
    takesOneOf(glob, at, first + 1, last - 1) ||
    mayGoAbove(glob, stepped(glob, at, first), above, i + 1) ||
    mayEndUpTo(glob, stepped(glob, at, last), upTo, i + 1)
  )
}

/** Names that begin as `points` up to `i` and come behind them. */
function mayGoAbove(glob: Glob, from: Progress, points: readonly number[], first: number): boolean {
  let at = from
  for (let i = first; isAlive(at); i++) {
    const point = points[i]
    if (point === undefined || takesOneOf(glob, at, point + 1, LAST_POINT)) return true
    at = stepped(glob, at, point)
  }
  return false
}

/** Names that begin as `points` up to `i` and come before them, or are them. */
function mayEndUpTo(glob: Glob, from: Progress, points: readonly number[], first: number): boolean {
  let at = from
  for (let i = first; isAlive(at); i++) {
    const point = points[i]
    if (point === undefined || at.accepts || isAlive(stepped(glob, at, SLASH))) return true
    if (takesOneOf(glob, at, 0, point - 1)) return true
    at = stepped(glob, at, point)
  }
  return false
}

function takesOneOf(glob: Glob, at: Progress, first: number, last: number): boolean {
  return glob.alphabet
    .firstsFrom(first, last)
    .some((point) => point !== SLASH && isAlive(glob.automaton.step(at, point)))
}

function stepped(glob: Glob, at: Progress, point: number): Progress {
  return glob.automaton.step(at, glob.alphabet.firstLike(point))
}

function isAlive({ threads, accepts }: Progress): boolean {
  return threads.length > 0 || accepts
}

function pointsOf(text: string): number[] {
  return Array.from(text, (c) => c.codePointAt(0) as number)
}
