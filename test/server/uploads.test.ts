import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TAR_END, tarHead, tarPadding, writeTar } from '../../src/api/tar.ts'
import type { Path } from '../../src/model/path.ts'
import { bytes, makeWorld, textOf } from './world.ts'
import type { World } from './world.ts'

let world: World
const project = 'default'
const branch = { project, repo: 'data', branch: 'master' }
const UPLOADS = '/projects/:project/repos/:repo/branches/:branch/uploads'
const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex')

beforeAll(async () => {
  world = await makeWorld()
  await world.client.call('POST /projects/:project/repos', {
    params: { project },
    body: { name: 'data' },
  })
})
afterAll(() => world.close())

const begin = async (source = ''): Promise<string> =>
  (await world.client.call(`POST ${UPLOADS}`, { params: branch, body: { source } })).upload

const segment = (upload: string, part: number, path: string, at: number, of: Uint8Array, n = 100) =>
  world.client.upload(`PUT ${UPLOADS}/:upload/segments/:part`, {
    params: { ...branch, upload, part: String(part) },
    query: { path, offset: at, totalBytes: of.length },
    content: of.subarray(at, at + n),
  })

const batch = (upload: string, part: number, content: AsyncIterable<Uint8Array> | Uint8Array) =>
  world.client.upload(`PUT ${UPLOADS}/:upload/batches/:part`, {
    params: { ...branch, upload, part: String(part) },
    query: { path: 'in' },
    content,
  })

const finish = (upload: string, parts: number) =>
  world.client.call(`POST ${UPLOADS}/:upload/finish`, {
    params: { ...branch, upload },
    body: { parts },
  })

const head = async (): Promise<string | null> =>
  (await world.versions.branch(project, branch))?.head?.id ?? null

async function* named(files: Readonly<Record<string, string>>) {
  for (const [path, text] of Object.entries(files))
    yield { path, sizeBytes: Buffer.byteLength(text), content: Buffer.from(text) }
}

const read = async (path: string): Promise<string> =>
  textOf(
    (
      await world.client.download('GET /projects/:project/repos/:repo/commits/:ref/file', {
        params: { project, repo: 'data', ref: 'master' },
        query: { path },
      })
    ).content,
  )

test('segments in any order and batches are one commit, as if each file had come whole', async () => {
  const big = randomBytes(700_000)
  const size = 250_000
  const upload = await begin('folder')
  await Promise.all([
    segment(upload, 3, 'in/big', 2 * size, big, size),
    segment(upload, 1, 'in/big', 0, big, size),
    batch(upload, 0, writeTar(named({ one: '1', 'deep/two': '22' }))),
    segment(upload, 2, 'in/big', size, big, size),
  ])
  const [known] = await Array.fromAsync(
    world.client.lines(`GET ${UPLOADS}`, { params: branch, query: { source: 'folder' } }),
  )
  expect(known).toMatchObject({ upload, parts: 4, files: 3, bytes: big.length + 3 })
  const parts = await Array.fromAsync(
    world.client.lines(`GET ${UPLOADS}/:upload/parts`, { params: { ...branch, upload } }),
  )
  expect(parts.map(({ part, kind, offset }) => [part, kind, offset])).toEqual([
    [0, 'batch', 0],
    [1, 'segment', 0],
    [2, 'segment', size],
    [3, 'segment', 2 * size],
  ])
  expect(parts[2]?.sha256).toBe(sha256(big.subarray(size, 2 * size)))
  expect(await head()).toBeNull()
  const made = await finish(upload, 4)
  expect(made).toMatchObject({ finished: true, files: 3, bytes: big.length + 3 })
  expect(await head()).toBe(made.commit)
  expect([await read('in/one'), await read('in/deep/two')]).toEqual(['1', '22'])

  const whole = await world.versions.objects.writer(null).put('x' as Path, big)
  const root = (await world.versions.branch(project, branch))?.head?.root ?? null
  const stored = await world.versions.objects.stat(root, 'in/big' as Path)
  expect(stored?.digest).toBe(whole.digest)
  // Asked again it is the same commit, and nothing can be added.
  expect(await finish(upload, 4)).toEqual(made)
  await expect(segment(upload, 4, 'in/late', 0, big)).rejects.toMatchObject({ code: 'NOT_OPEN' })
  expect(await Array.fromAsync(world.versions.uploads.roots(project))).toEqual([])
})

