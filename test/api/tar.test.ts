import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readTar, writeTar } from '../../src/api/tar.ts'
import type { TarFile } from '../../src/api/tar.ts'

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function* files(all: readonly (readonly [string, Uint8Array])[]): AsyncGenerator<TarFile> {
  for (const [path, content] of all)
    yield { path, sizeBytes: content.length, content: pieces(content, 1000) }
}

const whole = async (source: Uint8Array | AsyncIterable<Uint8Array>): Promise<Buffer> =>
  source instanceof Uint8Array ? Buffer.from(source) : Buffer.concat(await Array.fromAsync(source))

const part = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
  .filter((text) => !/[/\0]/.test(text) && text.isWellFormed())
const path = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('/'))

test('what is written is read again, however it is cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(path, fc.uint8Array({ maxLength: 3000 })), { maxLength: 6 }),
      fc.integer({ min: 1, max: 2000 }),
      async (all, size) => {
        const archive = await whole(writeTar(files(all)))
        const read: [string, Buffer][] = []
        for await (const file of readTar(pieces(archive, size)))
          read.push([file.path, await whole(file.content)])
        expect(read).toEqual(all.map(([name, content]) => [name, Buffer.from(content)]))
      },
    ),
    { numRuns: 100 },
  )
})

test('contents left unread are passed over', async () => {
  const all = [
    ['a', new Uint8Array(5000).fill(1)],
    ['b', new Uint8Array(3).fill(2)],
  ] as const
  const names: string[] = []
  for await (const file of readTar(pieces(await whole(writeTar(files(all))), 700)))
    names.push(file.path)
  expect(names).toEqual(['a', 'b'])
})

test('the system tar reads ours, and we read its own in every format', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'varve-tar-'))
  const long = `${'deep/'.repeat(30)}${'n'.repeat(120)}`
  const all = [
    ['plain', Buffer.from('plain')],
    ['ünïcode/ß', Buffer.from('x'.repeat(513))],
    [long, Buffer.from('long')],
    ['empty', Buffer.from('')],
  ] as const
  writeFileSync(join(folder, 'ours.tar'), await whole(writeTar(files(all))))
  mkdirSync(join(folder, 'out'))
  execFileSync('tar', ['-xf', '../ours.tar'], { cwd: join(folder, 'out') })
  for (const [name, content] of all)
    expect(readFileSync(join(folder, 'out', name))).toEqual(content)
  for (const format of ['gnu', 'pax', 'posix']) {
    const archive = execFileSync('tar', [`--format=${format}`, '-cf', '-', '.'], {
      cwd: join(folder, 'out'),
    })
    const read = new Map<string, Buffer>()
    for await (const file of readTar(pieces(archive, 4096)))
      read.set(file.path.replace(/^\.\//, ''), await whole(file.content))
    expect(new Map(all)).toEqual(new Map([...read].map(([k, v]) => [k, v])))
  }
})

test('what is no archive, is cut short, or holds links is refused', async () => {
  const drain = async (bytes: Uint8Array): Promise<void> => {
    for await (const file of readTar(pieces(bytes, 512))) await whole(file.content)
  }
  const refused = { code: 'INVALID_OPTION' }
  await expect(drain(new Uint8Array(1024).fill(65))).rejects.toMatchObject(refused)
  const archive = await whole(writeTar(files([['a', new Uint8Array(2000)]])))
  await expect(drain(archive.subarray(0, 1500))).rejects.toThrow('it ends in the middle')
  const folder = mkdtempSync(join(tmpdir(), 'varve-tar-'))
  execFileSync('ln', ['-s', '/etc/passwd', 'link'], { cwd: folder })
  const linked = execFileSync('tar', ['-cf', '-', '.'], { cwd: folder })
  await expect(drain(linked)).rejects.toThrow('neither a file nor a directory')
})

test('arbitrary bytes never hang or crash the reader', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 2048 }), async (bytes) => {
      try {
        for await (const file of readTar(pieces(bytes, 512))) await whole(file.content)
      } catch (error) {
        expect(error).toMatchObject({ code: 'INVALID_OPTION' })
      }
    }),
  )
})
