// The bucket as a store of objects, against a real S3 server.

import { afterAll } from 'vitest'
import { describe } from 'vitest'
import { S3BlobStore } from '../../src/blob/adapters/s3/store.ts'
import { blobContract } from '../contract/blob.ts'
import { createBucket, s3Available, s3Options } from '../services/s3.ts'
import { shared } from '../services/shared.ts'

const BUCKET = 'varve-blob-contract'
const stores: S3BlobStore[] = []

afterAll(() => {
  for (const store of stores) store.close()
})

describe.runIf(s3Available)('S3', () => {
  blobContract('S3', async () => {
    const endpoint = await shared('s3')
    await createBucket(endpoint, BUCKET)
    const prefix = `run-${Date.now()}`
    const store = await S3BlobStore.open({ ...s3Options(endpoint, BUCKET), prefix })
    stores.push(store)
    return store
  })
})
