import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseGlob } from '../../src/objects/glob.ts'
import { comparePaths } from '../../src/objects/walk.ts'
import { collect, commit, makeEngine } from './fixture.ts'

test.each([
  ['/', [''], ['a']],
  ['', [''], ['a']],
  ['/*', ['a', '.hidden'], ['', 'a/b']],
  ['*/', ['a'], ['', 'a/b']],
  ['**', ['a', 'a/b/c'], ['']],
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
  ['/{a,b/{c,d}*}/e', ['a/e', 'b/c/e', 'b/dd/e'], ['b/e', 'a/c/e']],
  ['/{,x}y', ['y', 'xy'], ['x']],
  ['/\\*\\{\\(', ['*{('], ['a{(']],
  ['/20[0-9][0-9]-*/data.{json,csv}', ['2026-11/data.csv'], ['2026/data.csv', '2026-1/x/data.csv']],
  ['/a*b*c', ['abc', 'aXbbYc'], ['ab', 'a/b/c']],
] as const)('%s', (pattern, yes, no) => {
  const glob = parseGlob(pattern)
  for (const path of yes) expect([path, glob.matches(path)]).toEqual([path, true])
  for (const path of no) expect([path, glob.matches(path)]).toEqual([path, false])
})

test.each([
  '/[a',
  '/{a',
  '/a}',
  '/@(a)',
  '/!(a)',
  '/*(a)',
  '/**(a)',
  '/(a)',
  '/a)',
  '/[[:nope:]]',
  '/a\\',
  '/[z-a]',
  `/${'{a,'.repeat(100)}`,
  'x'.repeat(2000),
])('refused: %s', (pattern) => {
  expect(() => parseGlob(pattern)).toThrow(expect.objectContaining({ code: 'INVALID_PATH' }))
})

test('a hostile pattern ends, in an answer or an error', () => {
  const long = 'a'.repeat(255)
  for (const pattern of [
    '*a'.repeat(500),
    '{a,aa,*}'.repeat(120),
    '**a'.repeat(300),
    '{,a}'.repeat(250),
  ]) {
    const glob = parseGlob(pattern)
    try {
      glob.matches(`${long}b`)
    } catch (error) {
      expect(error).toMatchObject({ code: 'INVALID_PATH' })
    }
  }
})

// A pattern as a tree, with the slowest matcher that can be: try every way.
type Node =
  | { readonly kind: 'char'; readonly text: string }
  | { readonly kind: 'star' | 'deep' | 'any' }
  | { readonly kind: 'set'; readonly letters: string; readonly negated: boolean }
  | { readonly kind: 'either'; readonly arms: readonly (readonly Node[])[] }

const { piece } = fc.letrec<{ piece: Node; pieces: Node[] }>((tie) => ({
  piece: fc.oneof(
    { maxDepth: 2, depthIdentifier: 'glob' },
    fc.constantFrom<Node>(
      ...['a', 'b', 'c', '/', '/', '*', '.'].map((text) => ({ kind: 'char', text }) as const),
    ),
    fc.constantFrom<Node>({ kind: 'star' }, { kind: 'deep' }, { kind: 'any' }),
    fc.record({
      kind: fc.constant('set' as const),
      letters: fc.constantFrom('a', 'ab', 'c/'),
      negated: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('either' as const),
      arms: fc.array(tie('pieces'), { minLength: 1, maxLength: 3 }),
    }),
  ),
  pieces: fc.array(tie('piece'), { maxLength: 3, depthIdentifier: 'glob' }),
}))
const pattern = fc.array(piece, { minLength: 1, maxLength: 7 })

function print(nodes: readonly Node[]): string {
  return nodes
    .map((node) => {
      if (node.kind === 'char') return node.text === '*' ? '\\*' : node.text
      if (node.kind === 'set') return `[${node.negated ? '!' : ''}${node.letters}]`
      if (node.kind === 'either') return `{${node.arms.map(print).join(',')}}`
      return { star: '*', deep: '**', any: '?' }[node.kind]
    })
    .join('')
}

