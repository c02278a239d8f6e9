import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { writeTar } from '../../src/api/tar.ts'
import { bytes, makeWorld, textOf } from './world.ts'
import type { World } from './world.ts'

let world: World
const project = 'default'
const P = '/api/v1/projects/default/repos'

beforeAll(async () => {
  world = await makeWorld({ maxUploadBytes: 8 << 20 })
  await world.client.call('POST /projects/:project/repos', {
    params: { project },
    body: { name: 'data' },
  })
})
afterAll(() => world.close())

const put = (path: string, ...parts: string[]) =>
  world.client.upload('PUT /projects/:project/repos/:repo/branches/:branch/file', {
    params: { project, repo: 'data', branch: 'master' },
    query: { path },
    content: bytes(...parts),
  })
const get = async (path: string, ref = 'master') => {
  const file = await world.client.download('GET /projects/:project/repos/:repo/commits/:ref/file', {
    params: { project, repo: 'data', ref },
    query: { path },
  })
  return textOf(file.content)
}

test('a put is a commit of its own, and every version of it stays readable', async () => {
  const first = await put('a/hello', 'one ', 'two')
  const second = await put('a/hello', 'three')
  expect(first).toMatchObject({ finished: true, files: 1, bytes: 7 })
  expect(await get('a/hello')).toBe('three')
  expect(await get('/a/hello', first.commit)).toBe('one two')
  expect(await get('a/hello', 'master^')).toBe('one two')
  const diff = await Array.fromAsync(
    world.client.lines('GET /projects/:project/repos/:repo/commits/:ref/diff', {
      params: { project, repo: 'data', ref: second.commit },
    }),
  )
  expect(diff).toMatchObject([{ path: 'a/hello', change: 'changed', old: { bytes: 7 } }])
})

test('a patch replaces a stretch of what is there, and says what cannot be', async () => {
  const patch = (query: { path: string; offset?: number; delete?: number }, content: string) =>
    world.client.upload('PUT /projects/:project/repos/:repo/branches/:branch/file', {
      params: { project, repo: 'data', branch: 'master' },
      query,
      content: bytes(content),
    })
  await put('patched', '0123456789')
  await patch({ path: 'patched', offset: 2, delete: 3 }, 'two three four')
  await patch({ path: 'patched', offset: 0 }, '>')
  expect(await get('patched')).toBe('>01two three four56789')
  const wrong = [
    [{ path: 'patched', offset: 30 }, 'INVALID_OPTION'],
    [{ path: 'patched', delete: 3 }, 'INVALID_OPTION'],
    [{ path: 'absent', offset: 0 }, 'NOT_FOUND_PATH'],
  ] as const
  for (const [query, code] of wrong) await expect(patch(query, 'x')).rejects.toMatchObject({ code })
  expect(await get('patched')).toBe('>01two three four56789')
})

test('ranges, conditions and HEAD answer as HTTP says', async () => {
  await put('range', '0123456789')
  const file = `${P}/data/commits/master/file?path=range`
  const whole = await world.raw(file)
  const etag = String(whole.headers.get('etag'))
  expect(whole.headers.get('content-length')).toBe('10')
  await whole.arrayBuffer()
  const asked = async (range: string, more = {}): Promise<[number, string, string | null]> => {
    const answer = await world.raw(file, { headers: { range, ...more } })
    return [answer.status, await answer.text(), answer.headers.get('content-range')]
  }
  expect(await asked('bytes=2-4')).toEqual([206, '234', 'bytes 2-4/10'])
  expect(await asked('bytes=7-')).toEqual([206, '789', 'bytes 7-9/10'])
  expect(await asked('bytes=-3')).toEqual([206, '789', 'bytes 7-9/10'])
  expect(await asked('bytes=5-99')).toEqual([206, '56789', 'bytes 5-9/10'])
  expect((await asked('bytes=4-2'))[0]).toBe(200)
  expect(await asked('bytes=2-4', { 'if-range': '"other"' })).toEqual([200, '0123456789', null])
  expect((await asked('bytes=2-4', { 'if-range': etag }))[1]).toBe('234')
  const [status, problem, range] = await asked('bytes=10-')
  expect([status, range]).toEqual([416, 'bytes */10'])
  expect(JSON.parse(problem)).toMatchObject({ code: 'INVALID_OPTION', status: 416 })
  expect((await world.raw(file, { headers: { 'if-none-match': etag } })).status).toBe(304)
  const head = await world.raw(file, { method: 'HEAD' })
  expect([head.status, head.headers.get('content-length')]).toEqual([200, '10'])
})

test('files are never run as a page of ours', async () => {
  await put('evil.html', '<script>alert(1)</script>')
  const answer = await world.raw(`${P}/data/commits/master/file?path=evil.html`)
  expect(answer.headers.get('content-type')).toBe('application/octet-stream')
  expect(answer.headers.get('content-disposition')).toMatch(/^attachment/)
  expect(answer.headers.get('content-security-policy')).toContain('sandbox')
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
})

