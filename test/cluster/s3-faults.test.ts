// What must hold when the store, or the way to it, misbehaves: nothing wrong is ever returned, a put
// resolves only when its objects are durable, and a store in trouble is not asked for much more.

import { channel } from 'node:diagnostics_channel'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { S3Request } from '../../src/blob/adapters/s3/caller.ts'
import type { S3Options } from '../../src/blob/adapters/s3/options.ts'
import { S3BlobStore } from '../../src/blob/adapters/s3/store.ts'
import { HttpFront, s3ErrorXml } from '../blob/http-front.ts'
import type { Seen } from '../blob/http-front.ts'
import { TcpProxy } from '../services/proxy.ts'
import { S3Server, createBucket, s3Available, s3Options } from '../services/s3.ts'
import { shared } from '../services/shared.ts'

const BUCKET = 'varve-blob-faults'
const MIB = 1024 * 1024
/** Until it happens, however busy the machine. */
const SOON = { timeout: 60_000 }
// Patient where a busy machine could be slow, impatient where a fault must be noticed.
const PACE = { giveUpMs: 60_000, answerTimeoutMs: 15_000, idleTimeoutMs: 500, hedgeMaxMs: 500 }

let endpoint: string
let front: HttpFront
/** Through the front, and past it. */
let store: S3BlobStore
let plain: S3BlobStore
let requests: S3Request[] = []
let round = 0
const listen = (message: unknown): void => void requests.push(message as S3Request)

const isPut = ({ method }: Seen): boolean => method === 'PUT'
const isGet = ({ method, url }: Seen): boolean => method === 'GET' && !url.includes('list-type')
const isPost = (what: string) => (seen: Seen) => seen.method === 'POST' && seen.url.includes(what)

function bytes(size: number, salt = 1): Uint8Array {
  const made = new Uint8Array(size)
  for (let i = 0; i < size; i++) made[i] = (i * 31 + (i >> 8) * salt) & 255
  return made
}

async function open(address: string, options: Partial<S3Options> = {}): Promise<S3BlobStore> {
  return S3BlobStore.open({
    ...s3Options(address, BUCKET),
    prefix: `round-${process.pid}-${round}`,
    pace: PACE,
    ...options,
  })
}

