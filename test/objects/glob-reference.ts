// Globs as slowly as can be, straight from what each piece means: a piece takes the text from one place
// to another, and a pattern matches when its pieces together take all of it. Patterns are made as trees,
// so that nothing here reads one.

import fc from 'fast-check'

export type Piece =
  | { readonly kind: 'char'; readonly text: string }
  | { readonly kind: 'star' | 'deep' | 'any' }
  | { readonly kind: 'set'; readonly text: string; readonly holds: RegExp }
  | { readonly kind: 'either'; readonly arms: readonly Pieces[] }
  | { readonly kind: '' | '@' | '?' | '*' | '+' | '!'; readonly arms: readonly Pieces[] }
export type Pieces = readonly Piece[]

const SETS: Readonly<Record<string, RegExp>> = {
  '[a]': /[a]/,
  '[ab]': /[ab]/,
  '[!a-b]': /[^ab]/,
  '[^c]': /[^c]/,
  '[]a]': /[\]a]/,
  '[c/]': /[c]/,
  '[[:alpha:]]': /[A-Za-z]/,
  '[![:alpha:]]': /[^A-Za-z]/,
  '[[:^alpha:]*]': /[^A-Za-z]/,
}
const CHARS = ['a', 'a', 'b', 'c', '/', '/', '*', '|', ',', '!', '(', ')', '\\', '😀']

const { piece } = fc.letrec<{ piece: Piece; arms: Pieces[] }>((tie) => ({
  piece: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'glob', withCrossShrink: true },
    fc.constantFrom(...CHARS).map((text): Piece => ({ kind: 'char', text })),
    fc.constantFrom<Piece>({ kind: 'star' }, { kind: 'deep' }, { kind: 'any' }),
    fc
      .constantFrom(...Object.entries(SETS))
      .map(([text, holds]): Piece => ({ kind: 'set', text, holds })),
    fc.record({ kind: fc.constant('either' as const), arms: tie('arms') }),
    fc.record({
      kind: fc.constantFrom('', '@', '?', '*', '+', '!', '!' as const),
      arms: tie('arms'),
    }),
  ),
  arms: fc.array(fc.array(tie('piece'), { maxLength: 3, depthIdentifier: 'glob' }), {
    minLength: 1,
    maxLength: 3,
    depthIdentifier: 'glob',
  }),
}))

export const somePieces: fc.Arbitrary<Pieces> = fc.array(piece, { minLength: 1, maxLength: 6 })

const part = fc
  .string({
    unit: fc.constantFrom('a', 'a', 'b', 'b', 'c', '*', '|', '!', '😀'),
    minLength: 1,
    maxLength: 4,
  })
  .filter((text) => text !== '.' && text !== '..')
export const somePath: fc.Arbitrary<string> = fc
  .array(part, { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join('/'))

/** "{}" is nothing: it keeps "*" and a following "(" or "*" apart. */
export function print(pieces: Pieces): string {
  let text = ''
  for (const one of pieces) {
    const next = printPiece(one)
    text += /[*?@+!]$/.test(text) && /^[*(]/.test(next) ? `{}${next}` : next
  }
  return text
}

function printPiece(one: Piece): string {
  switch (one.kind) {
    case 'char':
      return '*|,()\\!'.includes(one.text) ? `\\${one.text}` : one.text
    case 'star':
      return '*'
    case 'deep':
      return '**'
    case 'any':
      return '?'
    case 'set':
      return one.text
    case 'either':
      return `{${one.arms.map(print).join(',')}}`
    default:
      return `${one.kind}(${one.arms.map(print).join('|')})`
  }
}

/** Where the pieces may stop that began at `from`. */
function ends(pieces: Pieces, text: readonly string[], from: number): Set<number> {
  let places = new Set([from])
  for (const one of pieces)
    places = new Set([...places].flatMap((place) => [...endsOf(one, text, place)]))
  return places
}

function anyOf(arms: readonly Pieces[], text: readonly string[], from: number): Set<number> {
  return new Set(arms.flatMap((arm) => [...ends(arm, text, from)]))
}

/** Every place from here to the end, or to the next "/". */
function reach(text: readonly string[], from: number, deep: boolean): number[] {
  const places = [from]
  for (let i = from; i < text.length && (deep || text[i] !== '/'); i++) places.push(i + 1)
  return places
}

function endsOf(one: Piece, text: readonly string[], from: number): Set<number> {
  const c = text[from]
  const onward = (takes: boolean): Set<number> => new Set(takes ? [from + 1] : [])
  switch (one.kind) {
    case 'char':
      return onward(c === one.text)
    case 'any':
      return onward(c !== undefined && c !== '/')
    case 'set':
      return onward(c !== undefined && c !== '/' && one.holds.test(c))
    case 'star':
    case 'deep':
      return new Set(reach(text, from, one.kind === 'deep'))
    case 'either':
    case '':
    case '@':
      return anyOf(one.arms, text, from)
    case '?':
      return new Set([from, ...anyOf(one.arms, text, from)])
    case '!': {
      const taken = anyOf(one.arms, text, from)
      return new Set(reach(text, from, false).filter((place) => !taken.has(place)))
    }
    default: {
      const found = one.kind === '*' ? new Set([from]) : anyOf(one.arms, text, from)
      // A set grows while it is gone through.
      for (const place of found) for (const end of anyOf(one.arms, text, place)) found.add(end)
      return found
    }
  }
}

const slash: Piece = { kind: 'char', text: '/' }

/** A path as the dialect sees it: "/" in front; slashes at a pattern's ends do not count. */
export function saysReference(pieces: Pieces, path: string): boolean {
  const isSlash = (one: Piece): boolean => one.kind === 'char' && one.text === '/'
  const inner = pieces.slice(pieces.findIndex((one) => !isSlash(one)))
  const last = inner.findLastIndex((one) => !isSlash(one))
  const text = [...`/${path}`]
  return ends([slash, ...inner.slice(0, last + 1)], text, 0).has(text.length)
}
