import { afterAll } from 'vitest'
import { blobContract } from '../contract/blob.ts'
import { AddressedBlobStore } from './addressed.ts'

const stores: AddressedBlobStore[] = []
afterAll(() => {
  for (const store of stores) store.stop()
})

blobContract('memory with addresses', async () => {
  const store = await AddressedBlobStore.start()
  stores.push(store)
  return store
})
