import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { blobContract } from '../contract/blob.ts'

blobContract('memory', () => Promise.resolve(new MemoryBlobStore()))
