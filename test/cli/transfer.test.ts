import { randomBytes } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TAR_END, tarHead, writeTar } from '../../src/api/tar.ts'
import { Folder, saveTar } from '../../src/cli/local-files.ts'
import { makeWorld } from '../server/world.ts'
import type { World } from '../server/world.ts'
import { runAgainst } from './run.ts'
import type { Ran } from './run.ts'

let world: World
const cwd = mkdtempSync(join(tmpdir(), 'varve-transfer-'))

beforeAll(async () => {
  world = await makeWorld()
  await varve('repo create data')
})
afterAll(async () => {
  await world.close()
  rmSync(cwd, { recursive: true })
})

interface Transferred extends Ran {
  /** Method and path of what was asked, and how it was answered. */
  readonly asked: readonly string[]
}

/** @param breaks the connection to the server is lost at the first request it is true of, for good */
async function varve(
  args: string,
  breaks: (asked: string) => boolean = () => false,
): Promise<Transferred> {
  const asked: string[] = []
  const gone = new AbortController()
  const ran = await runAgainst(world, args, {
    cwd,
    signal: gone.signal,
    fetch: async (input, init) => {
      const url = new URL(input as string)
      const one = `${init?.method} ${url.pathname.split('/uploads/')[1]?.replace(/^[0-9a-f]+\//, '')}`
      if (breaks(one)) gone.abort()
      const answer = await fetch(input, init)
      if (answer.ok) asked.push(one)
      return answer
    },
    partSizes: { segmentBytes: SEGMENT, batchBytes: 4 * SEGMENT, batchFiles: BATCH_FILES },
  })
  return { ...ran, asked }
}

const parts = ({ asked }: Transferred): string[] =>
  asked.filter((one) => /^PUT (segments|batches)/.test(one)).toSorted()

const SEGMENT = 300_000
const BATCH_FILES = 200
const big = randomBytes(3 * SEGMENT + 12_345)

async function got(path: string): Promise<Buffer> {
  await varve(`file get data@master:/${path} --to got`)
  const bytes = readFileSync(join(cwd, 'got'))
  rmSync(join(cwd, 'got'))
  return bytes
}

test('a big file goes in segments; those that were acknowledged are not sent again', async () => {
  writeFileSync(join(cwd, 'big'), big)
  const put = 'file put data@master:/big -f big'
  const first = await varve(put, (asked) => asked === 'PUT segments/3')
  expect(first.code).toBe(130)
  expect(first.err).toContain('the same command goes on from there')
  const sent = parts(first)
  expect(sent.length).toBeGreaterThanOrEqual(1)
  const second = await varve(put)
  expect(second).toMatchObject({ code: 0 })
  // One that was on its way may have arrived as well.
  const safe = Number(/goes on: (\d+) part/.exec(second.err)?.[1])
  expect(safe).toBeGreaterThanOrEqual(sent.length)
  expect(parts(second)).toHaveLength(4 - safe)
  for (const one of sent) expect(parts(second)).not.toContain(one)
  expect((await got('big')).equals(big)).toBe(true)
})

test('a file that changed in between is sent anew, and that is said', async () => {
  const put = 'file put data@master:/changing -f changing'
  writeFileSync(join(cwd, 'changing'), big.subarray(0, 2 * SEGMENT))
  const first = await varve(put, (asked) => asked === 'POST finish')
  expect(parts(first)).toHaveLength(2)
  // The same size and time, other bytes.
  const other = Buffer.from(big.subarray(0, 2 * SEGMENT)).fill(7, SEGMENT + 5, SEGMENT + 6)
  writeFileSync(join(cwd, 'changing'), other)
  utimesSync(join(cwd, 'changing'), 1, 1)
  const second = await varve(put)
  expect(second).toMatchObject({ code: 0 })
  expect(second.err).toContain('is not what was sent before: it starts anew')
  expect(parts(second)).toHaveLength(2)
  expect((await got('changing')).equals(other)).toBe(true)
  // Whoever does not want to go on need not.
  await varve(put, (asked) => asked === 'POST finish')
  const third = await varve(`${put} --no-resume`)
  expect([third.code, parts(third).length]).toEqual([0, 2])
  expect(await Array.fromAsync(world.versions.uploads.roots('default'))).toEqual([])
  rmSync(join(cwd, 'changing'))
})

