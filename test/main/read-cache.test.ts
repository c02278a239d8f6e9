import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { utf8 } from '../../src/base/bytes.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { openReadCache } from '../../src/main/read-cache.ts'

const root = await mkdtemp(join(tmpdir(), 'varve-read-cache-'))
afterAll(() => rm(root, { recursive: true, force: true }))

const far = new MemoryBlobStore()
await far.put([{ key: 'packs/a', bytes: utf8('0123456789') }])

const blocksIn = async (folder: string): Promise<number> =>
  (await readdir(folder)).filter((name) => name.endsWith('.0')).length

test('processes that share a folder have one each, and a restart finds what was kept', async () => {
  const options = { diskCache: join(root, 'shared'), diskCacheBytes: 2 ** 20 }
  const one = await openReadCache(far, options)
  const two = await openReadCache(far, options)
  expect(await one.blob.get('packs/a', { offset: 2, length: 3 })).toEqual(utf8('234'))
  await one.close()
  expect(await blocksIn(join(options.diskCache, '0'))).toBe(1)
  expect(await blocksIn(join(options.diskCache, '1'))).toBe(0)
  // The store has nothing: this comes out of the folder of the first.
  const again = await openReadCache(new MemoryBlobStore(), options)
  expect(await again.blob.get('packs/a', { offset: 2, length: 3 })).toEqual(utf8('234'))
  await again.close()
  await two.close()
})

test('without a budget, or without a folder that can be used, the store is read as it is', async () => {
  const heard: unknown[] = []
  const hear = (message: unknown): void => void heard.push(message)
  subscribe('varve:cache:idle', hear)
  const off = await openReadCache(far, { diskCache: join(root, 'off'), diskCacheBytes: 0 })
  expect(off.blob).toBe(far)
  expect(heard).toEqual([])
  await writeFile(join(root, 'file'), '')
  const folder = join(root, 'file', 'below')
  const unusable = await openReadCache(far, { diskCache: folder, diskCacheBytes: 1 })
  expect(unusable.blob).toBe(far)
  expect(heard).toMatchObject([{ folder, error: { code: 'ENOTDIR' } }])
  unsubscribe('varve:cache:idle', hear)
})
