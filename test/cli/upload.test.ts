// What is on its way in, as its author sees it.

import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UploadView } from '../../src/api/uploads.ts'
import { DEFAULT_PROJECT as P } from '../../src/model/name.ts'
import { makeWorld } from '../server/world.ts'
import type { World } from '../server/world.ts'
import { runAgainst } from './run.ts'
import type { Ran } from './run.ts'

const UPLOADS = '/projects/:project/repos/:repo/branches/:branch/uploads'
let world: World
let raw: UploadView
let side: UploadView

beforeAll(async () => {
  world = await makeWorld()
  await varve('repo create raw')
  await varve('repo create other')
  raw = await begun('raw', 'master', 'here')
  side = await begun('other', 'side', 'there')
})
afterAll(() => world.close())

const varve = (args: string): Promise<Ran> => runAgainst(world, args)

async function begun(repo: string, branch: string, source: string): Promise<UploadView> {
  const params = { project: P, repo, branch }
  const { upload } = await world.client.call(`POST ${UPLOADS}`, { params, body: { source } })
  await world.client.upload(`PUT ${UPLOADS}/:upload/segments/:part`, {
    params: { ...params, upload, part: '0' },
    query: { path: 'a', offset: 0, totalBytes: 2048 },
    content: new Uint8Array(1536),
  })
  return await world.client.call(`GET ${UPLOADS}/:upload`, { params: { ...params, upload } })
}

test('a list: of the project, a repo, a branch', async () => {
  const { out } = await varve('upload list')
  const [header, ...rows] = out.trimEnd().split('\n')
  expect(header?.split(/ {2,}/)).toEqual([
    'ID',
    'TO',
    'PARTS',
    'FILES',
    'SIZE',
    'BEGUN',
    'KEPT FOR',
  ])
  expect(rows.map((row) => row.split(/ {2,}/).slice(0, 5))).toEqual([
    [side.upload.slice(-8), 'other@side', '1', '1', '1.5 KiB'],
    [raw.upload.slice(-8), 'raw@master', '1', '1', '1.5 KiB'],
  ])
  expect(rows[0]).toMatch(/6 d 23 h$/)
  const idsOf = async (args: string): Promise<string[]> =>
    (JSON.parse((await varve(`upload list ${args} -o json`)).out) as UploadView[]).map(
      (one) => one.upload,
    )
  expect(await idsOf('raw')).toEqual([raw.upload])
  expect(await idsOf('other@side')).toEqual([side.upload])
  expect(await idsOf('other@master')).toEqual([])
  expect((await varve('upload list raw -o name')).out).toBe(`raw@master=${raw.upload}\n`)
  expect((await varve('upload list other@master')).err).toBe('no upload is under way\n')
  expect((await varve('upload list nothing')).err).toContain('(NOT_FOUND_REPO)')
  expect((await varve('upload list raw:/a')).err).toContain('leave the path')
})

test('one, by its id, the end of that, or its full name', async () => {
  for (const name of [raw.upload, raw.upload.slice(-8), `raw@master=${raw.upload}`]) {
    const one = await varve(`upload inspect ${name} -o json`)
    expect(JSON.parse(one.out)).toEqual(raw)
  }
  const { out } = await varve(`upload inspect ${raw.upload}`)
  expect(out).toContain(`upload    raw@master=${raw.upload}`)
  expect(out).toContain('source    here')
  // Of another branch it is none.
  const wrong = await varve(`upload inspect other@side=${raw.upload}`)
  expect([wrong.code, wrong.err.includes('(NOT_FOUND_UPLOAD)')]).toEqual([3, true])
  const end = [...'0123456789abcdef'].find(
    (digit) => ![raw, side].some((one) => one.upload.endsWith(digit)),
  )
  expect((await varve(`upload delete ${end}`)).err).toContain('varve upload list shows')
})

test('given up, it is gone', async () => {
  expect((await varve(`upload delete ${side.upload.slice(-8)}`)).err).toBe(
    `deleted upload ${side.upload.slice(-8)} to other@side\n`,
  )
  expect((await varve(`upload delete ${side.upload}`)).code).toBe(3)
  expect((await varve('upload list')).out).not.toContain('other@side')
  // Of so many, two ids end in the same digit.
  const all = [raw]
  for (let i = 0; i < 16; i++) all.push(await begun('raw', 'master', `one of many ${i}`))
  const count = (digit: string): number => all.filter((one) => one.upload.endsWith(digit)).length
  const common = [...'0123456789abcdef'].find((digit) => count(digit) > 1) as string
  const several = await varve(`upload delete ${common}`)
  expect([several.code, several.err.includes(`${count(common)} ids end so`)]).toEqual([2, true])
  expect((await varve(`upload delete raw@master=${raw.upload}`)).code).toBe(0)
  expect((await varve('upload list raw -o name')).out.trim().split('\n')).toHaveLength(16)
})
