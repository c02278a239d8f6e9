import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { openWasmHash } from '../../src/main/compute.ts'
import { refId } from '../../src/model/tree-ref.ts'
import { collect, contents, expectSame, makeEngine, storeKey } from './fixture.ts'
import { writeGolden } from './golden/contents.ts'
import type { Golden } from './golden/contents.ts'
import { SecondReader } from './second-reader.ts'

const folder = join(import.meta.dirname, 'golden/format-1')
const golden = JSON.parse(readFileSync(join(folder, 'roots.json'), 'utf8')) as Golden
const packs = new Map(
  readdirSync(join(folder, 'packs')).map((name) => [
    name,
    new Uint8Array(readFileSync(join(folder, 'packs', name))),
  ]),
)
const blob = new MemoryBlobStore()
await blob.put([...packs].map(([name, bytes]) => ({ key: `packs/${name}`, bytes })))

test('the same content has the ids it had when the store was made', async () => {
  const now = await writeGolden(makeEngine({ seed: 77 }).engine)
  for (const key of ['first', 'second', 'run'] as const)
    expect([key, refId(now[key])]).toEqual([key, refId(golden[key])])
})

test('a stored tree is read as it was, and merges as it did', async () => {
  const { engine: fresh } = makeEngine()
  const made = await writeGolden(fresh)
  const { engine } = makeEngine({ blob, seed: 78 })
  for (const key of ['first', 'second'] as const) {
    const found = await contents(engine, golden[key])
    const expected = await contents(fresh, made[key])
    expect([...found.keys()]).toEqual([...expected.keys()])
    for (const [path, bytes] of found) expectSame(bytes, expected.get(path))
  }
  const merged = await engine.merge(golden.first, [golden.run], golden.first)
  expect(refId(merged.root)).toBe(refId(golden.second))
})

test('a reader written from the page alone finds the same', async () => {
  const { engine } = makeEngine({ blob, seed: 79 })
  const second = new SecondReader(packs, storeKey, await openWasmHash())
  for (const root of [golden.first, golden.second]) {
    const found = second.files(root)
    const files = await collect(engine.walk(root))
    expect([...found.keys()]).toEqual(files.map(({ path }) => path))
    const expected = await contents(engine, root)
    for (const [path, { bytes }] of found) expectSame(bytes, expected.get(path))
  }
  expect(second.files(golden.first).get('inline')?.attributes).toEqual({
    'content-type': 'text/plain',
    md5: '9d63f6e0a1d5c5a3ad1bd5f7c8a0b3ac',
    'user.Größe': 'klein',
    'user.owner': 'someone',
  })
  expect(second.files(golden.second).get('inline')?.attributes).not.toHaveProperty('md5')
  expect(Object.fromEntries(second.marks(golden.run))).toEqual({
    inline: 'append(9)',
    list: 'append(splice(10-5:3 150000-0:700))',
    new: 'join(3000 100)',
    'small/1': 'gone',
  })
})
