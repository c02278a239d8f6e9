import { afterAll, beforeAll, expect, test } from 'vitest'
import { noise } from '../objects/fixture.ts'
import { makeWorld } from '../server/world.ts'
import type { World } from '../server/world.ts'
import { runAgainst } from './run.ts'
import type { Ran } from './run.ts'

let world: World

beforeAll(async () => {
  world = await makeWorld()
})
afterAll(() => world.close())

const varve = (args: string, stdin?: Uint8Array): Promise<Ran> =>
  runAgainst(world, args, stdin && { stdin })

const jsonLines = (text: string): { kind: string; [name: string]: unknown }[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string })

test('a whole store, a missing pack, a damaged one: counts, what is hurt, exit code', async () => {
  for (const repo of ['images', 'sounds']) {
    expect((await varve(`repo create ${repo}`)).code).toBe(0)
    expect((await varve(`file put ${repo}:/a -f - -m first`, noise(1, 9_000))).code).toBe(0)
  }
  const before = await Array.fromAsync(world.blob.list('packs/'))
  expect((await varve('file put images:/deep/b -f -', noise(2, 9_000))).code).toBe(0)
  const whole = await varve('verify')
  expect(whole.code).toBe(0)
  expect(whole.out).toMatch(/^read (\d+) of \1 packs, .*, \d+ trees\n$/)

  // The pack of the second commit goes.
  const known = new Set(before.map(({ key }) => key))
  const after = await Array.fromAsync(world.blob.list('packs/'))
  const [{ key } = { key: '' }] = after.filter((object) => !known.has(object.key))
  const bytes = (await world.blob.get(key)) as Uint8Array
  await world.blob.delete([key])
  const gone = await varve('verify')
  expect(gone.code).toBe(1)
  expect(gone.out).toContain(`missing ${key}\n  try: put ${key} back from a copy of the store\n`)
  expect(gone.out).toMatch(/^hurt default\/images@master=[0-9a-f]{32} /m)
  expect(gone.err).toBe('0 packs damaged, 1 missing; 1 path hurt\n')

  // It comes back with one bit flipped, in the bytes of the file.
  const bad = new Uint8Array(bytes)
  bad[5_000] = (bad[5_000] as number) ^ 4
  await world.blob.put([{ key, bytes: bad }])
  const { code, out } = await varve('verify --repo images -o jsonl')
  expect(code).toBe(1)
  const lines = jsonLines(out)
  expect(lines.map(({ kind }) => kind)).toEqual(['pack', 'hurt', 'done'])
  expect(lines[0]).toMatchObject({ key, state: 'damaged', faults: [{ holds: 'chunks' }] })
  expect(lines[1]).toMatchObject({ path: 'deep/b', key })
  const elsewhere = await varve(
    'verify --repo sounds -o json --percent 50 --seed 3 --bytes-per-second 900000000',
  )
  expect(elsewhere.code).toBe(0)
  expect(JSON.parse(elsewhere.out)).toMatchObject([{ kind: 'done', seed: 3, damaged: 0 }])
  expect((await varve('verify -o name')).out).toBe(`${key}\n`)
  expect((await varve('verify --repo nothing')).code).toBe(3)
  expect((await varve('verify --percent 0')).code).not.toBe(0)
})
