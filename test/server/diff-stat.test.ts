import { afterAll, beforeAll, expect, test } from 'vitest'
import { utf8 } from '../../src/base/bytes.ts'
import { DEFAULT_PROJECT as P } from '../../src/model/name.ts'
import { parsePath } from '../../src/model/path.ts'
import { runAgainst } from '../cli/run.ts'
import type { Ran } from '../cli/run.ts'
import { makeWorld } from './world.ts'
import type { World } from './world.ts'

const ROUTE = 'GET /projects/:project/repos/:repo/commits/:ref/diff/stat'
const params = { project: P, repo: 'data', ref: 'master' }
let world: World

beforeAll(async () => {
  world = await makeWorld()
  const { versions, ids } = world
  const request = () => ({ id: ids(), principal: 'me' })
  await versions.propose(P, [{ op: 'repo.create', name: 'data' }], request())
  const write = (files: Record<string, number | null>) =>
    versions.commitFiles(
      P,
      { repo: 'data', branch: 'master' },
      async (writer) => {
        for (const [path, size] of Object.entries(files))
          if (size === null) await writer.delete(parsePath(path))
          else await writer.put(parsePath(path), utf8('x'.repeat(size)))
      },
      request(),
    )
  await write({ 'a/b/one': 100, 'a/b/two': 2048, 'a/c/one': 5, 'gone/x/y': 3, same: 1, 'z.': 9 })
  await write({
    'a/b/one': 300,
    'a/c/two': 7,
    gone: null,
    'new/p/q': 4,
    'new/r': 4,
    'z.': null,
    'z./w': 2,
  })
})
afterAll(() => world.close())

async function stat(query: object = {}): Promise<unknown[]> {
  const rows = await Array.fromAsync(world.client.lines(ROUTE, { params, query }))
  return rows.map(({ path, added, changed, deleted }) => [
    path,
    `${added.files} ${added.bytes}`,
    `${changed.files} ${changed.oldBytes} ${changed.newBytes}`,
    `${deleted.files} ${deleted.bytes}`,
  ])
}

const A_B = ['a/b', '0 0', '1 100 300', '0 0']
const A_C = ['a/c', '1 7', '0 0 0', '0 0']
const A = ['a', '1 7', '1 100 300', '0 0']
const GONE = ['gone', '0 0', '0 0 0', '1 3']
const NEW = ['new', '2 8', '0 0 0', '0 0']
// A file that gave way to a directory of its name is one less in the directory above.
const Z = ['z.', '1 2', '0 0 0', '0 0']
const ALL = ['', '4 17', '1 100 300', '2 12']

test('by directory, to a depth, page by page', async () => {
  expect(await stat({ depth: 0 })).toEqual([ALL])
  expect(await stat()).toEqual([A, GONE, NEW, Z, ALL])
  const rows = [A_B, A_C, A, GONE, NEW, Z, ALL]
  expect(await stat({ depth: 9 })).toEqual(rows)
  expect(await stat({ depth: 9, path: 'a' })).toEqual([A_B, A_C, A])
  expect(await stat({ depth: 9, from: 'master' })).toEqual([])
  const paged: unknown[] = []
  for (let after: string | undefined; ;) {
    const page = (await stat({ depth: 9, limit: 2, after })) as string[][]
    if (page.length === 0) break
    paged.push(...page)
    after = page.at(-1)?.[0]
    if (after === '') break
  }
  expect(paged).toEqual(rows)
  await expect(stat({ depth: -1 })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
})

test('as a person asks', async () => {
  const varve = (args: string): Promise<Ran> => runAgainst(world, args)
  const { out } = await varve('file diff data@master --stat --depth 2')
  expect(out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['PATH', 'ADDED', 'CHANGED', 'DELETED'],
    ['/a/b/', '1 (100 B → 300 B)'],
    ['/a/c/', '1 (7 B)'],
    ['/a/', '1 (7 B)', '1 (100 B → 300 B)'],
    ['/gone/', '1 (3 B)'],
    ['/new/', '2 (8 B)'],
    ['/z./', '1 (2 B)'],
    ['/', '4 (17 B)', '1 (100 B → 300 B)', '2 (12 B)'],
    [''],
  ])
  expect((await varve('file diff data --stat -o name')).out).toBe('/a/\n/gone/\n/new/\n/z./\n/\n')
  expect((await varve('file diff data data --stat')).err).toBe('no difference\n')
  expect(await varve('file diff data --depth 2')).toMatchObject({ code: 2 })
  expect((await varve('file diff data --stat --depth few')).err).toContain('a whole number from 0')
})
