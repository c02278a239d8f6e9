// What "( )" took, as "$1", "$2" … : all threads run side by side, the preferred ones first. Each piece
// takes as much as it can, from left to right; the first alternative that lets the whole path match wins.

import { must } from '../../base/assert.ts'
import type { Glob } from './glob.ts'
import type { Automaton, Thread } from './glob-automaton.ts'

/** Newest first: the last time a capture was passed counts. */
interface Marks {
  readonly slot: number
  readonly at: number
  readonly before: Marks | undefined
}

interface Runner extends Thread {
  readonly marks: Marks | undefined
}

/**
 * One text a "( )", in the order of their openings; '' where one took no part, or stands in "!( )".
 * Undefined: the path does not match.
 */
export function captures(glob: Glob, path: string): string[] | undefined {
  if (!glob.matches(path)) return undefined
  if (glob.groups === 0) return []
  const { automaton, alphabet } = glob
  const text = `/${path}`
  let runners = reach(automaton, [{ state: 0, inside: undefined, marks: undefined }], 0)
  for (let i = 0; i < text.length;) {
    const point = text.codePointAt(i) as number
    i += point > 0xffff ? 2 : 1
    const open: Runner[] = []
    for (const runner of runners) {
      const next = automaton.stepThread(runner, alphabet.firstLike(point))
      if (next) open.push({ ...next, marks: runner.marks })
    }
    runners = reach(automaton, open, i)
  }
  const first = runners.find(({ state }) => automaton.states[state]?.kind === 'end')
  return read(must(first, 'runner').marks, glob.groups, text)
}

/** What is reached without a character, in order of preference; what comes second to a place is dropped. */
function reach(automaton: Automaton, from: readonly Runner[], at: number): Runner[] {
  const reached: Runner[] = []
  const seen = new Set<number | string>()
  const open = from.toReversed()
  for (let runner = open.pop(); runner; runner = open.pop()) {
    const { state, marks } = runner
    const now = must(automaton.states[state], 'state')
    const inside = now.kind === 'except' ? (runner.inside ?? now.inside.start) : undefined
    const key = inside ? `${state}.${inside.id}` : state
    if (seen.has(key)) continue
    seen.add(key)
    if (now.kind === 'joint') {
      for (const next of now.next.toReversed()) open.push({ state: next, inside: undefined, marks })
    } else if (now.kind === 'mark') {
      const marked = { slot: now.slot, at, before: marks }
      open.push({ state: now.next, inside: undefined, marks: marked })
    } else {
      reached.push({ state, inside, marks })
      if (now.kind === 'except' && inside && !inside.accepts)
        open.push({ state: now.next, inside: undefined, marks })
    }
  }
  return reached
}

function read(marks: Marks | undefined, groups: number, text: string): string[] {
  const places = new Map<number, number>()
  for (let mark = marks; mark; mark = mark.before)
    if (!places.has(mark.slot)) places.set(mark.slot, mark.at)
  return Array.from({ length: groups }, (_, group) =>
    text.slice(places.get(2 * group) ?? 0, places.get(2 * group + 1) ?? 0),
  )
}
