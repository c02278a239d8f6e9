import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { utf8 } from '../../src/base/bytes.ts'
import { DiskBlobStore } from '../../src/blob/adapters/disk.ts'
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
