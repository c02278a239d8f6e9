import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import { parseGlob } from '../../src/objects/glob/glob.ts'
import { comparePaths } from '../../src/objects/trees/walk.ts'
import { collect, commit, makeEngine } from './fixture.ts'
import { print, somePath, somePieces } from './glob-reference.ts'

test('over trees: what matches, and what differs, is what matching every path says', async () => {
  const { engine } = makeEngine()
  const tree = (files: readonly string[], mark: string): Promise<TreeRef> => {
    const kept = files.filter((f) => !files.some((other) => f.startsWith(`${other}/`)))
    return commit(
      engine,
      null,
      Object.fromEntries(kept.map((f) => [f, f.length > 3 ? mark : 'same'])),
    )
  }
  let found = 0
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(somePath, { maxLength: 12 }),
      fc.uniqueArray(somePath, { maxLength: 12 }),
      fc.oneof(
        somePieces.map(print),
        fc.constantFrom('/', '/*', '/**', '/a/*', '/a/b', '/a/**', '/{a,b}/**', '/!(a)/*'),
      ),
      async (first, second, text) => {
        const glob = parseGlob(text)
        const a = await tree(first, '1')
        const b = await tree(second, '2')
        const every = async (root: TreeRef): Promise<Map<string, string>> => {
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
        found += inA.size
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
    { numRuns: 300 },
  )
  expect(found).toBeGreaterThan(100)
})

class Counting extends MemoryBlobStore {
  gets = 0

  override get(...args: Parameters<MemoryBlobStore['get']>): Promise<Uint8Array | undefined> {
    this.gets++
    return super.get(...args)
  }
}

const blob = new Counting()
const number = (i: number): string => String(i).padStart(5, '0')
let root: TreeRef
let changed: TreeRef

beforeAll(async () => {
  const { engine } = makeEngine({ blob })
  const files: Record<string, string> = {}
  // One directory of many leaves under two levels of branches, and many small ones.
  for (let i = 0; i < 20_000; i++) files[`wide/log-${number(i)}.json`] = 'x'.repeat(i % 100)
  for (let i = 0; i < 200; i++)
    for (let j = 0; j < 20; j++)
      files[`many/${number(i)}/part-${j}`] = `${i}-${j}-${'y'.repeat(400)}`
  root = await commit(engine, null, files)
  changed = await commit(
    engine,
    root,
    Object.fromEntries(Object.keys(files).map((path) => [path, 'changed'])),
  )
}, 60_000)

/** Without a cache every node that is looked at is read. */
async function readsOf<T>(
  ask: (engine: ReturnType<typeof makeEngine>['engine']) => AsyncIterable<T>,
): Promise<[found: number, reads: number]> {
  const { engine } = makeEngine({ blob, seed: 2, cacheBytes: 0 })
  const before = blob.gets
  const found = await collect(ask(engine))
  return [found.length, blob.gets - before]
}

test('the tree is large enough to say something', async () => {
  const [found, reads] = await readsOf((engine) => engine.glob(root, '/**'))
  expect(found).toBe(24_202)
  expect(reads).toBeGreaterThan(230)
})

test.each([
  ['/wide/log-10000.json', 1, 6],
  ['/wide/log-1000*', 10, 4],
  ['/wide/log-{0000,1999}[0-4].json', 10, 6],
  ['/wide/*(log)-1999?.!(csv)', 10, 6],
  ['/wide/x*', 0, 3],
  ['/many/00140/*', 20, 5],
  ['/many/0014[0-4]/part-1', 5, 9],
  ['/m*/00140/part-!(1*)', 9, 5],
  ['/none/**', 0, 2],
  ['/*', 2, 2],
])('%s reads only what can match', async (pattern, matches, most) => {
  const [found, reads] = await readsOf((engine) => engine.glob(root, pattern))
  expect(found).toBe(matches)
  expect(reads).toBeLessThanOrEqual(most)
})

test.each([
  ['/wide/log-10000.json', 1, 12],
  ['/many/00140/*', 20, 10],
  ['/none/*', 0, 4],
])('what differs at %s reads only what can match', async (pattern, matches, most) => {
  const [found, reads] = await readsOf((engine) => engine.diffGlob(root, changed, pattern))
  expect(found).toBe(matches)
  expect(reads).toBeLessThanOrEqual(most)
})
