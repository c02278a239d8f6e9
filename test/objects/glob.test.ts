import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareUtf8 } from '../../src/base/bytes.ts'
import { isVarveError } from '../../src/base/errors.ts'
import { seededRandom } from '../../src/base/random.ts'
import { captures } from '../../src/objects/glob/glob-captures.ts'
import { mayHold } from '../../src/objects/glob/glob-range.ts'
import { parseGlob } from '../../src/objects/glob/glob.ts'
import { print, saysReference, somePath, somePieces } from './glob-reference.ts'

test.each([
  ['/', [''], ['a']],
  ['', [''], ['a']],
  ['//', [''], ['a']],
  ['/*', ['a', '.hidden'], ['', 'a/b']],
  ['*/', ['a'], ['', 'a/b']],
  ['a//', ['a'], ['a/b']],
  ['a\\\\/', ['a\\'], ['a']],
  ['**', ['a', 'a/b/c'], ['']],
  ['***a', ['a', 'x/a'], ['ab']],
  ['/a/**', ['a/b', 'a/b/c'], ['a', 'ab']],
  ['/**/c', ['a/c', 'a/b/c'], ['c', 'a/bc']],
  ['/**.csv', ['x.csv', 'a/b/x.csv'], ['x.csv/y']],
  ['/a?c', ['abc', 'a😀c'], ['ac', 'a/c', 'abbc']],
  ['/[a-c]x', ['ax', 'cx'], ['dx', 'x', '[a-c]x']],
  ['/[!a-c]x', ['dx'], ['ax', '/x']],
  ['/[^a]', ['b'], ['a']],
  ['/[]a]', [']', 'a'], ['b']],
  ['/[a-]', ['-', 'a'], ['b']],
  ['/[[:digit:][:upper:]_]', ['7', 'Q', '_'], ['q']],
  ['/[[:^space:]]', ['a', 'é'], [' ']],
  ['/{a,b/{c,d}*}/e', ['a/e', 'b/c/e', 'b/dd/e'], ['b/e', 'a/c/e']],
  ['/{,x}y', ['y', 'xy'], ['x']],
  ['/\\*\\{\\(', ['*{('], ['a{(']],
  ['/a,b|c!d@e+f', ['a,b|c!d@e+f'], ['a']],
  ['/20[0-9][0-9]-*/data.{json,csv}', ['2026-11/data.csv'], ['2026/data.csv', '2026-1/x/data.csv']],
  ['/a*b*c', ['abc', 'aXbbYc'], ['ab', 'a/b/c']],
  ['/(a|b)c', ['ac', 'bc'], ['abc', 'c']],
  ['/@(a|b/c)', ['a', 'b/c'], ['b', 'aa']],
  ['/x?(a|b)', ['x', 'xa', 'xb'], ['xab']],
  ['/x*(a|bc)', ['x', 'xabca', 'xbc'], ['xb']],
  ['/x+(a|bc)', ['xabca', 'xbc'], ['x', 'xb']],
  ['/**(.js)', ['a.js', 'b/a.js'], ['a']],
  ['/*(*(of*(o)x)o)', ['ofoooxoofxoofoooxoofxo'], ['ofoooxoofxoofoooxoofxofo']],
  ['/!(*.js|*.json)', ['a.gz', 'a.js.gz', 'js'], ['a.js', 'b.json', 'a/b']],
  ['/!(tmp)/*', ['a/b', 'tmpx/b'], ['tmp/b', 'a']],
  ['/*.!(js)', ['a.b', 'a.js.x', 'a.jsx'], ['a.js', 'a']],
  ['/!()', ['a'], ['a/b']],
  ['/!(!(foo))', ['foo'], ['fo', 'foo/a']],
  ['/!(!(!(foo)))', ['fo', 'food'], ['foo']],
  ['/@(a{b|c,d}|e)', ['ab|c', 'ad', 'e'], ['ab', 'c']],
] as const)('%s', (pattern, yes, no) => {
  const glob = parseGlob(pattern)
  for (const path of yes) expect([path, glob.matches(path)]).toEqual([path, true])
  for (const path of no) expect([path, glob.matches(path)]).toEqual([path, false])
})

