import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { DirectoryChange } from '../../src/objects/objects.ts'
import { collect, commit, makeEngine, noise, p } from './fixture.ts'

type Model = ReadonlyMap<string, string>

/** The same by looking at every file of both. */
function plainly(old: Model, now: Model, base: string, depth: number): DirectoryChange[] {
  const inside = (path: string, dir: string): boolean =>
    dir === '' || path === dir || path.startsWith(`${dir}/`)
  const dirsOf = (model: Model): Set<string> => {
    const dirs = new Set<string>()
    for (const path of model.keys())
      for (let at = path.lastIndexOf('/'); at >= 0; at = path.lastIndexOf('/', at - 1))
        dirs.add(path.slice(0, at))
    if (model.size > 0) dirs.add('')
    return dirs
  }
  const [oldDirs, newDirs] = [dirsOf(old), dirsOf(now)]
  const isWhole = (dir: string): boolean => oldDirs.has(dir) !== newDirs.has(dir)
  const level = (dir: string): number =>
    dir === base ? 0 : dir.slice(base === '' ? 0 : base.length + 1).split('/').length
  const rows: DirectoryChange[] = []
  const asked = new Set([...oldDirs, ...newDirs, base])
  for (const dir of asked) {
    if (!inside(dir, base) || level(dir) > depth) continue
    // Of what stands on one side only the topmost alone.
    const parents = [...asked].filter((one) => one !== dir && inside(dir, one) && inside(one, base))
    if (parents.some(isWhole)) continue
    const row = {
      path: p(dir),
      added: { files: 0, bytes: 0 },
      changed: { files: 0, oldBytes: 0, newBytes: 0 },
      deleted: { files: 0, bytes: 0 },
    }
    for (const path of new Set([...old.keys(), ...now.keys()])) {
      // A file by the name of a directory lies in the one above; at the base there is none above.
      if (!inside(path, dir) || (path === dir && dir !== base)) continue
      const [was, is] = [old.get(path), now.get(path)]
      if (was === is) continue
      if (was !== undefined && is !== undefined) {
        row.changed.files++
        row.changed.oldBytes += was.length
        row.changed.newBytes += is.length
      } else if (was !== undefined) {
        row.deleted.files++
        row.deleted.bytes += was.length
      } else if (is !== undefined) {
        row.added.files++
        row.added.bytes += is.length
      }
    }
    if (row.added.files + row.changed.files + row.deleted.files > 0) rows.push(row)
  }
  return rows
}

const name = fc.constantFrom('a', 'b', 'a.b', 'c')
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
// Some so long that their directories are nodes of their own.
const content = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.constantFrom(0, 3, 450, 700))
const writes = fc.array(fc.tuple(path, content), { maxLength: 25 })

/** What can stand beside each other: no file where a directory is. */
function modelOf(
  list: readonly (readonly [string, readonly [number, number]])[],
): Map<string, string> {
  const model = new Map<string, string>()
  for (const [at, [letter, size]] of list) {
    const clash = [...model.keys()].some(
      (one) => one.startsWith(`${at}/`) || at.startsWith(`${one}/`),
    )
    if (!clash) model.set(at, String(letter).repeat(size))
  }
  return model
}

test('it sums up what two models differ in', async () => {
  const { engine } = makeEngine()
  let rows = 0
  let wholes = 0
  await fc.assert(
    fc.asyncProperty(
      writes,
      writes,
      fc.array(fc.nat(), { maxLength: 12 }),
      fc.constantFrom('', 'a', 'a/b', 'a.b'),
      fc.integer({ min: 0, max: 4 }),
      async (first, more, kept, base, depth) => {
        const old = modelOf(first)
        // Much of it stays: otherwise there are no equal directories.
        const now = modelOf([
          ...first.filter((_, i) => !kept.includes(i)),
          ...more.filter((_, i) => !kept.includes(i)),
        ])
        const a = old.size === 0 ? null : await commit(engine, null, Object.fromEntries(old))
        const b = now.size === 0 ? null : await commit(engine, null, Object.fromEntries(now))
        const found = await collect(engine.diffSums(a, b, p(base), depth))
        const byPath = (one: DirectoryChange, other: DirectoryChange): number =>
          one.path < other.path ? -1 : 1
        expect(found.toSorted(byPath)).toEqual(plainly(old, now, base, depth).toSorted(byPath))
        // Each after those below it.
        for (const [i, one] of found.entries())
          for (const later of found.slice(i + 1))
            expect(later.path.startsWith(`${one.path}/`) || one.path === '').toBe(false)
        rows += found.length
        wholes += found.filter(({ changed }) => changed.files === 0).length
      },
    ),
    { numRuns: 400, seed: 5 },
  )
  expect(Math.min(rows, wholes)).toBeGreaterThan(200)
})

test('neither what is equal nor what stands on one side only is read', async () => {
  const { engine, blob } = makeEngine()
  const files: Record<string, string> = {}
  // Directories large enough not to stand in the one above.
  for (let i = 0; i < 400; i++) files[`d${i % 20}/s${i % 10}/f${i}`] = `${i}`.padEnd(450)
  const added: Record<string, string> = {}
  for (let i = 0; i < 400; i++) added[`new/s${i % 10}/f${i}`] = `${i}`.padEnd(450)
  const a = await commit(engine, null, { ...files, big: noise(1, 40_000) })
  const b = await commit(engine, a, { ...added, 'd3/s3/f3': noise(2, 40_000), d5: null })
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const { engine: cold } = makeEngine({ blob, seed: 3 })
    let gets = 0
    const get = blob.get.bind(blob)
    blob.get = (key, range) => {
      gets++
      return get(key, range)
    }
    const rows = await collect(cold.diffSums(from, to, p(''), 9))
    blob.get = get
    // Two roots, and on each side the way to the file.
    expect(gets).toBeLessThanOrEqual(6)
    const bytes = 400 * 450
    const [gone, come] = from === a ? ['deleted', 'added'] : ['added', 'deleted']
    expect(rows).toMatchObject([
      { path: 'd3/s3', changed: { files: 1 } },
      { path: 'd3', changed: { files: 1 } },
      { path: 'd5', [gone as string]: { files: 20, bytes: 20 * 450 } },
      { path: 'new', [come as string]: { files: 400, bytes } },
      { path: '', [come as string]: { files: 400, bytes }, [gone as string]: { files: 20 } },
    ])
  }
  expect(await collect(engine.diffSums(a, a, p(''), 9))).toEqual([])
})
