// A tree that is got, broken off anywhere, and got again.

import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { getTree } from '../../src/cli/downloading-tree.ts'
import { Folder } from '../../src/cli/local-files.ts'
import { Progress } from '../../src/cli/progress.ts'
import { Client } from '../../src/client/client.ts'
import { DEFAULT_PROJECT as P } from '../../src/model/name.ts'
import { parsePath } from '../../src/model/path.ts'
import { noise } from '../objects/fixture.ts'
import { makeWorld, TOKEN } from '../server/world.ts'
import type { World } from '../server/world.ts'
import { runAgainst } from './run.ts'
import type { Ran } from './run.ts'

const cwd = mkdtempSync(join(tmpdir(), 'varve-tree-'))
const out = join(cwd, 'out')
const BIG = 5 * 1024 * 1024 + 77
let world: World
/** What the repo holds. */
const files = new Map<string, Uint8Array>()

beforeAll(async () => {
  world = await makeWorld()
  await varve('repo create data')
  for (let i = 0; i < 40; i++) files.set(`a/${i % 4}/f${i}`, noise(i, 100 + i * 997))
  // Names that stand otherwise in the order of bytes than in that of paths.
  files.set('a/0.txt', noise(50, 70_000))
  files.set('a/0-x/y', noise(51, 90_000))
  files.set('b/big', noise(52, BIG))
  files.set('b/empty', new Uint8Array(0))
  files.set('z', noise(53, 10))
  for (const [path, bytes] of files) write(join(cwd, 'in', path), bytes)
  expect(await varve('file put data@master:/t -r -f in')).toMatchObject({ code: 0 })
}, 60_000)
beforeEach(() => rmSync(out, { recursive: true, force: true }))
afterAll(async () => {
  await world.close()
  rmSync(cwd, { recursive: true })
})

function write(to: string, bytes: Uint8Array): void {
  mkdirSync(dirname(to), { recursive: true })
  writeFileSync(to, bytes)
}

interface Downloaded extends Ran {
  /** Bytes of content that came. */
  readonly bytes: number
  readonly asked: readonly string[]
}

/**
 * @param cuts after so many bytes of content, and then after so many more, the connection is lost
 * @param isAway it is the server that is gone for a moment, and not the client that is stopped
 * @param others what else is content here: lists
 */
async function varve(
  args: string,
  cuts: number[] = [],
  isAway = false,
  others: readonly string[] = [],
): Promise<Downloaded> {
  const gone = new AbortController()
  const onCut = (): void => {
    if (!isAway) gone.abort()
  }
  const net = transport(cuts, onCut, others)
  const ran = await runAgainst(world, args, { cwd, signal: gone.signal, fetch: net.fetch })
  return { ...ran, bytes: net.bytes(), asked: net.asked }
}

function transport(cuts: number[], onCut: () => void, others: readonly string[]) {
  let bytes = 0
  let left = cuts.shift() ?? Infinity
  const asked: string[] = []
  const send: typeof fetch = async (input, init) => {
    const url = new URL(input as string)
    const answer = await fetch(input, init)
    const what = url.pathname.split('/').at(-1) as string
    asked.push(what)
    if (
      !['file', 'files', ...others].includes(what) ||
      !answer.ok ||
      !answer.body ||
      init?.method !== 'GET'
    )
      return answer
    const cut = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        const some = chunk.subarray(0, left)
        bytes += some.length
        left -= some.length
        if (some.length > 0) controller.enqueue(some)
        if (left > 0) return
        left = cuts.shift() ?? Infinity
        onCut()
        controller.error(new TypeError('terminated'))
      },
    })
    const { status, headers } = answer
    return new Response(answer.body.pipeThrough(cut), { status, headers })
  }
  return { fetch: send, asked, bytes: () => bytes }
}

const GET = 'file get data@master:/t -r --to out'

function expectWhole(): void {
  const there = readdirSync(out, { recursive: true, encoding: 'utf8' })
    .filter((path) => !lstatSync(join(out, path)).isDirectory())
    .toSorted()
  expect(there).toEqual([...files.keys()].toSorted())
  for (const [path, bytes] of files)
    expect(readFileSync(join(out, path)).equals(bytes), path).toBe(true)
}

