// Which characters a piece of a glob takes, and which of them no piece tells apart.

import type { Test } from './glob-automaton.ts'
import { SLASH } from './glob-automaton.ts'

/** First and last code point. */
export type Range = readonly [number, number]

export const anything: Test = { only: undefined, passes: () => true }
export const inPart: Test = { only: undefined, passes: (point) => point !== SLASH }

export function exactly(point: number): Test {
  return { only: point, passes: (other) => other === point }
}

/** One of "[ ]": never "/". */
export function among(ranges: readonly Range[], negated: boolean): Test {
  const holds = (point: number): boolean =>
    ranges.some(([low, high]) => low <= point && point <= high)
  return { only: undefined, passes: (point) => point !== SLASH && holds(point) !== negated }
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

/** In order, of "alpha" or "^alpha"; undefined: there is no such class. */
export function classRanges(name: string): readonly Range[] | undefined {
  const plain = name.replace('^', '')
  const pairs = Object.hasOwn(CLASSES, plain) ? CLASSES[plain] : undefined
  const ranges = pairs?.map((pair): Range => [pair.charCodeAt(0), pair.charCodeAt(1)])
  if (plain === name || !ranges) return ranges
  if (name !== `^${plain}`) return undefined
  const others: Range[] = []
  let low = 0
  for (const [first, last] of ranges) {
    if (first > low) others.push([low, first - 1])
    low = last + 1
  }
  return [...others, [low, 0x10ffff]]
}

/** All characters between two that some piece names are one to the automaton. */
export class Alphabet {
  readonly #starts: readonly number[]
  readonly #ascii: readonly number[]

  constructor(ranges: readonly Range[]) {
    const starts = ranges.flatMap(([low, high]) => [low, high + 1])
    this.#starts = [...new Set([0, SLASH, SLASH + 1, ...starts])].toSorted((a, b) => a - b)
    this.#ascii = Array.from({ length: 128 }, (_, point) => this.#search(point))
  }

  /** The first of those that are taken where this one is. */
  firstLike(point: number): number {
    return this.#ascii[point] ?? this.#search(point)
  }

  /** Of all characters from `first` to `last`, one of each that are told apart. */
  firstsFrom(first: number, last: number): number[] {
    if (last < first) return []
    return [
      this.firstLike(first),
      ...this.#starts.filter((start) => start > first && start <= last),
    ]
  }

  #search(point: number): number {
    let low = 0
    let high = this.#starts.length
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if ((this.#starts[middle] as number) <= point) low = middle
      else high = middle
    }
    return this.#starts[low] as number
  }
}
