import { expect, test } from 'vitest'
import { utf8 } from '../../src/base/bytes.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { leftoverBlobs } from '../../src/log/leftover-blobs.ts'
import { LOG, SNAPSHOTS } from '../../src/log/tables.ts'
import { MemoryTables } from '../../src/tables/adapters/memory.ts'

test('blobs of decided entries that name another, and snapshots behind a newer one, are nobody’s', async () => {
  const blob = new MemoryBlobStore()
  const tables = new MemoryTables()
  const partition = { project: 'p', generation: 1, bucket: 0 }
  const guard = { ...partition, first_seq: 0 }
  const chain = new Uint8Array(32)
  const entry = (seq: number, key: string) => ({
    seq,
    id: 'x',
    atMs: 0,
    blob: { key, hash: '', sizeBytes: 1 },
  })
  const whole = { seq: 2, id: 'y', atMs: 0 }
  await tables.writeIf(LOG, {
    partition,
    expect: { key: guard, is: 'absent' },
    put: [
      { ...guard, head: 3, head_write: 'w', chain },
      {
        ...partition,
        first_seq: 1,
        last_seq: 3,
        entries: utf8(JSON.stringify([entry(1, 'log/p/1/1-aa'), whole, entry(3, 'log/p/1/3-cc')])),
        chain,
      },
    ],
    writeId: 'w',
  })
  const hash = new Uint8Array(32)
  const snapshot = {
    project: 'p',
    generation: 1,
    seq: 5,
    blob: 'snapshots/p/1/5-aa',
    size_bytes: 1,
    hash,
  }
  await tables.put(SNAPSHOTS, [snapshot], 5)
  const keys = [
    'log/p/1/1-aa', // named
    'log/p/1/1-bb',
    'log/p/1/2-cc', // its entry lies in the block
    'log/p/1/3-cc', // named
    'log/p/1/4-dd', // its append may be under way
    'log/p/1/1100-ee', // far above the head
    'log/q/1/1-ff', // of another project
    'snapshots/p/1/4-aa',
    'snapshots/p/1/5-aa', // named
    'snapshots/p/1/5-bb',
    'snapshots/p/1/6-cc', // its row may be on its way
    'packs/00000000000000000000000000000000',
  ]
  await blob.put(keys.map((key) => ({ key, bytes: utf8('x') })))
  expect(await Array.fromAsync(leftoverBlobs({ blob, tables }, 'p'))).toEqual([
    'log/p/1/1-bb',
    'log/p/1/2-cc',
    'snapshots/p/1/4-aa',
  ])
})
