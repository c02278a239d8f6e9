import { afterAll, beforeAll, expect, test } from 'vitest'
import { idSource } from '../../src/model/id.ts'
import { systemClock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import { Retention } from '../../src/versions/retention.ts'
import { bytes, makeWorld } from './world.ts'
import type { World } from './world.ts'

let world: World
const project = 'default'
const COMMIT = 'GET /projects/:project/repos/:repo/commits/:ref'
const DROP = 'POST /projects/:project/repos/:repo/commits/:ref/drop'

beforeAll(async () => {
  world = await makeWorld()
})
afterAll(() => world.close())

/** A repo with one commit for each text of the file `f`, the oldest first. */
async function repoOf(repo: string, ...texts: string[]): Promise<string[]> {
  await world.client.call('POST /projects/:project/repos', {
    params: { project },
    body: { name: repo },
  })
  const ids: string[] = []
  for (const text of texts) {
    const { commit } = await world.client.upload(
      'PUT /projects/:project/repos/:repo/branches/:branch/file',
      {
        params: { project, repo, branch: 'master' },
        query: { path: 'f', message: `the text ${text.length}` },
        content: bytes(text),
      },
    )
    ids.push(commit)
  }
  return ids
}

const diffOf = (repo: string, ref: string) =>
  Array.fromAsync(
    world.client.lines('GET /projects/:project/repos/:repo/commits/:ref/diff', {
      params: { project, repo, ref },
    }),
  )

test('a dropped commit is there by name, is read no more, and is passed over in a diff', async () => {
  const repo = 'drops'
  const [first, second, third] = (await repoOf(repo, '1', '22', '333')) as [string, string, string]
  const at = (ref: string) => ({ params: { project, repo, ref } })
  const dry = await world.client.call(DROP, { ...at(second), query: { dryRun: true } })
  expect(dry).toMatchObject({ id: second, droppedAtMs: null })
  for (const dryRun of [true, false])
    await expect(world.client.call(DROP, { ...at('master'), query: { dryRun } })).rejects.toThrow(
      'it is the head of "drops@master"',
    )
  const dropped = await world.client.call(DROP, at(second))
  expect(dropped).toMatchObject({ id: second, files: 1, bytes: 2, message: null, parent: first })
  expect(dropped.droppedAtMs).toBeGreaterThan(0)
  expect(await world.client.call(DROP, at(second))).toEqual(dropped)
  expect(await world.client.call(COMMIT, at('master^'))).toMatchObject(dropped)
  for (const route of ['ls', 'files', 'glob?pattern=*', 'stat?path=f', 'file?path=f', 'diff']) {
    const answer = await world.raw(
      `/api/v1/projects/${project}/repos/${repo}/commits/${second}/${route}`,
    )
    expect(await answer.json()).toMatchObject({ code: 'NOT_FOUND_COMMIT' })
  }
  expect(await diffOf(repo, third)).toMatchObject([{ old: { bytes: 1 }, new: { bytes: 3 } }])
  await world.client.call(DROP, at(first))
  await expect(diffOf(repo, third)).rejects.toMatchObject({ code: 'NOT_FOUND_COMMIT' })
  await expect(world.client.call(DROP, at('mastr'))).rejects.toThrow('did you mean "master"')
})

test('rules are set, shown, refused when they keep nothing, and followed', async () => {
  const repo = 'ruled'
  const [, , third] = await repoOf(repo, '1', '22', '333')
  const keep = { last: 1, youngerThanMs: null }
  const REPO = 'PUT /projects/:project/repos/:repo/retention'
  const BRANCH = 'PUT /projects/:project/repos/:repo/branches/:branch/retention'
  const params = { project, repo }
  expect(await world.client.call(REPO, { params, body: { keep: 'all' } })).toMatchObject({
    name: repo,
    keep: 'all',
  })
  const branch = { params: { ...params, branch: 'master' }, body: { keep } }
  expect(await world.client.call(BRANCH, branch)).toMatchObject({ keep })
  for (const last of [null, 0, 1.5])
    await expect(
      world.client.call(REPO, { params, body: { keep: { last, youngerThanMs: null } } }),
    ).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  const newId = idSource(systemClock, seededRandom(4))
  const guests = { versions: world.versions, clock: systemClock, newId }
  await new Retention(guests, project).sweep(repo)
  const { items } = await world.client.call('GET /projects/:project/repos/:repo/commits', {
    params,
  })
  const kept = items.filter(({ droppedAtMs }) => droppedAtMs === null)
  expect(kept.map(({ id }) => id)).toEqual([third])
  const { keep: none } = await world.client.call(BRANCH, { ...branch, body: { keep: null } })
  expect(none).toBeNull()
})

test('what a repo, a branch and a commit cost, and what dropping one would free', async () => {
  const repo = 'costly'
  const text = (n: number): string => Array.from({ length: 9_000 }, (_, i) => i * n).join(' ')
  const [first] = (await repoOf(repo, text(3), text(7), text(11))) as [string]
  const params = { project, repo }
  const usage = (ref?: string) =>
    Array.fromAsync(
      world.client.lines('GET /projects/:project/repos/:repo/usage', {
        params,
        query: { ref },
      }),
    )
  const [branch, whole] = await usage()
  expect(branch).toMatchObject({ repo, branch: 'master', commit: null, commits: 3, files: 1 })
  expect(whole).toMatchObject({ repo, branch: null, commits: 3, bytes: text(11).length })
  const commits = await usage('master')
  expect(commits).toHaveLength(4)
  for (const { storedBytes, uniqueBytes, sharedBytes } of commits) {
    expect(uniqueBytes).toBeGreaterThan(1_000)
    expect(sharedBytes).toBe(storedBytes - uniqueBytes)
  }
  expect(commits.at(-1)).toMatchObject({ storedBytes: whole?.storedBytes, commits: 3 })
  const [one, ...more] = await usage(first)
  expect(more).toEqual([])
  expect(one).toEqual(commits[2])
  await world.client.call(DROP, { params: { ...params, ref: first } })
  const [after] = await usage()
  expect(after?.storedBytes).toBe((branch?.storedBytes ?? 0) - (one?.uniqueBytes ?? 0))
  await expect(usage(first)).rejects.toMatchObject({ code: 'NOT_FOUND_COMMIT' })
  const all = await Array.fromAsync(
    world.client.lines('GET /projects/:project/usage', { params: { project } }),
  )
  expect(all.find((row) => row.repo === repo)?.storedBytes).toBe(after?.storedBytes)
  expect(all.at(-1)?.repo).toBeNull()
})
