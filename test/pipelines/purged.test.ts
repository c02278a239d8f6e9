// What a pipeline keeps of a file goes with it: outputs, results of datums, and what would count on them.

import { expect, test } from 'vitest'
import type { Program } from '../../src/exec/adapters/inline/runner.ts'
import type { Id } from '../../src/model/id.ts'
import { parsePath } from '../../src/model/path.ts'
import type { PurgeReceipt } from '../../src/versions/purge-scope.ts'
import { rawStore } from '../objects/raw.ts'
import { PROJECT, inlineWorld, newDisk, spec } from './world.ts'
import type { Disk, World } from './world.ts'

const SMALL = 'a small one that somebody wants to be forgotten'
const LARGE = `a large one, ${'that somebody wants to be forgotten as well, '.repeat(40)}`

/** What it has read, and what it makes of a file beside it. */
const copy: Program = {
  version: '1',
  run: ({ list, text, write }) => {
    for (const path of list('in')) {
      if (text(path) === 'fail') return 1
      write(path.replace('in/', 'out/'), text(path))
      write(path.replace('in/', 'out/of/'), `made from ${path}`)
    }
    return 0
  },
}

async function isKept({ blob }: Disk, secret: string): Promise<boolean> {
  return (await rawStore(blob)).includes(secret.slice(0, 40))
}

async function purge({ core }: World, repo: string, ...paths: string[]): Promise<PurgeReceipt> {
  const request = { id: core.ids(), principal: 'me' }
  const how = { project: PROJECT, repo, paths: paths.map(parsePath), plan: false, request }
  const steps = core.purge({ ...how, alsoCopies: false, waitMs: 0 }, new AbortController().signal)
  const last = (await Array.fromAsync(steps)).at(-1)
  if (last?.phase !== 'done') throw new Error('no receipt')
  return last.receipt
}

for (const [name, secret] of Object.entries({ SMALL, LARGE }))
  test(`results of datums, ${name.toLowerCase()}`, async () => {
    const disk = newDisk()
    const { world } = await inlineWorld({ copy }, { disk })
    await world.repo('in')
    await world.put(spec('out', 'in', ['copy']))
    const commit = async (files: Record<string, string | null>): Promise<Id> => {
      const { id } = await world.commit('in', files)
      await world.ended('out', id)
      return id
    }
    const first = await commit({ a: secret, b: 'stays' })
    await commit({ a: null, c: 'also stays' })
    await purge(world, 'in', 'a')
    expect(await isKept(disk, secret)).toBe(true)
    expect(await purge(world, 'out', 'a')).toMatchObject({
      found: { files: 1, bytes: secret.length, elsewhere: [] },
      done: { sharedPieces: 0 },
    })
    expect(await isKept(disk, secret)).toBe(false)
    const file = (path: string) =>
      world.pipelines.explainFile(
        PROJECT,
        { repo: 'out', branch: 'master', id: first },
        parsePath(path),
      )
    expect(await file('b')).toMatchObject({ datum: { state: 'success' } })
    expect(await file('of/a')).toMatchObject({ path: 'of/a' })
    await commit({ a: secret })
    expect(await world.files('out')).toEqual({
      a: secret,
      b: 'stays',
      c: 'also stays',
      'of/a': 'made from in/a',
      'of/b': 'made from in/b',
      'of/c': 'made from in/c',
    })
    await world.close()
    expect(world.troubles).toEqual([])
  })

test('what only a job that failed had made', async () => {
  const disk = newDisk()
  const { world } = await inlineWorld({ copy }, { disk })
  await world.repo('in')
  await world.put(spec('out', 'in', ['copy'], { datumTries: 1 }))
  const bad = await world.commit('in', { a: LARGE, b: 'fail' })
  expect(await world.ended('out', bad.id)).toMatchObject({ state: 'failed' })
  const good = await world.commit('in', { a: null, b: 'mended' })
  await world.ended('out', good.id)
  await purge(world, 'in', 'a')
  expect(await isKept(disk, LARGE)).toBe(true)
  await purge(world, 'out', 'a')
  expect(await isKept(disk, LARGE)).toBe(false)
  const again = await world.commit('in', { a: LARGE })
  await world.ended('out', again.id)
  expect(await world.files('out')).toMatchObject({ a: LARGE, b: 'mended' })
  await world.close()
  expect(world.troubles).toEqual([])
})
