import { mkdtemp, readdir, readlink, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { utf8 } from '../../src/base/bytes.ts'
import { DiskBlobStore } from '../../src/blob/adapters/disk.ts'
import { PackBuffers } from '../../src/objects/packs/pack-buffers.ts'
import { blobContract } from '../contract/blob.ts'

const folder = await mkdtemp(join(tmpdir(), 'varve-blob-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

blobContract('disk', () => DiskBlobStore.open(join(folder, 'contract')))

test('what a crash left half written is removed at the next start, whole objects stay', async () => {
  const store = await DiskBlobStore.open(join(folder, 'crash'))
  await store.put([{ key: 'a/b', bytes: utf8('whole') }])
  await writeFile(join(folder, 'crash/tmp/77'), 'half')
  const again = await DiskBlobStore.open(join(folder, 'crash'))
  expect(await readdir(join(folder, 'crash/tmp'))).toEqual([])
  expect(await again.get('a/b')).toEqual(utf8('whole'))
})

test('a put that fails says so with a code and leaves nothing behind', async () => {
  const store = await DiskBlobStore.open(join(folder, 'fails'))
  await store.put([{ key: 'file', bytes: utf8('x') }])
  // A key below an object: the directory cannot be made.
  const failed = store.put([{ key: 'file/below', bytes: utf8('y') }])
  await expect(failed).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(await readdir(join(folder, 'fails/tmp'))).toEqual([])
  expect(await store.get('file')).toEqual(utf8('x'))
})

test('more files are read than are kept open, again and again', async () => {
  const store = await DiskBlobStore.open(join(folder, 'many'))
  const keys = Array.from({ length: 600 }, (_, i) => `files/${i}`)
  await store.put(keys.map((key) => ({ key, bytes: utf8(key) })))
  for (let round = 0; round < 2; round++) {
    const all = await Promise.all(keys.map((key) => store.get(key)))
    expect(all).toEqual(keys.map((key) => utf8(key)))
  }
  await expect.poll(() => openBelow(join(folder, 'many'))).toBeLessThanOrEqual(256)
})

test.runIf(process.platform === 'linux')(
  'a file that was read and is deleted takes no room on the disk any more',
  async () => {
    const store = await DiskBlobStore.open(join(folder, 'room'))
    await store.put([{ key: 'a', bytes: utf8('whole') }])
    await store.get('a')
    expect(await openBelow(join(folder, 'room'))).toBe(1)
    await store.delete(['a'])
    await expect.poll(() => openBelow(join(folder, 'room'))).toBe(0)
  },
)

test('a file that has become shorter since it was opened gives what there is', async () => {
  const store = await DiskBlobStore.open(join(folder, 'shorter'))
  await store.put([{ key: 'a', bytes: utf8('0123456789') }])
  expect(await store.get('a', { offset: 6, length: 4 })).toEqual(utf8('6789'))
  await truncate(join(folder, 'shorter/objects/a'), 8)
  expect(await store.get('a', { offset: 6, length: 4 })).toEqual(utf8('67'))
})

/** Files below a folder that this process has open. */
async function openBelow(parent: string): Promise<number> {
  const names = await readdir('/proc/self/fd').catch(() => [])
  const links = names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => ''))
  return (await Promise.all(links)).filter((path) => path.startsWith(parent)).length
}

test('large objects come back from whatever memory they were put, whole pages or not', async () => {
  const store = await DiskBlobStore.open(join(folder, 'large'))
  // It begins with a page of memory, as what a disk takes without a copy must.
  const bytes = (new PackBuffers().take() as Uint8Array).subarray(0, 6 * 1024 * 1024)
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 7 + (i >> 8)) & 255
  const mib = 1024 * 1024
  for (const [from, length] of [
    [0, 5 * mib],
    [0, 5 * mib + 1],
    [4096, 5 * mib - 1],
    [1, 5 * mib],
    [0, 4 * mib - 1],
  ] as const) {
    const key = `from-${from}-${length}`
    const object = bytes.subarray(from, from + length)
    await store.put([{ key, bytes: object }])
    expect(await store.head(key)).toBe(length)
    expect(Buffer.compare((await store.get(key)) ?? Buffer.alloc(0), object)).toBe(0)
  }
  expect(await readdir(join(folder, 'large/tmp'))).toEqual([])
})
