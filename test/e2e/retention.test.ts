// Versions that are kept and versions that go, as a person sees them at the command line.

import { expect, test } from 'vitest'
import { Product } from './product.ts'

test('commits are dropped by hand and by rule, and du says what is left', async () => {
  await using product = await Product.start()
  await product.varve(['repo', 'create', 'data'])
  for (const text of ['one', 'two', 'three', 'four'])
    await product.varve(['file', 'put', 'data@master:/f', '-m', text, '-f', '-'], `${text}\n`)
  const list = async (): Promise<{ id: string; droppedAtMs: number | null }[]> =>
    JSON.parse(await product.varve(['commit', 'list', 'data', '-o', 'json']))
  const [four, three, two] = await list()
  if (!four || !three || !two) throw new Error('too few commits')

  const head = await product.cli(['commit', 'drop', 'data'])
  expect(head).toMatchObject({ code: 4 })
  expect(head.stderr).toContain('it is the head of "data@master"')
  const dry = await product.cli(['commit', 'drop', `data@${three.id}`, '--dry-run'])
  expect(dry.stderr).toMatch(/^would drop data@master .*: 1 file, 6 B\n$/)
  const done = await product.cli(['commit', 'drop', 'data@master^', `data@${two.id}`])
  expect(done).toMatchObject({ code: 0 })
  expect(done.stderr).toMatch(/^dropped data@master .*\ndropped data@master .*\n$/)
  const read = await product.cli(['file', 'get', `data@${two.id}:/f`])
  expect(read).toMatchObject({ code: 3 })
  expect(read.stderr).toContain('it was dropped')
  expect(await product.varve(['commit', 'list', 'data'])).toMatch(/dropped.*\n.*dropped/)
  expect(await product.varve(['file', 'diff', 'data'])).toContain('f')

  const none = await product.cli(['repo', 'keep', 'data'])
  expect(none).toMatchObject({ code: 2 })
  const both = await product.cli(['branch', 'keep', 'data@master', '--all', '--last', '3'])
  expect(both).toMatchObject({ code: 2 })
  const ruled = await product.cli(['repo', 'keep', 'data', '--last', '1', '--younger', '1ms'])
  expect(ruled.stderr).toBe('repo data keeps the last commit and those younger than 1ms\n')
  expect(await product.varve(['repo', 'inspect', 'data'])).toContain('those younger than 1ms')
  const kept = async () => (await list()).filter(({ droppedAtMs }) => droppedAtMs === null)
  await expect.poll(kept, { timeout: 120_000 }).toMatchObject([{ id: four.id }])
  expect(await product.varve(['file', 'get', 'data@master:/f'])).toBe('four\n')

  const lines = (await product.varve(['du', 'data@master'])).split('\n')
  expect(lines[0]).toMatch(/^NAME +COMMITS +FILES +SIZE +STORED +UNIQUE +SHARED$/)
  expect(lines[1]).toMatch(/ 1 +1 +5 B /)
  expect(lines[2]).toMatch(/^data@master +1 +1 +5 B /)
  const all = (await product.varve(['du', '-o', 'jsonl'])).trim().split('\n')
  expect(JSON.parse(all.at(-1) ?? '')).toMatchObject({ repo: null, commits: 1, bytes: 5 })
})