function ways(nodes: readonly Node[], text: string): boolean {
  const [node, ...rest] = nodes
  if (!node) return text === ''
  const [c] = text
  const tail = text.slice(1)
  if (node.kind === 'char') return c === node.text && ways(rest, tail)
  if (node.kind === 'any') return c !== undefined && c !== '/' && ways(rest, tail)
  if (node.kind === 'set')
    return (
      c !== undefined && c !== '/' && node.letters.includes(c) !== node.negated && ways(rest, tail)
    )
  if (node.kind === 'either') return node.arms.some((arm) => ways([...arm, ...rest], text))
  return (
    ways(rest, text) ||
    (c !== undefined && (c !== '/' || node.kind === 'deep') && ways(nodes, tail))
  )
}

const name = fc
  .string({
    unit: fc.constantFrom('a', 'b', 'c', '*', '.'),
    minLength: 1,
    maxLength: 3,
  })
  .filter((part) => part !== '.' && part !== '..')
const somePath = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))

/** Stars side by side are read as one "**". */
function asRead(nodes: readonly Node[]): Node[] {
  const read: Node[] = []
  for (const node of nodes) {
    const last = read.at(-1)
    const star = node.kind === 'star' || node.kind === 'deep'
    if (star && (last?.kind === 'star' || last?.kind === 'deep'))
      read.splice(-1, 1, { kind: 'deep' })
    else if (node.kind === 'either') read.push({ kind: 'either', arms: node.arms.map(asRead) })
    else read.push(node)
  }
  return read
}

const readable = pattern.map(asRead).filter((nodes) => !/^$|\/$/.test(print(nodes)))

test('says what the slow matcher says', () => {
  let matched = 0
  fc.assert(
    fc.property(
      readable,
      fc.array(somePath, { minLength: 5, maxLength: 20 }),
      (nodes, candidates) => {
        const text = print(nodes)
        const glob = parseGlob(text)
        const rooted: readonly Node[] = text.startsWith('/')
          ? nodes
          : [{ kind: 'char', text: '/' }, ...nodes]
        for (const path of candidates) {
          const expected = ways(rooted, `/${path}`)
          if (expected) matched++
          expect([text, path, glob.matches(path)]).toEqual([text, path, expected])
        }
      },
    ),
    { numRuns: 3000, seed: 3 },
  )
  expect(matched).toBeGreaterThan(1000)
})

test('over trees: what matches, and what differs, is what matching every path says', async () => {
  const { engine } = makeEngine()
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(somePath, { maxLength: 12 }),
      fc.uniqueArray(somePath, { maxLength: 12 }),
      fc.oneof(readable.map(print), fc.constantFrom('/', '/*', '/**', '/a/*', '/a/b', '/{a,b}/**')),
      async (first, second, text) => {
        const glob = parseGlob(text)
        const tree = async (files: readonly string[], mark: string) => {
          const kept = files.filter((f) => !files.some((other) => f.startsWith(`${other}/`)))
          return commit(
            engine,
            null,
            Object.fromEntries(kept.map((f) => [f, f.length > 3 ? mark : 'same'])),
          )
        }
        const a = await tree(first, '1')
        const b = await tree(second, '2')
        const every = async (root: typeof a): Promise<Map<string, string>> => {
          const all = new Map<string, string>()
          for await (const file of engine.walk(root)) {
            const parts = file.path.split('/')
            for (let n = 0; n <= parts.length; n++) {
              const path = parts.slice(0, n).join('/')
              if (!glob.matches(path) || all.has(path)) continue
              const entry = await engine.stat(root, path as typeof file.path)
              if (entry) all.set(path, `${entry.kind} ${entry.digest}`)
            }
          }
          return all
        }
        const inA = await every(a)
        const inB = await every(b)
        const globbed = await collect(engine.glob(a, text))
        expect(globbed.map((e) => e.path as string)).toEqual([...inA.keys()].toSorted(comparePaths))
        const differ = (await collect(engine.diffGlob(a, b, text))).map(
          (pair) => pair.path as string,
        )
        const expected = [...new Set([...inA.keys(), ...inB.keys()])].filter(
          (path) => inA.get(path) !== inB.get(path),
        )
        expect(differ).toEqual(expected.toSorted(comparePaths))
      },
    ),
    { numRuns: 100, seed: 4 },
  )
})
