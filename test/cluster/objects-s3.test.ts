// The object engine over a bucket: trees come back as they were put, nothing damaged is ever served,
// and a commit costs as many requests as it should.

import { channel } from 'node:diagnostics_channel'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { S3Request } from '../../src/blob/adapters/s3/caller.ts'
import { S3BlobStore } from '../../src/blob/adapters/s3/store.ts'
import { systemRandom } from '../../src/base/random.ts'
import { zstdCompute } from '../../src/main/compute.ts'
import { ObjectEngine } from '../../src/objects/engine.ts'
import { HttpFront } from '../blob/http-front.ts'
import {
  bytesOf,
  collect,
  commit,
  contents,
  hash,
  noise,
  p,
  prose,
  storeKey,
} from '../objects/fixture.ts'
import { createBucket, s3Available, s3Options } from '../services/s3.ts'
import { shared } from '../services/shared.ts'

const BUCKET = 'varve-objects'
const MIB = 1024 * 1024

let front: HttpFront
let store: S3BlobStore
let names: string[] = []
const listen = (message: unknown): void => void names.push((message as S3Request).name)

/** Another process: nothing is cached. */
function open(): ObjectEngine {
  return new ObjectEngine({
    blob: store,
    hash,
    storeKey,
    random: systemRandom,
    compute: zstdCompute,
  })
}

describe.runIf(s3Available)('ObjectEngine on S3', () => {
  beforeAll(async () => {
    const endpoint = await shared('s3')
    await createBucket(endpoint, BUCKET)
    front = await HttpFront.start(endpoint)
    const options = { ...s3Options(front.address, BUCKET), prefix: `run-${Date.now()}` }
    store = await S3BlobStore.open(options)
    channel('varve:s3:request').subscribe(listen)
  })
  beforeEach(() => {
    names = []
  })
  afterAll(() => {
    channel('varve:s3:request').unsubscribe(listen)
    store.close()
    front.stop()
  })

  test('a tree of small, big and many files comes back, whole and in ranges', async () => {
    const big = noise(4, 40 * MIB)
    const files: Record<string, Uint8Array> = {
      empty: new Uint8Array(),
      inline: prose(1, 100),
      text: prose(2, 300_000),
      'deep/er/noise': noise(3, 3 * MIB),
      big: big,
    }
    for (let i = 0; i < 500; i++) files[`many/${i % 7}/${i}`] = prose(i, 700 + i)
    const root = await commit(open(), null, files)
    // 43 MiB that do not compress: two packs.
    expect(names).toEqual(['PutObject', 'PutObject'])

    const reader = open()
    const back = await contents(reader, root)
    expect([...back.keys()].toSorted()).toEqual(Object.keys(files).toSorted())
    for (const [path, bytes] of Object.entries(files))
      expect(Buffer.compare(back.get(path) ?? Buffer.from('absent'), bytes), path).toBe(0)
    const range = { offset: 13 * MIB - 100, length: 5 * MIB }
    const part = await bytesOf(open().read(root, p('big'), range))
    expect(Buffer.compare(part, big.subarray(13 * MIB - 100, 18 * MIB - 100))).toBe(0)
    const first = await commit(reader, root, { 'many/3/3': null })
    expect((await collect(open().diff(root, first))).map(({ path }) => path)).toEqual(['many/3/3'])
  })

  test('a commit of little is one put, a look-up one read a level', async () => {
    const many: Record<string, Uint8Array> = {}
    for (let i = 0; i < 300; i++) many[`d${i % 10}/f${i}`] = noise(i, 2_000)
    const engine = open()
    const root = await commit(engine, null, many)
    names = []
    const next = await commit(engine, root, { 'd3/new': noise(999, 900) })
    expect(names.filter((name) => name === 'PutObject').length).toBe(1)
    // A process that has read nothing yet reads only the directories on the way to the change.
    names = []
    await commit(open(), next, { 'd4/new': noise(998, 900) })
    expect(names.filter((name) => name === 'PutObject').length).toBe(1)
    expect(names.filter((name) => name === 'GetObject').length).toBeLessThanOrEqual(2)
    names = []
    await bytesOf(open().read(next, p('d3/new')))
    expect(names.length).toBeLessThanOrEqual(3)
    expect(new Set(names)).toEqual(new Set(['GetObject']))
  })

  test('a bit that flips on the way down is CORRUPT, never data', async () => {
    const root = await commit(open(), null, { a: noise(77, 200_000) })
    front.rule = ({ method }) => (method === 'GET' ? { flipAnswerByte: 900 } : undefined)
    await expect(bytesOf(open().read(root, p('a')))).rejects.toMatchObject({ code: 'CORRUPT' })
    expect(front.spoilt).toBeGreaterThan(0)
    front.rule = () => undefined
    expect(Buffer.compare(await bytesOf(open().read(root, p('a'))), noise(77, 200_000))).toBe(0)
  })
})