const totalBytes = (): number => [...files.values()].reduce((n, one) => n + one.length, 0)

test('all of it; what is there is not got again', async () => {
  const first = await varve(GET)
  expect(first).toMatchObject({ code: 0 })
  expect(first.err).toContain(`got ${files.size} files into ${out}`)
  expectWhole()
  const again = await varve(GET)
  expect(again).toMatchObject({ code: 0, bytes: 0 })
  expect(again.err).toContain(`got 0 files into ${out}; ${files.size} files there already`)
  // Its time is another, its content is not; the content of the other is, and its time and size are not.
  const { atime, mtime, size } = statSync(join(out, 'a/0/f8'))
  writeFileSync(join(out, 'a/0/f8'), Buffer.alloc(size))
  utimesSync(join(out, 'a/0/f8'), atime, mtime)
  utimesSync(join(out, 'a/0/f4'), 1, 1)
  rmSync(join(out, 'z'))
  const mended = await varve(GET)
  expect(mended.err).toContain(`got 2 files into ${out}; ${files.size - 2} files there already`)
  expect(mended.bytes).toBeLessThan(100_000)
  expectWhole()
})

test('broken off anywhere, by either side, it goes on', async () => {
  const wholeBytes = totalBytes()
  for (const at of [1, 90_000, 700_000, 3_000_000, wholeBytes]) {
    rmSync(out, { recursive: true, force: true })
    const broken = await varve(GET, [at])
    expect([at, broken.code]).toEqual([at, 130])
    const here = existsSync(out) ? readdirSync(out, { recursive: true, encoding: 'utf8' }) : []
    // Whatever has its name is whole.
    for (const path of here)
      if (files.has(path)) expect(readFileSync(join(out, path)).equals(files.get(path)!)).toBe(true)
    const again = await varve(GET)
    expect(again).toMatchObject({ code: 0 })
    expectWhole()
    // Less than one archive's beginning, or one file under way, comes twice.
    const twice = broken.bytes + again.bytes - wholeBytes
    expect([at, twice < 400_000]).toEqual([at, true])
  }
  // The server is away a few times: the same command gets on by itself.
  rmSync(out, { recursive: true, force: true })
  const patient = await varve(GET, [50_000, 200, 250_000, 10_000, 1_000_000, 2_000_000], true)
  expect(patient).toMatchObject({ code: 0 })
  expectWhole()
  // And so while it tells what its files are: of each once.
  const sums = ['checksums']
  const unbroken = await varve(GET, [], true, sums)
  const compared = await varve(GET, [20, 900, 3_000], true, sums)
  expect(compared.err).toContain(`got 0 files into ${out}; ${files.size} files there already`)
  expect(compared.asked.filter((one) => one === 'checksums').length).toBeGreaterThan(3)
  expect(compared.bytes - unbroken.bytes).toBeLessThan(3 * 300)
})

test('a big file goes on in its middle, and not from what is damaged', async () => {
  const broken = await varve(GET, [3_000_000])
  expect(broken.code).toBe(130)
  expect(broken.err).toContain('the same command goes on from there')
  const part = readdirSync(join(out, 'b')).find((name) => name.endsWith('.varve-part'))
  expect(part).toMatch(/^big\.[0-9a-f]{16}\.varve-part$/)
  const partPath = join(out, 'b', part as string)
  const half = readFileSync(partPath)
  const again = await varve(GET)
  expect(again.err).toContain('"t/b/big" goes on where an earlier run broke off')
  expect(again.bytes).toBe(BIG - half.length)
  expectWhole()
  rmSync(join(out, 'b/big'))
  writeFileSync(partPath, half.fill(0, 5_000, 6_000))
  expect((await varve(GET)).err).toContain('damaged: it starts anew')
  expectWhole()
  // A part of another version, and what a killed run was just writing, are taken away.
  rmSync(join(out, 'b/big'))
  writeFileSync(join(out, 'b/big.0123456789abcdef.varve-part'), 'other')
  writeFileSync(join(out, 'a/1/.varve-part-0123456789abcdef'), 'torn')
  expect((await varve(GET)).err).toContain('is not what it was when it was begun')
  expectWhole()
})