test('a folder of many files is one commit in few requests, and is gone on with', async () => {
  const folder = join(cwd, 'many')
  const names = Array.from({ length: BATCH_FILES + 50 }, (_, i) => `d${i % 20}/f${i}`)
  for (let i = 0; i < 20; i++) mkdirSync(join(folder, `d${i}`), { recursive: true })
  for (const name of names) writeFileSync(join(folder, name), name)
  writeFileSync(join(folder, '.hidden'), 'hidden')
  writeFileSync(join(folder, 'd1', 'big'), big.subarray(0, SEGMENT + 5))
  const before = (await commits()).length
  const put = 'file put data@master:/many -r -f many -m all'
  const first = await varve(put, (asked) => asked === 'POST finish')
  expect(parts(first)).toHaveLength(4)
  expect(await commits()).toHaveLength(before)
  const second = await varve(put)
  expect(second).toMatchObject({ code: 0 })
  expect(second.err).toContain(`put ${(names.length + 2).toLocaleString('en-US')} files`)
  expect(parts(second)).toEqual([])
  const [commit, ...others] = await commits()
  expect([commit?.message, others.length]).toEqual(['all', before])
  expect((await varve('file get data@master:/many -r --to back')).code).toBe(0)
  expect(readdirSync(join(cwd, 'back'), { recursive: true }).toSorted()).toEqual(
    readdirSync(folder, { recursive: true }).toSorted(),
  )
  for (const name of names) expect(readFileSync(join(cwd, 'back', name), 'utf8')).toBe(name)
  expect(readFileSync(join(cwd, 'back/d1/big')).equals(big.subarray(0, SEGMENT + 5))).toBe(true)

  // One file more: what is there is no part of it any longer.
  await varve(put, (asked) => asked === 'POST finish')
  writeFileSync(join(folder, 'd0', 'aa'), 'aa')
  const anew = await varve(put)
  expect(anew.err).toContain('it starts anew')
  expect((await got('many/d0/aa')).toString()).toBe('aa')
})

const commits = async () =>
  (
    await world.client.call('GET /projects/:project/repos/:repo/commits', {
      params: { project: 'default', repo: 'data' },
    })
  ).items

test('a name no repo takes is said before anything is sent', async () => {
  const folder = join(cwd, 'bad')
  mkdirSync(join(folder, 'a'), { recursive: true })
  for (let i = 0; i <= BATCH_FILES; i++) writeFileSync(join(folder, 'a', `f${i}`), '')
  writeFileSync(join(folder, 'ü'.normalize('NFD')), 'not NFC')
  symlinkSync('/etc', join(folder, 'link'))
  const ran = await varve('file put data -r -f bad')
  expect(ran.code).toBe(2)
  expect(ran.err).toContain('left out "link": it is a symbolic link')
  expect(ran.err).toContain('normal form NFC')
  expect(ran.asked).toEqual([])
})

test('a file that gets its end while it is sent is not put', async () => {
  writeFileSync(join(cwd, 'growing'), big.subarray(0, 2 * SEGMENT))
  const ran = await varve('file put data -f growing', (asked) => {
    if (asked === 'PUT segments/1') appendFileSync(join(cwd, 'growing'), 'more')
    return false
  })
  expect(ran.code).toBe(2)
  expect(ran.err).toContain('changed while it was read')
})

