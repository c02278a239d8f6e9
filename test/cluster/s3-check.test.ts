// What the examination says about a store that is well, and about each way in which it is not.

import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Check } from '../../src/base/check.ts'
import { systemClock } from '../../src/base/clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import { checkS3 } from '../../src/blob/adapters/s3/check.ts'
import type { S3Options } from '../../src/blob/adapters/s3/options.ts'
import { S3BlobStore } from '../../src/blob/adapters/s3/store.ts'
import { HttpFront, s3ErrorXml } from '../blob/http-front.ts'
import type { Seen } from '../blob/http-front.ts'
import { missingTools } from '../services/need.ts'
import { freePort } from '../services/process.ts'
import { S3Server, createBucket, s3Available, s3Options } from '../services/s3.ts'
import { shared } from '../services/shared.ts'

const BUCKET = 'varve-blob-check'
let endpoint: string
let front: HttpFront

async function examine(
  options: Partial<S3Options> = {},
  clock: Clock = systemClock,
): Promise<Record<string, Check>> {
  const checks: Record<string, Check> = {}
  const all = checkS3({ ...s3Options(front.address, BUCKET), prefix: 'checked', ...options }, clock)
  for await (const check of all) checks[check.what.replace(/ (at|") ?.*/, '')] = check
  return checks
}

function bad(checks: Record<string, Check>): string[] {
  return Object.values(checks)
    .filter(({ state }) => state !== 'ok')
    .map(({ what, state, found, remedy }) => `${what} ${state}: ${found} -> ${remedy}`)
}

describe.runIf(s3Available)('checkS3', () => {
  beforeAll(async () => {
    endpoint = await shared('s3')
    await createBucket(endpoint, BUCKET)
    front = await HttpFront.start(endpoint)
  })
  afterAll(() => front.stop())

  test('a store that is well: everything was really done, nothing is left', async () => {
    const before = front.seen.length
    const prefix = `well-${Date.now()}`
    const checks = await examine({ prefix })
    expect(bad(checks)).toEqual([])
    expect(Object.keys(checks).length).toBe(12)
    const methods = new Set(front.seen.slice(before).map(({ method }) => method))
    expect(methods).toEqual(new Set(['HEAD', 'GET', 'PUT', 'POST', 'DELETE']))
    const store = await S3BlobStore.open(s3Options(endpoint, BUCKET))
    const left = []
    for await (const { key } of store.list(prefix)) left.push(key)
    store.close()
    expect(left).toEqual([])
  })

  test('an address where nobody is, a name that is none, http for https', async () => {
    const nobody = await examine({ endpoint: `http://127.0.0.1:${await freePort()}` })
    expect(bad(nobody)).toEqual([expect.stringMatching(/ECONNREFUSED.*VARVE_S3_ENDPOINT/)])
    const mixed = await examine({ endpoint: front.address.replace('http:', 'https:') })
    expect(bad(mixed)).toEqual([expect.stringMatching(/not reached.*VARVE_S3_ENDPOINT/)])
    const style = await examine({ endpoint: 'http://s3.invalid', pathStyle: false })
    expect(bad(style)).toEqual([expect.stringMatching(/VARVE_S3_PATH_STYLE=true/)])
  })

  test('keys that are unknown or wrong, a bucket that is not there', async () => {
    const unknown = await examine({ accessKey: 'nobody' })
    expect(bad(unknown)).toEqual([
      expect.stringMatching(/keys are not accepted.*VARVE_S3_ACCESS_KEY/),
    ])
    const wrong = await examine({ secretKey: 'wrong-wrong' })
    expect(bad(wrong)).toEqual([expect.stringMatching(/keys are not accepted/)])
    const half = await examine({ secretKey: undefined } as unknown as S3Options)
    expect(bad(half)).toEqual([expect.stringMatching(/only one of the two/)])
    await expect(
      S3BlobStore.open({ region: 'r', bucket: 'b', accessKey: 'only' }),
    ).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    const missing = await examine({ bucket: 'varve-none' })
    expect(bad(missing)).toEqual([
      expect.stringMatching(/no such bucket.*create-bucket --bucket varve-none.*--endpoint-url/),
    ])
  })

  test('each denied request is named with its permission', async () => {
    const denied = { answer: { status: 403, body: s3ErrorXml('AccessDenied') } }
    const cases: readonly [(seen: Seen) => boolean, string, string][] = [
      [({ method }) => method === 'PUT', 'put an object', 's3:PutObject'],
      [
        ({ method, url }) => method === 'DELETE' && !url.includes('uploadId'),
        'delete an object',
        's3:DeleteObject',
      ],
      [({ url }) => url.includes('list-type'), 'bucket', 's3:ListBucket'],
      [
        ({ method, url }) => method === 'GET' && url.includes('GetObject'),
        'get an object',
        's3:GetObject',
      ],
      [
        ({ method, url }) => method === 'DELETE' && url.includes('uploadId'),
        'put in parts, and abort',
        's3:AbortMultipartUpload',
      ],
    ]
    for (const [matches, what, action] of cases) {
      front.spoil(Number.POSITIVE_INFINITY, matches, denied)
      const checks = await examine()
      front.rule = () => undefined
      expect(checks[what], what).toMatchObject({
        state: 'failed',
        found: expect.stringMatching(/access denied/),
        remedy: expect.stringContaining(action),
      })
    }
  })

  test('a clock that is off, a bucket elsewhere, a store that takes damaged bytes', async () => {
    const late = { ...systemClock, nowMs: () => systemClock.nowMs() - 20 * 60_000 }
    expect((await examine({}, late))['clock of the store']).toMatchObject({
      state: 'failed',
      found: expect.stringMatching(/^1(1\d\d|200) s behind the store$/),
    })
    front.spoil(1, ({ url }) => url.includes('list-type'), {
      answer: {
        status: 301,
        headers: { 'x-amz-bucket-region': 'eu-west-7' },
        body: s3ErrorXml('PermanentRedirect'),
      },
    })
    expect(bad(await examine())).toEqual([
      expect.stringMatching(/region "eu-west-7".*VARVE_S3_REGION/),
    ])
    let puts = 0
    front.rule = ({ method }) =>
      method === 'PUT' && ++puts === 2
        ? { answer: { status: 200, headers: { etag: '"x"' } } }
        : undefined
    expect(bad(await examine())).toEqual([
      expect.stringMatching(/wrong checksum warning: is taken/),
    ])
    front.rule = () => undefined
  })

  test.skipIf(missingTools('openssl').length > 0)(
    'TLS: a certificate that nobody vouches for, and then everything over https',
    async () => {
      const server = await S3Server.own({ tls: true })
      const trusted = getCACertificates()
      try {
        expect(bad(await examine({ endpoint: server.address }))).toEqual([
          expect.stringMatching(/SELF_SIGNED.*NODE_EXTRA_CA_CERTS/),
        ])
        setDefaultCACertificates([...trusted, server.certificate])
        const missing = await examine({ endpoint: server.address })
        expect(bad(missing)).toEqual([expect.stringMatching(/no such bucket/)])
        await createBucket(server.address, BUCKET)
        expect(bad(await examine({ endpoint: server.address }))).toEqual([])
      } finally {
        setDefaultCACertificates(trusted)
        await server.stop()
      }
    },
  )
})