test('of one commit, whatever is committed meanwhile', async () => {
  writeFileSync(join(cwd, 'other'), 'other')
  let isMoved = false
  const client = new Client({
    baseUrl: world.url,
    token: TOKEN,
    fetch: async (input, init) => {
      const answer = await fetch(input, init)
      if (!isMoved && (input as string).includes('/files')) {
        isMoved = true
        await varve('file put data@master:/t/z -f other')
        await varve('file rm data@master:/t/b/big')
      }
      return answer
    },
  })
  const { id } = await client.call('GET /projects/:project/repos/:repo/commits/:ref', {
    params: { project: P, repo: 'data', ref: 'master' },
  })
  const silent = { stderr: { write: () => true, once: () => undefined }, nowMs: Date.now, what: '' }
  // Windows of few files, and every file of some size alone.
  const got = await getTree({
    client,
    params: { project: P, repo: 'data', ref: id },
    base: parsePath('t'),
    folder: new Folder(out),
    progress: new Progress(silent),
    note: () => undefined,
    signal: new AbortController().signal,
    sizes: { windowFiles: 7, aloneBytes: 20_000 },
  })
  expect(got).toMatchObject({ files: files.size, kept: 0 })
  expect(isMoved).toBe(true)
  expectWhole()
  // Of the branch as it is now: one is other, one is no more, and stays.
  const newer = await varve(GET)
  expect(newer.err).toContain(`got 1 file into ${out}; ${files.size - 2} files there already`)
  expect(readFileSync(join(out, 'z'), 'utf8')).toBe('other')
})

test('what stands in the way is said', async () => {
  const refused = async (args: string, ...said: string[]): Promise<void> => {
    const ran = await varve(args)
    expect([args, ran.code]).toEqual([args, 2])
    for (const one of said) expect(ran.err).toContain(one)
    expect(ran.err).toContain('try: ')
  }
  writeFileSync(join(cwd, 'plain'), 'a file')
  await refused(
    'file get data@master:/t -r --to plain',
    'plain": a file is where a folder should be',
  )
  await refused(
    'file get data@master:/t -r --to plain/below',
    'cannot write "',
    'a file is where a folder should be',
  )
  await refused(
    'file get data@master:/t/z --to plain/below',
    'cannot write "',
    'a file is where a folder should be',
  )
  mkdirSync(join(cwd, 'folder'))
  for (const part of ['', ' --offset 3'])
    await refused(`file get data@master:/t/z --to folder${part}`, 'there is a folder of this name')
  expect(readdirSync(cwd).filter((name) => name.startsWith('folder'))).toEqual(['folder'])
  await refused('file get data@master:/t/z -r', 'it is a file; leave -r')
  await refused('file get data@master:/t --to t', 'it is a directory; add -r')
  await refused('file get data@master:/t -r --offset 5', 'a part of a directory')
  await refused('file get data@master:/t -r --to -', 'standard output')
  expect((await varve('file get data@master:/t/z --offset x')).err).toContain(
    'a whole number from 0',
  )
  expect((await varve('file get data@master:/nothing -r')).err).toContain('(NOT_FOUND_PATH)')

  // A link is never followed, neither as a folder nor as a file that is compared.
  const aside = join(cwd, 'aside')
  mkdirSync(aside)
  mkdirSync(out)
  symlinkSync(aside, join(out, 'a'))
  await refused(GET, 'it is a symbolic link')
  expect(readdirSync(aside)).toEqual([])
  rmSync(join(out, 'a'))
  writeFileSync(join(aside, 'z'), readFileSync(join(cwd, 'other')))
  symlinkSync(join(aside, 'z'), join(out, 'z'))
  mkdirSync(join(out, 'b', 'empty'), { recursive: true })
  await refused(GET, 'empty": there is a folder of this name')
  rmSync(join(out, 'b', 'empty'), { recursive: true })
  expect(await varve(GET)).toMatchObject({ code: 0 })
  expect(lstatSync(join(out, 'z')).isFile()).toBe(true)
  expect(readdirSync(aside)).toEqual(['z'])
})
