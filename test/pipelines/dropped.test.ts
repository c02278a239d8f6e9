// What is left to be told of a pipeline when versions of it, and of what it read, were dropped.

import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Program } from '../../src/exec/adapters/inline/runner.ts'
import type { CommitKey } from '../../src/model/entities.ts'
import { parsePath } from '../../src/model/path.ts'
import { PROJECT, inlineWorld, spec } from './world.ts'
import type { World } from './world.ts'

let world: World
beforeEach(async () => {
  const copy: Program = {
    version: '1',
    run: ({ list, text, write }) => {
      for (const path of list('in')) write(path.replace('in/', 'out/'), text(path))
      return 0
    },
  }
  ;({ world } = await inlineWorld({ copy }))
})
afterEach(async () => {
  await world.close()
  expect(world.troubles).toEqual([])
})

test('jobs go with their commits; results built on them are made and explained as before', async () => {
  const { versions, ids } = world.core
  await world.repo('in')
  await world.put(spec('out', 'in', ['copy']))
  const first = await world.commit('in', { a: 'one' })
  await world.ended('out', first.id)
  const second = await world.commit('in', { b: 'two' })
  await world.ended('out', second.id)
  const drop = (...keys: readonly CommitKey[]) => {
    const commits = keys.map(({ repo, branch, id }) => ({ repo, branch, id }))
    const request = { id: ids(), principal: 'me' }
    return versions.propose(PROJECT, [{ op: 'commit.drop', commits }], request)
  }
  const out = { repo: 'out', branch: 'master' }
  await drop(first, { ...out, id: first.id })
  const refused = { code: 'NOT_FOUND_COMMIT' }
  const ofJob = { job: first.id }
  await expect(
    Array.fromAsync(world.pipelines.datums(PROJECT, 'out', first.id)),
  ).rejects.toMatchObject(refused)
  await expect(Array.fromAsync(world.pipelines.logs(PROJECT, 'out', ofJob))).rejects.toMatchObject(
    refused,
  )
  const explain = (id: CommitKey['id'], path: string) =>
    world.pipelines.explainFile(PROJECT, { ...out, id }, parsePath(path))
  await expect(explain(first.id, 'a')).rejects.toMatchObject(refused)
  // Its datum ran in the job that was dropped, and counts.
  expect(await explain(second.id, 'a')).toMatchObject({
    datum: { state: 'skipped', why: 'unchanged', job: first.id },
    inputs: [{ path: 'a', brought: null }],
  })
  const third = await world.commit('in', { c: 'three' })
  const { counts } = await world.ended('out', third.id)
  expect(counts).toMatchObject({ total: 3, ran: 1 })
  // An input that is named by a result that is kept.
  await drop(second)
  expect((await explain(second.id, 'b')).inputs).toMatchObject([
    { path: 'b', commit: { id: second.id }, brought: null, inputs: [] },
  ])
})
