// Writes that a collection refuses in the middle: whoever has the content still sends it again, under the
// same request; whoever has not hears what to do.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { DEFAULT_PROJECT as P } from '../../src/model/name.ts'
import { parsePath } from '../../src/model/path.ts'
import { noise } from '../objects/fixture.ts'
import { makeWorld } from '../server/world.ts'
import type { World } from '../server/world.ts'
import { runAgainst } from './run.ts'
import type { Ran } from './run.ts'

const cwd = mkdtempSync(join(tmpdir(), 'varve-sent-again-'))
const SEGMENT = 200_000
let world: World
/** Requests that were sent with a body: their method and path, and their key. */
let sent: { what: string; key: string | null }[] = []

beforeAll(async () => {
  world = await makeWorld()
  await varve('repo create kept')
})
afterEach(() => {
  sent = []
})
afterAll(async () => {
  await world.close()
  rmSync(cwd, { recursive: true })
})

const varve = (args: string, stdin?: Uint8Array): Promise<Ran> =>
  runAgainst(world, args, {
    cwd,
    fetch: (input, init) => {
      const headers = new Headers(init?.headers)
      const what = `${init?.method} ${new URL(input as string).pathname.split('/').slice(-2).join('/')}`
      if (init?.body) sent.push({ what, key: headers.get('idempotency-key') })
      return fetch(input, init)
    },
    partSizes: { segmentBytes: SEGMENT, batchBytes: SEGMENT, batchFiles: 3 },
    ...(stdin && { stdin }),
  })

/**
 * A repo with this content is deleted, and collected while the next write of the server goes on: after
 * that has found its chunks there, and before it names them.
 */
async function collectedMeanwhile(repo: string, content: Uint8Array): Promise<void> {
  const { versions, ids, client } = world
  await varve(`repo create ${repo}`)
  const request = () => ({ id: ids(), principal: 'me' })
  const branch = { repo, branch: 'master' }
  await versions.commitFiles(
    P,
    branch,
    async (writer) => void (await writer.put(parsePath('x'), content)),
    request(),
  )
  let isFirst = true
  const collect = async (): Promise<void> => {
    if (!isFirst) return
    isFirst = false
    await versions.propose(P, [{ op: 'repo.delete', name: repo, force: true }], request())
    const steps = await Array.fromAsync(client.lines('POST /gc', { query: { waitMs: 0 } }))
    expect(steps.at(-1)).toMatchObject({ phase: 'done' })
    expect(steps.at(-1)?.deleted).toBeGreaterThan(0)
  }
  const { commitFiles, stageFiles } = versions
  const { add } = versions.uploads
  Object.assign(versions, {
    commitFiles: (...[project, key, write, ...rest]: Parameters<typeof commitFiles>) =>
      commitFiles.call(
        versions,
        project,
        key,
        async (writer) => {
          await write(writer)
          await collect()
        },
        ...rest,
      ),
    stageFiles: (...[project, key, write, ...rest]: Parameters<typeof stageFiles>) =>
      stageFiles.call(
        versions,
        project,
        key,
        async (writer) => {
          await write(writer)
          await collect()
        },
        ...rest,
      ),
  })
  Object.assign(versions.uploads, {
    add: (...[project, key, id, part, work, ...rest]: Parameters<typeof add>) =>
      add.call(
        versions.uploads,
        project,
        key,
        id,
        part,
        {
          ...work,
          write: async (writer) => {
            const about = await work.write(writer)
            // Several are on their way at once; this one has the content.
            if (part === 0) await collect()
            return about
          },
        },
        ...rest,
      ),
  })
}

async function read(path: string): Promise<Buffer> {
  const { content } = await world.client.download(
    'GET /projects/:project/repos/:repo/commits/:ref/file',
    { params: { project: P, repo: 'kept', ref: 'master' }, query: { path } },
  )
  return Buffer.concat(await Array.fromAsync(content))
}

const commits = async () =>
  (
    await world.client.call('GET /projects/:project/repos/:repo/commits', {
      params: { project: P, repo: 'kept' },
    })
  ).items

/** The same request, once more. */
function expectTwice(what: string): void {
  const keys = sent.filter((one) => one.what === what).map((one) => one.key)
  expect(keys).toHaveLength(2)
  expect(keys[0]).toMatch(/^[0-9a-f-]{32,36}$/)
  expect(keys[1]).toBe(keys[0])
}

