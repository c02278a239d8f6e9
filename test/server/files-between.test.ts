import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { comparePaths } from '../../src/objects/trees/walk.ts'
import { filesBetween } from '../../src/server/files-between.ts'
import { collect, commit, makeEngine, p } from '../objects/fixture.ts'

const name = fc.constantFrom('a', 'b', 'a.b', 'a0', 'c')
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
const file = fc.array(name, { minLength: 3, maxLength: 4 }).map((parts) => parts.join('/'))

test('between two paths, of files that are there or not', async () => {
  const { engine } = makeEngine()
  let found = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(file, { minLength: 20, maxLength: 40 }),
      fc.constantFrom('', 'a', 'a/b'),
      fc.option(path, { nil: undefined }),
      fc.option(path, { nil: undefined }),
      async (paths, base, one, other) => {
        const files: Record<string, string> = {}
        const clashes = (at: string): boolean =>
          Object.keys(files).some((file) => file.startsWith(`${at}/`) || at.startsWith(`${file}/`))
        for (const at of paths) if (!clashes(at)) files[at] = at
        const root = await commit(engine, null, files)
        const inside = (bound: string | undefined): string | undefined =>
          bound === undefined || base === '' ? bound : `${base}/${bound}`
        const [after, to] = [inside(one), inside(other)]
        const expected = Object.keys(files)
          .filter((at) => base === '' || at === base || at.startsWith(`${base}/`))
          .filter((at) => after === undefined || comparePaths(at, after) > 0)
          // Behind a directory comes what stands behind its name, not what it holds.
          .filter((at) => after === undefined || !at.startsWith(`${after}/`))
          .filter((at) => to === undefined || comparePaths(at, to) <= 0)
          .toSorted(comparePaths)
        const got = await collect(filesBetween(engine, root, p(base), { after, to }))
        expect(got.map((file) => file.path as string)).toEqual(expected)
        if (after !== undefined || to !== undefined) found += got.length
      },
    ),
    { numRuns: 300, seed: 4 },
  )
  expect(found).toBeGreaterThan(200)
})

test('a bound elsewhere is refused', async () => {
  const { engine } = makeEngine()
  const root = await commit(engine, null, { 'a/b': '1', 'ab/c': '2' })
  for (const bounds of [{ after: 'ab/c' }, { to: 'ab/c' }])
    await expect(collect(filesBetween(engine, root, p('a'), bounds))).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    })
})