describe.runIf(s3Available)('S3 in trouble', () => {
  beforeAll(async () => {
    endpoint = await shared('s3')
    await createBucket(endpoint, BUCKET)
    channel('varve:s3:request').subscribe(listen)
  })
  afterAll(() => channel('varve:s3:request').unsubscribe(listen))
  beforeEach(async () => {
    round++
    requests = []
    front = await HttpFront.start(endpoint)
    store = await open(front.address)
    plain = await open(endpoint)
  })
  afterEach(() => {
    store.close()
    plain.close()
    front.stop()
  })

  test('a burst of SlowDown is waited out', async () => {
    const slow = { answer: { status: 503, body: s3ErrorXml('SlowDown') } }
    front.spoil(3, isPut, slow)
    await store.put([{ key: 'a', bytes: bytes(1000) }])
    expect(await plain.get('a')).toEqual(bytes(1000))
    front.spoil(2, isGet, slow)
    expect(await store.get('a')).toEqual(bytes(1000))
    expect(front.spoilt).toBe(5)
  })

  test('a store that refuses everything is not asked a multiple', async () => {
    front.rule = () => ({ answer: { status: 503, body: s3ErrorXml('SlowDown') } })
    const impatient = await open(front.address, { pace: { ...PACE, giveUpMs: 8_000 } })
    const startMs = performance.now()
    const all = await Promise.allSettled(Array.from({ length: 300 }, () => impatient.get('a')))
    impatient.close()
    for (const one of all)
      expect(one).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE' } })
    expect(front.seen.length).toBeGreaterThan(300)
    // 300 that were asked for, a budget of 100, a tenth and two a second; hedges: 5 and a twentieth.
    const seconds = (performance.now() - startMs) / 1000
    expect(front.seen.length).toBeLessThanOrEqual(300 + 100 + 30 + 2 * seconds + 5 + 15)
  })

  test('one read in many that stalls is overtaken by a second request, and dropped', async () => {
    await plain.put([{ key: 'a', bytes: bytes(70_000) }])
    // Only a second request can answer: nothing times out meanwhile.
    const patient = await open(front.address, {
      pace: { giveUpMs: 600_000, answerTimeoutMs: 600_000, hedgeMaxMs: 50 },
    })
    front.spoil(1, isGet, { stallMs: 600_000 })
    requests = []
    expect(await patient.get('a')).toEqual(bytes(70_000))
    expect(front.spoilt).toBe(1)
    expect(requests.find(({ hedge }) => hedge)).toMatchObject({ outcome: 'ok', attempt: 0 })
    await expect.poll(() => front.abandoned, SOON).toBe(1)
    await expect
      .poll(() => requests.map(({ outcome }) => outcome).toSorted(), SOON)
      .toEqual(['lost', 'ok'])
    patient.close()
  })

  test('a put that is not answered is sent again after its time', async () => {
    const impatient = await open(front.address, { pace: { ...PACE, answerTimeoutMs: 1_000 } })
    front.spoil(1, isPut, { stallMs: 600_000 })
    await impatient.put([{ key: 'a', bytes: bytes(100) }])
    expect(front.spoilt).toBe(1)
    expect(await plain.get('a')).toEqual(bytes(100))
    impatient.close()
  })

  test('a body that is cut short, loudly or quietly, or stops coming, is never returned', async () => {
    await plain.put([{ key: 'a', bytes: bytes(100_000) }])
    for (const spoil of [
      { cutAfterBytes: 60_000 },
      { cutAfterBytes: 60_000, quietly: true },
      { cutAfterBytes: 0, quietly: true },
      { hangAfterBytes: 60_000 },
    ]) {
      front.spoil(2, isGet, spoil)
      expect(await store.get('a')).toEqual(bytes(100_000))
      front.spoil(2, isGet, spoil)
      expect(await store.get('a', { offset: 10, length: 90_000 })).toEqual(
        bytes(100_000).subarray(10, 90_010),
      )
    }
    expect(front.spoilt).toBe(16)
  })

  test('a bit that flips on the way up is refused by the store, and sent again', async () => {
    front.spoil(1, isPut, { flipRequestByte: 500 })
    await store.put([{ key: 'a', bytes: bytes(1000) }])
    expect(front.spoilt).toBe(1)
    expect(requests.map(({ outcome }) => outcome)).toEqual(['again', 'ok'])
    expect(await plain.get('a')).toEqual(bytes(1000))
  })

  test('a success that carries an error is no success: put, parts, delete', async () => {
    const lie = { answer: { status: 200, body: s3ErrorXml('InternalError') } }
    front.spoil(2, isPut, lie)
    await store.put([{ key: 'a', bytes: bytes(10) }])
    expect(await plain.head('a')).toBe(10)
    // An empty success of something in between, which stored nothing.
    front.spoil(1, isPut, { answer: { status: 200 } })
    await store.put([{ key: 'b', bytes: bytes(11) }])
    expect(await plain.head('b')).toBe(11)
    front.spoil(1, isPost('delete'), lie)
    await store.delete(['a', 'b'])
    expect(await plain.head('a')).toBeUndefined()
    expect(await plain.head('b')).toBeUndefined()
    expect(front.spoilt).toBe(4)
  })

  test('only the store itself can say that an object is absent', async () => {
    await plain.put([{ key: 'a', bytes: bytes(10) }])
    front.spoil(1, isGet, { answer: { status: 404, body: '<html>no such page</html>' } })
    await expect(store.get('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    const nowhere = await open(endpoint, { bucket: 'varve-no-such-bucket' })
    const message = expect.stringMatching(/no such bucket/)
    await expect(nowhere.get('a')).rejects.toMatchObject({ message })
    await expect(nowhere.head('a')).rejects.toMatchObject({ message })
    await expect(nowhere.put([{ key: 'a', bytes: bytes(1) }])).rejects.toMatchObject({ message })
    nowhere.close()
  })

  test('refusals are named: full, denied with the permission, another region', async () => {
    const cases = [
      ['QuotaExceeded', 403, 'DISK_FULL', /the store is full/],
      ['Whatever', 507, 'DISK_FULL', /the store is full/],
      ['AccessDenied', 403, 'UNAVAILABLE', /access denied.*s3:PutObject/],
      ['InvalidAccessKeyId', 403, 'UNAVAILABLE', /keys are not accepted/],
      ['PermanentRedirect', 301, 'UNAVAILABLE', /in region "eu-west-7"/],
    ] as const
    for (const [name, status, code, message] of cases) {
      const headers = { 'x-amz-bucket-region': 'eu-west-7' }
      front.spoil(1, isPut, { answer: { status, headers, body: s3ErrorXml(name) } })
      const failed = store.put([{ key: 'a', bytes: bytes(10) }])
      await expect(failed).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
    }
    expect(front.seen.length).toBe(cases.length)
  })

  test('many keys are deleted where many at once cannot be, and who is kept is told', async () => {
    await plain.put(['a', 'b', 'c'].map((key) => ({ key, bytes: bytes(10) })))
    front.spoil(1, isPost('delete'), {
      answer: { status: 501, body: s3ErrorXml('NotImplemented') },
    })
    await store.delete(['a', 'b'])
    expect(await plain.head('a')).toBeUndefined()
    const denied = s3ErrorXml('AccessDenied')
    front.rule = ({ method, url }) => {
      if (method === 'DELETE' && url.includes('/c?'))
        return { answer: { status: 403, body: denied } }
      if (method !== 'POST') return undefined
      const body = `<DeleteResult><Deleted><Key>x</Key></Deleted><Error><Key>c</Key><Code>AccessDenied</Code></Error></DeleteResult>`
      return { answer: { status: 200, body } }
    }
    await expect(store.delete(['c', 'd'])).rejects.toMatchObject({
      message: expect.stringMatching(/c".*access denied.*s3:DeleteObject/),
    })
  })

  describe('in parts', () => {
    const pace = { ...PACE, singlePutBytes: 5 * MIB, partBytes: 5 * MIB, pieceBytes: 2 * MIB }
    const big = bytes(11 * MIB + 77, 3)
    const leftovers = async (): Promise<number> => plain.abortLeftovers(-60_000)

    test('a big object is whole, in any range, and leaves nothing unfinished', async () => {
      const parts = await open(front.address, { pace })
      front.spoil(1, isPut, { answer: { status: 500, body: s3ErrorXml('InternalError') } })
      await parts.put([{ key: 'big', bytes: big }])
      const got = await parts.get('big')
      expect(Buffer.compare(got ?? bytes(0), big)).toBe(0)
      const range = await parts.get('big', { offset: 3 * MIB - 5, length: 20 * MIB })
      expect(Buffer.compare(range ?? bytes(0), big.subarray(3 * MIB - 5))).toBe(0)
      expect(await leftovers()).toBe(0)
      parts.close()
    })

    test('a part that can never be stored ends the put, and the upload is aborted', async () => {
      const parts = await open(front.address, { pace })
      front.rule = ({ url }) =>
        url.includes('partNumber=2')
          ? { answer: { status: 403, body: s3ErrorXml('AccessDenied') } }
          : undefined
      await expect(parts.put([{ key: 'big', bytes: big }])).rejects.toThrow(/part 2.*access denied/)
      expect(await plain.head('big')).toBeUndefined()
      expect(await leftovers()).toBe(0)
      parts.close()
    })

    test('an upload the store no longer knows: done if the object is there, else begun anew', async () => {
      const parts = await open(front.address, { pace })
      const gone = { status: 404, body: s3ErrorXml('NoSuchUpload') }
      const isComplete = isPost('uploadId')
      let completions = 0
      // Carried out, and nobody heard of it.
      front.rule = (seen) =>
        !isComplete(seen) ? undefined : ++completions === 1 ? { instead: gone } : { answer: gone }
      await parts.put([{ key: 'lost', bytes: big }])
      expect(completions).toBe(1)
      expect(await plain.head('lost')).toBe(big.length)
      // Not carried out: an operator aborted it, say.
      front.spoil(1, isComplete, { answer: gone })
      await parts.put([{ key: 'anew', bytes: big }])
      expect(await plain.head('anew')).toBe(big.length)
      // A success that carries an error, and did nothing.
      const lie = { answer: { status: 200, body: s3ErrorXml('InternalError') } }
      front.spoil(1, isComplete, lie)
      await parts.put([{ key: 'lied', bytes: big }])
      expect(await plain.head('lied')).toBe(big.length)
      expect(front.spoilt).toBe(3)
      // Of the one that was thought gone; what a crash leaves is found the same way.
      expect(await leftovers()).toBe(1)
      expect(await leftovers()).toBe(0)
      parts.close()
    })
  })

  describe('behind a bad line', () => {
    let proxy: TcpProxy
    let behind: S3BlobStore
    beforeEach(async () => {
      proxy = await TcpProxy.start(new URL(endpoint).host)
      behind = await open(`http://${proxy.address}`)
    })
    afterEach(async () => {
      behind.close()
      await proxy.stop()
    })

    test('a connection that breaks in the middle of an upload stores nothing half', async () => {
      proxy.toServer.resetAfterBytes = 300_000
      const putting = behind.put([{ key: 'a', bytes: bytes(2 * MIB) }])
      await expect.poll(() => proxy.counts.resets, SOON).toBeGreaterThan(1)
      expect(await plain.get('a')).toBeUndefined()
      await proxy.heal()
      await putting
      expect(Buffer.compare((await plain.get('a')) ?? bytes(0), bytes(2 * MIB))).toBe(0)
    })

    test('a put whose answer is lost is put again, harmlessly', async () => {
      proxy.dropReplies({ connections: 2, resetAfterMs: 20 })
      await behind.put([
        { key: 'a', bytes: bytes(1000) },
        { key: 'b', bytes: bytes(2000) },
      ])
      expect(proxy.counts.droppedReplies).toBe(2)
      expect(await plain.get('a')).toEqual(bytes(1000))
      expect(await plain.get('b')).toEqual(bytes(2000))
    })

    test('an answer in crumbs, on a slow line, is whole; a dead line is UNAVAILABLE', async () => {
      await plain.put([{ key: 'a', bytes: bytes(20_000) }])
      proxy.toClient.sliceBytes = 97
      proxy.toClient.latencyMs = 15
      expect(await behind.get('a')).toEqual(bytes(20_000))
      expect(proxy.counts.delayed).toBeGreaterThan(0)
      await proxy.heal()
      const impatient = await open(`http://${proxy.address}`, {
        pace: { ...PACE, answerTimeoutMs: 200, giveUpMs: 1_000 },
      })
      proxy.toServer.hole = true
      await expect(impatient.get('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      await proxy.refuse()
      await expect(impatient.put([{ key: 'b', bytes: bytes(1) }])).rejects.toMatchObject({
        code: 'UNAVAILABLE',
      })
      impatient.close()
    })
  })

  test('kill -9 of the server in the middle of puts: what was acknowledged is there, whole', async () => {
    const server = await S3Server.own()
    await server.createBucket(BUCKET)
    const victim = await open(server.address, { pace: { ...PACE, giveUpMs: 60_000 } })
    const acknowledged = new Set<number>()
    let isOver = false
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let i = writer; !isOver; i += 8) {
        await victim.put([{ key: `k/${i}`, bytes: bytes(50_000 + i, i) }])
        acknowledged.add(i)
      }
    })
    for (let kills = 0; kills < 2; kills++) {
      const before = acknowledged.size
      await expect.poll(() => acknowledged.size, SOON).toBeGreaterThan(before + 40)
      await server.kill()
      await server.restart()
    }
    isOver = true
    await Promise.all(writers)
    for (const i of acknowledged)
      expect(Buffer.compare((await victim.get(`k/${i}`)) ?? bytes(0), bytes(50_000 + i, i))).toBe(0)
    expect(requests.some(({ outcome }) => outcome === 'again')).toBe(true)
    victim.close()
    await server.stop()
  })
})