test('an archive writes below its folder and nowhere else', async () => {
  const out = join(cwd, 'out')
  const aside = join(cwd, 'aside')
  mkdirSync(out)
  mkdirSync(aside)
  symlinkSync(aside, join(out, 'way'))
  symlinkSync(join(aside, 'victim'), join(out, 'name'))
  writeFileSync(join(aside, 'victim'), 'untouched')
  const archive = async function* (path: string): AsyncGenerator<Uint8Array> {
    yield* writeTar(
      (async function* () {
        yield { path: 'good', sizeBytes: 4, content: Buffer.from('good') }
        yield { path, sizeBytes: 4, content: Buffer.from('evil') }
      })(),
    )
  }
  for (const path of ['../aside/victim', '/../aside/victim', 'a/../../aside/victim', 'a//b', '.'])
    await expect(saveTar(archive(path), new Folder(out))).rejects.toMatchObject({
      code: 'INVALID_PATH',
    })
  await expect(saveTar(archive('way/victim'), new Folder(out))).rejects.toThrow(
    'it is a symbolic link',
  )
  await expect(saveTar(archive('good/below'), new Folder(out))).rejects.toThrow('it is a file')
  // A link by the name of a file gives way; what it leads to stays.
  await saveTar(archive('name'), new Folder(out))
  expect(readFileSync(join(out, 'name'), 'utf8')).toBe('evil')
  expect(readFileSync(join(aside, 'victim'), 'utf8')).toBe('untouched')
  expect(readdirSync(aside)).toEqual(['victim'])
  // An absolute path is one below the folder, as everywhere.
  await saveTar(archive('/etc/evil'), new Folder(out))
  expect(readFileSync(join(out, 'etc/evil'), 'utf8')).toBe('evil')
  expect(readdirSync(out).toSorted()).toEqual(['etc', 'good', 'name', 'way'])
})

test('what is cut short leaves whole files and no others', async () => {
  const out = join(cwd, 'short')
  const whole = Buffer.concat([tarHead('a', 512), Buffer.alloc(512, 'a')])
  const head = tarHead('b', 300_000)
  const torn = async function* (...more: Uint8Array[]): AsyncGenerator<Uint8Array> {
    yield* [whole, head, ...more]
  }
  await expect(saveTar(torn(Buffer.alloc(1000)), new Folder(out))).rejects.toThrow(
    'it ends in the middle',
  )
  expect(readdirSync(out)).toEqual(['a'])
  await expect(saveTar(torn(Buffer.alloc(300_032)), new Folder(out))).rejects.toThrow(
    'without its end mark',
  )
  await saveTar(torn(Buffer.alloc(300_032), TAR_END), new Folder(out))
  expect(readdirSync(out)).toEqual(['a', 'b'])
})

test('a download goes on from its part, unless that is damaged or of another version', async () => {
  const path = join(cwd, 'again')
  const get = 'file get data@master:/big --to again'
  expect((await varve(get)).code).toBe(0)
  const digest = (
    await world.client.call('GET /projects/:project/repos/:repo/commits/:ref/stat', {
      params: { project: 'default', repo: 'data', ref: 'master' },
      query: { path: 'big' },
    })
  ).digest
  const part = `${path}.${digest.slice(0, 16)}.varve-part`
  const left = async (bytes: Buffer, at: string): Promise<Ran> => {
    rmSync(path)
    writeFileSync(at, bytes)
    const ran = await varve(get)
    expect(ran.code).toBe(0)
    expect(readFileSync(path).equals(big)).toBe(true)
    expect(existsSync(at)).toBe(false)
    return ran
  }
  const half = big.subarray(0, SEGMENT + 5)
  expect((await left(half, part)).err).toContain('goes on where an earlier run broke off')
  expect((await left(big, part)).err).toContain('goes on')
  expect((await left(Buffer.from(half).fill(0, 5000, 9000), part)).err).toContain('damaged')
  expect((await left(Buffer.concat([big, half]), part)).err).toContain('damaged')
  const other = `${path}.0123456789abcdef.varve-part`
  expect((await left(half, other)).err).toContain('not what it was when it was begun')
  truncateSync(path, 5)
  await varve(get)
  expect(readFileSync(path).length).toBe(big.length)
})

test('options that say different things are refused before anything is sent', async () => {
  writeFileSync(join(cwd, 'one'), 'one')
  for (const [options, why] of [
    ['-r -f . --append', '-r puts whole ones'],
    ['-r -f . --offset 5', '-r puts whole ones'],
    ['-r -f -', 'standard input is no directory'],
    ['-f one --append --offset 5', 'leave --offset'],
    ['-f one --delete 5', '--delete goes with --offset'],
    ['-f one --offset -5', 'a whole number from 0'],
    ['-f nothing', 'there is no such file'],
    ['-f .', 'it is a directory; add -r'],
  ] as const) {
    const ran = await varve(`file put data@master:/one ${options}`)
    expect([options, ran.code, ran.asked]).toEqual([options, 2, []])
    expect(ran.err).toContain(why)
  }
})