test('a part that is there stays; what is missing, double or torn is named', async () => {
  const file = randomBytes(250)
  const upload = await begin()
  const first = await segment(upload, 0, 'f', 0, file)
  expect(await segment(upload, 0, 'f', 0, file)).toEqual(first)
  await expect(segment(upload, 0, 'f', 100, file)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
  await segment(upload, 2, 'f', 200, file)
  await expect(finish(upload, 3)).rejects.toThrow('part 1 of 3 has not come')
  await segment(upload, 1, 'f', 150, file)
  await expect(finish(upload, 3)).rejects.toThrow(
    '"f" has nothing, or something twice, at byte 100',
  )
  const other = await begin()
  await segment(other, 0, 'f', 0, file)
  await expect(finish(other, 1)).rejects.toThrow('"f" has 100 bytes of 250')
  await expect(segment(other, 1, 'f', 200, file.subarray(0, 210))).resolves.toBeDefined()
  await expect(finish(other, 2)).rejects.toThrow('different sizes')
  await expect(finish(other, 1)).rejects.toThrow('2 parts have come, 1 are to be all of it')
  await expect(
    world.client.upload(`PUT ${UPLOADS}/:upload/segments/:part`, {
      params: { ...branch, upload: other, part: '2' },
      query: { path: 'f', offset: 200, totalBytes: 250 },
      content: file,
    }),
  ).rejects.toThrow('"f" is to have 250')
  const kept = await Array.fromAsync(world.versions.uploads.roots(project))
  expect(kept).toHaveLength(5)
  for (const gone of [upload, other])
    await world.client.call(`DELETE ${UPLOADS}/:upload`, { params: { ...branch, upload: gone } })
  expect(await Array.fromAsync(world.versions.uploads.roots(project))).toEqual([])
  await expect(finish(upload, 3)).rejects.toMatchObject({ code: 'NOT_FOUND_UPLOAD' })
})

test('an upload ends in the open commit of its branch, and is nobody else’s', async () => {
  const open = await world.client.call(
    'POST /projects/:project/repos/:repo/branches/:branch/commits',
    { params: branch, body: {} },
  )
  const upload = await begin()
  await batch(upload, 0, writeTar(named({ open: 'open' })))
  const elsewhere = { ...branch, branch: 'other', upload }
  await expect(
    world.client.call(`GET ${UPLOADS}/:upload`, { params: elsewhere }),
  ).rejects.toMatchObject({ code: 'NOT_FOUND_UPLOAD' })
  expect(await finish(upload, 1)).toMatchObject({ commit: open.id, finished: false })
  await expect(read('in/open')).rejects.toMatchObject({ code: 'NOT_FOUND_PATH' })
  await world.client.call('POST /projects/:project/repos/:repo/commits/:ref/finish', {
    params: { project, repo: 'data', ref: 'master' },
  })
  expect(await read('in/open')).toBe('open')
})

/** One file of an archive with its type, and what it links to, as somebody hostile writes it. */
function entry(path: string, text: string, type = '0'): Buffer {
  const all = Buffer.from(tarHead(path, text.length))
  // A long name stands before it.
  const head = all.subarray(-512)
  head[156] = type.charCodeAt(0)
  head.write('        ', 148)
  const sum = head.reduce((all, byte) => all + byte, 0)
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return Buffer.concat([all, Buffer.from(text), new Uint8Array(tarPadding(text.length))])
}

test.each([
  ['climbs out', entry('../evil', 'x'), 'INVALID_PATH'],
  ['climbs out in the middle', entry('a/../../evil', 'x'), 'INVALID_PATH'],
  ['has an empty part', entry('a//b', 'x'), 'INVALID_PATH'],
  ['is a symbolic link', entry('link', '', '2'), 'INVALID_OPTION'],
  ['is a hard link', entry('link', '', '1'), 'INVALID_OPTION'],
  ['is a device', entry('null', '', '3'), 'INVALID_OPTION'],
  ['is a pipe', entry('pipe', '', '6'), 'INVALID_OPTION'],
  ['is a sparse file', entry('sparse', 'x', 'S'), 'INVALID_OPTION'],
  ['has a part over 255 bytes', entry('n'.repeat(256), 'x'), 'INVALID_PATH'],
  ['has over 1,024 bytes', entry(`${'n/'.repeat(512)}n`, 'x'), 'INVALID_PATH'],
  [
    'is a file and a directory',
    Buffer.concat([entry('b', 'x'), entry('b/c', 'x')]),
    'PATH_CONFLICT',
  ],
])('an archive with a file that %s is refused whole', async (_, evil, code) => {
  const upload = await begin()
  const archive = (): Buffer => Buffer.concat([entry('good', 'good'), evil, TAR_END])
  await expect(batch(upload, 0, archive())).rejects.toMatchObject({ code })
  await expect(
    world.client.upload('PUT /projects/:project/repos/:repo/branches/:branch/files', {
      params: { ...branch, branch: 'hostile' },
      content: archive(),
    }),
  ).rejects.toMatchObject({ code })
  expect(await world.versions.branch(project, { repo: 'data', branch: 'hostile' })).toBeUndefined()
  // The same part again, whole this time.
  await batch(upload, 0, Buffer.concat([entry('good', 'good'), TAR_END]))
  expect((await finish(upload, 1)).files).toBe(1)
})

test('an archive cut short between two files is refused; of one name the later file counts', async () => {
  const upload = await begin()
  const files = Buffer.concat([entry('twice', 'one'), entry('./twice', 'two')])
  await expect(batch(upload, 0, files)).rejects.toThrow('without its end mark')
  await batch(upload, 0, bytes(files.toString('latin1'), '\0'.repeat(9 * 512)))
  await finish(upload, 1)
  expect(await read('in/twice')).toBe('two')
})

test('a checksum is of the bytes asked for', async () => {
  await world.client.upload('PUT /projects/:project/repos/:repo/branches/:branch/file', {
    params: branch,
    query: { path: 'sum' },
    content: bytes('0123456789'),
  })
  const ask = (query: object) =>
    world.client.call('GET /projects/:project/repos/:repo/commits/:ref/checksum', {
      params: { project, repo: 'data', ref: 'master' },
      query: { path: 'sum', ...query },
    })
  expect(await ask({})).toMatchObject({ sha256: sha256(Buffer.from('0123456789')), bytes: 10 })
  expect(await ask({ offset: 2, length: 3 })).toMatchObject({
    sha256: sha256(Buffer.from('234')),
    bytes: 3,
  })
})