test('an archive goes up and comes down whole, in one commit', async () => {
  const contents = new Map(
    Array.from({ length: 300 }, (_, i) => [`t/${i % 7}/file-${i}`, `content ${i}\n`.repeat(i)]),
  )
  const name = `t/${'long-name/'.repeat(20)}ü`
  contents.set(name, 'x')
  async function* files() {
    for (const [path, text] of contents)
      yield { path, sizeBytes: Buffer.byteLength(text), content: bytes(text) }
  }
  const before = (await list('data')).length
  const result = await world.client.upload(
    'PUT /projects/:project/repos/:repo/branches/:branch/files',
    {
      params: { project, repo: 'data', branch: 'master' },
      query: { path: 'up', message: 'many' },
      content: writeTar(files()),
    },
  )
  expect(result.files).toBe(301)
  const commits = await list('data')
  expect(commits.length).toBe(before + 1)
  expect(commits[0]?.message).toBe('many')
  const { readTar } = await import('../../src/api/tar.ts')
  const down = await world.client.download(
    'GET /projects/:project/repos/:repo/commits/:ref/files',
    { params: { project, repo: 'data', ref: 'master' }, query: { path: 'up' } },
  )
  const got = new Map<string, string>()
  for await (const file of readTar(down.content)) got.set(file.path, await textOf(file.content))
  expect(got.size).toBe(contents.size)
  for (const [path, text] of contents) expect(got.get(path)).toBe(text)
})

const list = async (repo: string) =>
  (
    await world.client.call('GET /projects/:project/repos/:repo/commits', {
      params: { project, repo },
    })
  ).items

test('puts go into the open commit, and show when it is finished', async () => {
  const params = { project, repo: 'data', branch: 'master' }
  const open = await world.client.call(
    'POST /projects/:project/repos/:repo/branches/:branch/commits',
    { params, body: { message: 'together' } },
  )
  const one = await put('open/1', 'one')
  await put('open/2', 'two')
  expect(one).toMatchObject({ commit: open.id, finished: false })
  await expect(get('open/1')).rejects.toMatchObject({ code: 'NOT_FOUND_PATH' })
  const done = await world.client.call('POST /projects/:project/repos/:repo/commits/:ref/finish', {
    params: { project, repo: 'data', ref: 'master' },
  })
  expect(done).toMatchObject({ id: open.id, state: 'finished', message: 'together' })
  expect([await get('open/1'), await get('open/2')]).toEqual(['one', 'two'])
})

test('the same key with the same bytes is one commit; with other bytes it is refused', async () => {
  const key = world.ids()
  const send = (body: string, idempotencyKey: string = key) =>
    world.raw(`${P}/data/branches/master/file?path=once`, {
      method: 'PUT',
      headers: { 'idempotency-key': idempotencyKey },
      body,
    })
  const first = (await (await send('same')).json()) as { commit: string }
  const again = (await (await send('same')).json()) as { commit: string }
  expect(first.commit).toBe(key)
  expect(again.commit).toBe(key)
  expect((await list('data')).filter((row) => row.id === key)).toHaveLength(1)
  const other = await send('different')
  expect([other.status, ((await other.json()) as { code: string }).code]).toEqual([
    409,
    'KEY_REUSED',
  ])
  const wrong = await send('x', '0b0e5c1e-7c7d-4c3e-9f0a-1f2a3b4c5d6e')
  const problem = (await wrong.json()) as { detail: string; status: number }
  expect(problem.status).toBe(400)
  expect(problem.detail).toContain('must be a UUIDv7')
})

test('an upload past the limit is refused and leaves no commit', async () => {
  const before = await list('data')
  const mebibyte = 'x'.repeat(1 << 20)
  await expect(put('large', ...Array.from({ length: 9 }, () => mebibyte))).rejects.toMatchObject({
    code: 'TOO_LARGE',
  })
  expect(await list('data')).toEqual(before)
})

test('a large file streams through unchanged', async () => {
  const chunk = Buffer.alloc(1 << 20)
  for (let i = 0; i < chunk.length; i++) chunk[i] = (i * 2_654_435_761) >>> 24
  const hash = createHash('sha256')
  async function* content() {
    for (let i = 0; i < 7; i++) {
      const part = Buffer.from(chunk)
      part[0] = i
      hash.update(part)
      yield part
    }
  }
  await world.client.upload('PUT /projects/:project/repos/:repo/branches/:branch/file', {
    params: { project, repo: 'data', branch: 'master' },
    query: { path: 'big' },
    content: content(),
  })
  const down = await world.client.download('GET /projects/:project/repos/:repo/commits/:ref/file', {
    params: { project, repo: 'data', ref: 'master' },
    query: { path: 'big' },
  })
  const back = createHash('sha256')
  for await (const part of down.content) back.update(part)
  expect(back.digest('hex')).toBe(hash.digest('hex'))
})

test('paths that leave the repo, and misspelt ones, are refused with what helps', async () => {
  const bad = await world.raw(`${P}/data/commits/master/file?path=../etc/passwd`)
  expect([bad.status, ((await bad.json()) as { code: string }).code]).toEqual([400, 'INVALID_PATH'])
  await put('config.json', '{}')
  await expect(get('confg.json')).rejects.toThrow(/config\.json/)
  await expect(
    world.client.call('GET /projects/:project/repos/:repo', {
      params: { project, repo: 'dta' },
    }),
  ).rejects.toMatchObject({ code: 'NOT_FOUND_REPO', message: expect.stringContaining('"data"') })
})