test.each([
  '/[a',
  '/{a',
  '/a}',
  '/@(a',
  '/(a',
  '/a)',
  '/(a]',
  '/{(a}',
  '/[[:nope:]]',
  '/[[:alpha',
  '/a\\',
  '/[z-a]',
  `/${'{a,'.repeat(100)}`,
  `/${'!('.repeat(65)}${')'.repeat(65)}`,
  '*'.repeat(100_000),
  '('.repeat(100_000),
  `[${'a'.repeat(100_000)}]`,
])('refused: %.40s', (pattern) => {
  expect(() => parseGlob(pattern)).toThrow(
    expect.objectContaining({
      code: 'INVALID_PATH',
      message: expect.stringMatching(/^cannot use ".{1,200}" as a glob: .{5,100}$/) as unknown,
    }),
  )
})

test('says what the slow reference says', () => {
  const seen = { cases: 0, matched: 0, excepted: 0 }
  fc.assert(
    fc.property(
      somePieces.filter((pieces) => !/^\/*$/.test(print(pieces))),
      fc.array(somePath, { minLength: 3, maxLength: 12 }),
      (pieces, paths) => {
        const text = print(pieces)
        const glob = parseGlob(text)
        for (const path of paths) {
          const expected = saysReference(pieces, path)
          seen.cases++
          if (expected) seen.matched++
          if (expected && text.includes('!(')) seen.excepted++
          expect([text, path, glob.matches(path)]).toEqual([text, path, expected])
        }
      },
    ),
    { numRuns: 4000 },
  )
  expect(seen.cases).toBeGreaterThan(10_000)
  expect(seen.matched).toBeGreaterThan(1000)
  expect(seen.excepted).toBeGreaterThan(100)
})

test('a range of names in which a glob matches is never passed over', () => {
  const name = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '!', '😀', '~'), minLength: 1 })
  let passed = 0
  fc.assert(
    fc.property(
      somePieces,
      fc.uniqueArray(name, { minLength: 3, maxLength: 3 }),
      fc.boolean(),
      (pieces, names, isDir) => {
        const [low = '', between = '', high = ''] = names.toSorted(compareUtf8)
        const glob = parseGlob(print(pieces))
        const from = glob.enter(glob.start())
        if (!from || glob.whole) return
        const may = mayHold(glob, from, low, high)
        if (!may) passed++
        for (const one of [between, high]) {
          const at = glob.advance(from, one)
          if (isDir ? at && glob.enter(at) : at?.accepts) expect(may).toBe(true)
        }
      },
    ),
    { numRuns: 5000 },
  )
  expect(passed).toBeGreaterThan(300)
})

test.each([
  ['/*', 'a', []],
  ['/(*)-(*).csv', 'a-b-c.csv', ['a-b', 'c']],
  ['/(a|ab)(c|bcd)*(d)', 'abcd', ['a', 'bcd', '']],
  ['/a*(a|b)/*(*).go', 'aba/x.go', ['ba', 'x']],
  ['/a?(b)/(*)', 'a/x', ['', 'x']],
  ['/test*(/?(+(a|b)/*.go))', 'test/a/x.go', ['/a/x.go', 'a/x.go', 'a']],
  ['/{x(1),y(2)}(*)', 'y23', ['', '2', '3']],
  ['/*((a)|b)', 'ab', ['ab', 'a']],
  ['/!((x)|y)(*)', 'abc', ['abc', '', '']],
  ['/(**)/(*)', 'a/b/c', ['a/b', 'c']],
  ['/(?)', '😀', ['😀']],
  ['/', '', []],
] as const)('captures of %s in %s', (pattern, path, expected) => {
  expect(captures(parseGlob(pattern), path)).toEqual(expected)
})

test('captures are those of a regular expression, where there is one that means the same', () => {
  const atom = fc.constantFrom('a', 'b', '*', '?', '[ab]', '(a|ab)', '(*)', '@(a*|b)', '(b|)')
  const repeat = fc.constantFrom('*(a|ab)', '+(b|a)', '?(ab|a)', '+(a?|b)', '**')
  const translated: Record<string, string> = { '*': '[^/]*', '?': '[^/]', '**': '.*' }
  const inside = (text: string): string => text.replace(/[*?]/g, (c) => translated[c] as string)
  const regExpOf = (one: string): string => {
    if (translated[one]) return translated[one]
    const [, quantifier = '', body] = /^([*+?@]?)\((.*)\)$/.exec(one) ?? []
    if (body === undefined) return one
    return `((?:${inside(body)})${quantifier.replace('@', '')})`
  }
  let matched = 0
  fc.assert(
    fc.property(
      fc.array(fc.oneof(atom, repeat), { minLength: 1, maxLength: 5 }),
      fc.string({ unit: fc.constantFrom('a', 'b', '/'), minLength: 1, maxLength: 8 }),
      (pieces, path) => {
        const expected = new RegExp(`^/${pieces.map(regExpOf).join('')}$`).exec(`/${path}`)
        const found = captures(parseGlob(pieces.join('{}')), path)
        if (found) matched++
        expect(found).toEqual(expected?.slice(1))
      },
    ),
    { numRuns: 5000 },
  )
  expect(matched).toBeGreaterThan(500)
})

/** Every path another, all of few letters, so that little of what was worked out helps again. */
function* manyPaths(count: number): Generator<string> {
  const random = seededRandom(9)
  for (let i = 0; i < count; i++) {
    let path = ''
    while (path.length < 1000) path += 'aab'[Math.floor(random.next() * 3)]
    yield i % 2 ? path : `${path.slice(0, 200)}/${path.slice(200)}`
  }
}

const hostilePatterns = [
  '*a'.repeat(500),
  '**a'.repeat(300),
  '{a,aa,*}'.repeat(120),
  '{,a}'.repeat(250),
  '*(a)'.repeat(250),
  '+(*)'.repeat(200),
  `${'*('.repeat(60)}a${')'.repeat(60)}b`,
  `${'+(*|'.repeat(60)}a${')'.repeat(60)}b`,
  `${'!('.repeat(60)}a${')'.repeat(60)}`,
  `${'*!('.repeat(60)}a${')'.repeat(60)}`,
  '*!(*a)'.repeat(150),
  `${'*!(*a*b'.repeat(30)}${')'.repeat(30)}*`,
  `**${'!(*a?????????????????)**'.repeat(20)}b`,
  `**a${'?'.repeat(900)}b`,
  `*(${'!(a)|'.repeat(150)}b)c`,
  `[${'acegikmoqsuwy'.repeat(70)}]*`,
  '[!b]'.repeat(250),
]

test('a hostile pattern ends, in an answer or an error', () => {
  const refused = new Set<string>()
  for (const pattern of hostilePatterns) {
    const glob = parseGlob(pattern)
    try {
      for (const path of manyPaths(4)) {
        glob.matches(path)
        captures(glob, path)
      }
    } catch (error) {
      if (!isVarveError(error, 'INVALID_PATH')) throw error
      expect(error.message).toMatch(/^cannot use ".*" as a glob: it is too complicated to match$/)
      refused.add(pattern)
    }
  }
  expect(refused.size).toBeGreaterThan(0)
})

test('what one glob may cost over many paths is bounded too', () => {
  const glob = parseGlob(`**a${'?'.repeat(900)}b`)
  expect(() => {
    for (const path of manyPaths(1000)) glob.matches(path)
  }).toThrow('it is too complicated to match')
})

test('any text is a glob or is refused, at once', () => {
  const hostile = fc.string({
    unit: fc.constantFrom(...'ab/*?[]{}()!@+|,\\^:-', '[:alpha:]', '!(', '*('),
    maxLength: 60,
  })
  fc.assert(
    fc.property(hostile, somePath, (pattern, path) => {
      try {
        const glob = parseGlob(pattern)
        expect(captures(glob, path) !== undefined).toBe(glob.matches(path))
      } catch (error) {
        expect(error).toMatchObject({ code: 'INVALID_PATH' })
      }
    }),
    { numRuns: 5000 },
  )
})
