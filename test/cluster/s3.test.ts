// The bucket as a store of objects, against a real S3 server.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { describe } from 'vitest'
import { CachedBlobStore } from '../../src/blob/adapters/cached.ts'
import { S3BlobStore } from '../../src/blob/adapters/s3/store.ts'
import { blobContract } from '../contract/blob.ts'
import { createBucket, s3Available, s3Options } from '../services/s3.ts'
import { shared } from '../services/shared.ts'

const BUCKET = 'varve-blob-contract'
const stores: S3BlobStore[] = []

const folder = await mkdtemp(join(tmpdir(), 'varve-s3-cache-'))

afterAll(async () => {
  for (const store of stores) store.close()
  await rm(folder, { recursive: true, force: true })
})

async function open(prefix: string): Promise<S3BlobStore> {
  const endpoint = await shared('s3')
  await createBucket(endpoint, BUCKET)
  const store = await S3BlobStore.open({ ...s3Options(endpoint, BUCKET), prefix })
  stores.push(store)
  return store
}

describe.runIf(s3Available)('S3', () => {
  blobContract('S3', () => open(`run-${Date.now()}`))
  blobContract('S3 with a cache on disk', async () => {
    const store = await open(`cached-${Date.now()}`)
    return CachedBlobStore.open(store, { folder, budgetBytes: 2 ** 20 })
  })
})
