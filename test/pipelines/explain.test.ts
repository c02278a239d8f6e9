// Where a file came from must be where it came from, however much was brought since.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { utf8 } from '../../src/base/bytes.ts'
import type { Program } from '../../src/exec/adapters/inline/runner.ts'
import type { Commit, SourceRange } from '../../src/model/entities.ts'
import { parsePath } from '../../src/model/path.ts'
import type { FileExplanation } from '../../src/pipelines/service.ts'
import { PROJECT, inlineWorld, spec } from './world.ts'
import type { World } from './world.ts'

let world: World
beforeEach(async () => {
  const copy: Program = {
    version: '1',
    run: ({ list, text, write }) => {
      for (const path of list('feed')) write(path.replace('feed/', 'out/'), text(path))
      return 0
    },
  }
  ;({ world } = await inlineWorld({ copy }))
})
afterEach(async () => {
  await world.close()
  expect(world.troubles).toEqual([])
})

const request = (): { id: Commit['id']; principal: string } => ({
  id: world.core.ids(),
  principal: 'me',
})

function bring(path: string, text: string, range: SourceRange): Promise<Commit> {
  return world.core.versions.commitFiles(
    PROJECT,
    { repo: 'feed', branch: 'master' },
    (writer) => writer.put(parsePath(path), utf8(text)).then(() => undefined),
    request(),
    { feed: { spout: 's', epoch: 0, ranges: { part: range } } },
  )
}

function explain(repo: string, commit: Commit, path: string): Promise<FileExplanation> {
  const key = { repo, branch: 'master', id: commit.id }
  return world.pipelines.explainFile(PROJECT, key, parsePath(path))
}

test('explain: a result leads to the part of the feed its own input came from', async () => {
  const spout = { name: 's', repo: 'feed', branch: 'master', spec: {} }
  await world.core.versions.propose(PROJECT, [{ op: 'spout.put', spout }], request())
  await world.put(spec('out', 'feed', ['copy']))
  const first = await bring('a', 'one', { from: null, to: '3' })
  const second = await bring('b', 'two', { from: '3', to: '7' })
  const third = await bring('c', 'three', { from: '7', to: '9' })
  await world.ended('out', third.id)
  for (const [path, by, range] of [
    ['a', first, { from: null, to: '3' }],
    ['b', second, { from: '3', to: '7' }],
    ['c', third, { from: '7', to: '9' }],
  ] as const) {
    const [input] = (await explain('out', third, path)).inputs
    expect(input).toMatchObject({ path, brought: { id: by.id }, feed: { part: range } })
  }
})

test('explain: a file put again was brought by the last one that changed it', async () => {
  await world.repo('in')
  await world.commit('in', { a: 'one', b: 'stays' })
  const changed = await world.commit('in', { a: 'two' })
  const last = await world.commit('in', { a: 'two', c: 'new' })
  expect(await explain('in', last, 'a')).toMatchObject({ brought: { id: changed.id }, feed: null })
  await world.commit('in', { a: null })
  const again = await world.commit('in', { a: 'two' })
  expect((await explain('in', again, 'a')).brought?.id).toBe(again.id)
})

test('explain: what is not there yet is refused with what it waits for', async () => {
  await world.repo('in')
  const { versions } = world.core
  const branch = { repo: 'in', branch: 'master' }
  await versions.propose(PROJECT, [{ op: 'commit.open', branch, note: null }], request())
  for await (const open of versions.commits(PROJECT, 'in', { branch: 'master', limit: 1 })) {
    expect(open.state).toBe('open')
    await expect(explain('in', open, 'a')).rejects.toMatchObject({
      code: 'NOT_FOUND_PATH',
      message: `cannot find "a" in "in@master=${open.id}": the commit is open, not finished`,
    })
  }
})