test('a file', async () => {
  const content = noise(1, 150_000)
  writeFileSync(join(cwd, 'file'), content)
  await collectedMeanwhile('a', content)
  const before = (await commits()).length
  const put = await varve('file put kept@master:/file -f file')
  expect(put).toMatchObject({ code: 0 })
  expect(put.err).toContain('146.5 KiB in')
  expectTwice('PUT master/file')
  expect(await commits()).toHaveLength(before + 1)
  expect((await read('file')).equals(content)).toBe(true)
})

test('what is added to a file is added once', async () => {
  const more = noise(2, 120_000)
  writeFileSync(join(cwd, 'more'), more)
  await collectedMeanwhile('b', more)
  const put = await varve('file put kept@master:/file -f more --append')
  expect(put).toMatchObject({ code: 0, err: expect.stringContaining('put /file') })
  expectTwice('PUT master/file')
  expect((await read('file')).equals(Buffer.concat([noise(1, 150_000), more]))).toBe(true)
})

test('a folder, into an open commit', async () => {
  const content = noise(3, 120_000)
  mkdirSync(join(cwd, 'small'))
  writeFileSync(join(cwd, 'small', 'one'), content)
  writeFileSync(join(cwd, 'small', 'two'), 'two')
  expect(await varve('commit start kept@master')).toMatchObject({ code: 0 })
  await collectedMeanwhile('c', content)
  expect(await varve('file put kept@master:/d -r -f small')).toMatchObject({ code: 0 })
  expectTwice('PUT master/files')
  expect(await varve('commit finish kept@master')).toMatchObject({ code: 0 })
  expect((await read('d/one')).equals(content)).toBe(true)
  expect((await read('d/two')).toString()).toBe('two')
})

test('a segment of a big file and a batch of many small ones', async () => {
  const content = noise(4, 2 * SEGMENT + 5_000)
  mkdirSync(join(cwd, 'many'))
  for (let i = 0; i < 7; i++) writeFileSync(join(cwd, 'many', `f${i}`), noise(50 + i, 60_000))
  writeFileSync(join(cwd, 'many', 'big'), content)
  await collectedMeanwhile('d', content.subarray(0, SEGMENT))
  expect(await varve('file put kept@master:/many -r -f many')).toMatchObject({ code: 0 })
  expectTwice('PUT segments/0')
  sent = []
  await collectedMeanwhile('e', noise(60, 60_000))
  writeFileSync(join(cwd, 'many', 'f0'), noise(60, 60_000))
  writeFileSync(join(cwd, 'many', 'big'), 'small now')
  expect(await varve('file put kept@master:/again -r -f many')).toMatchObject({ code: 0 })
  expectTwice('PUT batches/0')
  expect((await read('many/big')).equals(content)).toBe(true)
  expect((await read('again/f0')).equals(noise(60, 60_000))).toBe(true)
})

test('bytes and blobs of whoever uses the client', async () => {
  const content = noise(7, 150_000)
  const params = { project: P, repo: 'kept', branch: 'master' }
  for (const [i, one] of [content, new Blob([content.slice()])].entries()) {
    await collectedMeanwhile(`f${i}`, content)
    const query = { path: `own${i}` }
    await world.client.upload('PUT /projects/:project/repos/:repo/branches/:branch/file', {
      params,
      query,
      content: one,
    })
    expect((await read(`own${i}`)).equals(content)).toBe(true)
    await varve(`file rm kept@master:/own${i}`)
  }
})

test('little of standard input is held meanwhile', async () => {
  const content = noise(9, 150_000)
  await collectedMeanwhile('h', content)
  expect(await varve('file put kept@master:/piped -f -', content)).toMatchObject({ code: 0 })
  expectTwice('PUT master/file')
  expect((await read('piped')).equals(content)).toBe(true)
})

test('much of standard input is gone: its author hears what to do', async () => {
  const content = noise(8, 1_500_000)
  await collectedMeanwhile('g', content)
  const put = await varve('file put kept@master:/piped -f -', content)
  expect(put.code).toBe(4)
  expect(put.err).toContain('(SESSION_CLOSED)')
  expect(put.err).toContain('try: send it again: what it was built on was being collected')
  expect(sent.filter((one) => one.what === 'PUT master/file')).toHaveLength(1)
  expect(await varve('file put kept@master:/piped -f -', content)).toMatchObject({ code: 0 })
  expect((await read('piped')).equals(content)).toBe(true)
})
