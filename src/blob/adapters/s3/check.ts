// The examination of an S3 store: every request that Varve makes is made once, on a key of its own,
// so that a missing permission is named before it is missed.

import { randomUUID } from 'node:crypto'
import { equalBytes, utf8 } from '../../../base/bytes.ts'
import type { Check } from '../../../base/check.ts'
import type { Clock } from '../../../base/clock.ts'
import { faultOf } from './fault.ts'
import type { Fault } from './fault.ts'
import { DEFAULT_PACE, endpointOf, rootOf, usesPathStyle } from './options.ts'
import type { S3Options } from './options.ts'
import { openWire } from './wire.ts'
import type { Wire } from './wire.ts'

const PATIENCE_MS = 10_000
const CLOCK_WARNING_MS = 60_000
/** What S3 itself refuses. */
const CLOCK_LIMIT_MS = 15 * 60_000

/** Ends early where nothing further can succeed. Leaves nothing behind. */
export async function* checkS3(options: S3Options, clock: Clock): AsyncGenerator<Check> {
  const reached = yield* checkEndpoint(options, clock)
  if (!reached) return
  const wire = await openWire(options, DEFAULT_PACE)
  try {
    if (!(yield* checkKeys(options, wire))) return
    if (!(yield* checkBucket(options, wire))) return
    yield* checkRequests(options, wire)
  } finally {
    wire.close()
  }
}

async function* checkEndpoint(options: S3Options, clock: Clock): AsyncGenerator<Check, boolean> {
  const url = new URL(endpointOf(options))
  if (!usesPathStyle(options)) url.hostname = `${options.bucket}.${url.hostname}`
  const what = `S3 at ${url.origin}`
  let date: string | null
  try {
    const answer = await fetch(url, {
      method: 'HEAD',
      redirect: 'manual',
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    date = answer.headers.get('date')
    yield { what, state: 'ok', found: `answers with ${answer.status}` }
  } catch (error) {
    yield { what, state: 'failed', ...unreachable(url, options, error) }
    return false
  }
  const serverMs = date === null ? Number.NaN : Date.parse(date)
  if (Number.isNaN(serverMs)) return true
  const aheadMs = clock.nowMs() - serverMs
  const off = Math.abs(aheadMs)
  const found = `${Math.round(off / 1000)} s ${aheadMs < 0 ? 'behind' : 'ahead of'} the store`
  if (off < CLOCK_WARNING_MS) yield { what: 'clock of the store', state: 'ok', found }
  else
    yield {
      what: 'clock of the store',
      state: off < CLOCK_LIMIT_MS ? 'warning' : 'failed',
      found,
      remedy: 'set the clock of this machine (NTP); stores refuse requests that are 15 minutes off',
    }
  return true
}

function unreachable(
  url: URL,
  options: S3Options,
  error: unknown,
): { found: string; remedy: string } {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause
  const code = cause?.code ?? (error as Error).name
  const found = `not reached: ${code}${cause?.message === undefined ? '' : ` (${cause.message.replaceAll(/\s+/g, ' ').trim().slice(0, 200)})`}`
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    const remedy = usesPathStyle(options)
      ? `check the name in VARVE_S3_ENDPOINT ("${url.hostname}" has no address)`
      : `the store may want the bucket in the path: set VARVE_S3_PATH_STYLE=true, or check the names ("${url.hostname}" has no address)`
    return { found, remedy }
  }
  if (/CERT|SELF_SIGNED|UNABLE_TO|DEPTH_ZERO|ALTNAME/.test(code))
    return {
      found,
      remedy:
        'the certificate is not trusted here: give its authority in NODE_EXTRA_CA_CERTS=/path/ca.pem, or mend the name it is for',
    }
  if (/SSL|EPROTO|HPE_INVALID/.test(code) || /wrong version number/i.test(found))
    return {
      found,
      remedy: 'http and https are mixed up: check the beginning of VARVE_S3_ENDPOINT',
    }
  return { found, remedy: 'check VARVE_S3_ENDPOINT, that the store runs, and firewalls between' }
}

async function* checkKeys(options: S3Options, { client }: Wire): AsyncGenerator<Check, boolean> {
  if ((options.accessKey === undefined) !== (options.secretKey === undefined)) {
    const remedy = 'set both VARVE_S3_ACCESS_KEY and VARVE_S3_SECRET_KEY, or neither'
    yield {
      what: 'keys of the store',
      state: 'failed',
      found: 'only one of the two is given',
      remedy,
    }
    return false
  }
  try {
    await client.config.credentials()
  } catch (error) {
    yield {
      what: 'keys of the store',
      state: 'failed',
      found: `none: ${(error as Error).message}`,
      remedy:
        'set VARVE_S3_ACCESS_KEY and VARVE_S3_SECRET_KEY, or give the process a role (web identity, instance, AWS_* variables)',
    }
    return false
  }
  const source = options.accessKey === undefined ? 'the default chain' : 'the options'
  yield { what: 'keys of the store', state: 'ok', found: `there are some, from ${source}` }
  return true
}

async function* checkBucket(options: S3Options, wire: Wire): AsyncGenerator<Check, boolean> {
  const { bucket } = options
  const what = `bucket "${bucket}"`
  const fault = await failure((abortSignal) =>
    wire.client.send(
      new wire.sdk.ListObjectsV2Command({ Bucket: bucket, Prefix: rootOf(options), MaxKeys: 1 }),
      { abortSignal },
    ),
  )
  if (!fault) {
    yield { what, state: 'ok', found: 'is there and can be listed' }
    return true
  }
  const text = 'text' in fault ? fault.text : fault.kind
  yield { what, state: 'failed', found: text, remedy: bucketRemedy(options, fault) }
  // Without the right to list, the other rights can be examined all the same.
  return text.startsWith('access denied')
}

function bucketRemedy(options: S3Options, fault: Fault): string {
  const { bucket, endpoint, region } = options
  const name = fault.kind === 'final' ? fault.name : fault.kind
  const text = 'text' in fault ? fault.text : ''
  if (name === 'NoSuchBucket') {
    const where =
      endpoint === undefined
        ? region === 'us-east-1'
          ? ''
          : ` --create-bucket-configuration LocationConstraint=${region}`
        : ` --endpoint-url ${endpoint}`
    return `create it (Varve makes no buckets): aws s3api create-bucket --bucket ${bucket} --region ${region}${where}`
  }
  if (text.startsWith('the keys')) return 'check VARVE_S3_ACCESS_KEY and VARVE_S3_SECRET_KEY'
  if (text.startsWith('the bucket is in'))
    return `set VARVE_S3_REGION to the region of the bucket (now "${region}"), or VARVE_S3_ENDPOINT`
  if (text.includes('RequestTimeTooSkewed')) return 'set the clock of this machine (NTP)'
  if (text.startsWith('access denied')) return allow('s3:ListBucket', `arn:aws:s3:::${bucket}`)
  return 'see what the store logs; try again in a moment'
}

function allow(action: string, resource: string): string {
  return `allow the keys ${action} on ${resource}; docs/s3.md has the whole policy`
}

async function* checkRequests(options: S3Options, { sdk, client }: Wire): AsyncGenerator<Check> {
  const Bucket = options.bucket
  const Key = `${rootOf(options)}probe/${randomUUID()}`
  const target = { Bucket, Key }
  const Body = utf8('varve was here')
  const resource = `arn:aws:s3:::${Bucket}/${rootOf(options)}*`
  const bytesOf = async (Range?: string): Promise<Uint8Array> => {
    const abortSignal = AbortSignal.timeout(PATIENCE_MS)
    const answer = await client.send(new sdk.GetObjectCommand({ ...target, Range }), {
      abortSignal,
    })
    return (await answer.Body?.transformToByteArray()) ?? new Uint8Array()
  }
  const step = (
    what: string,
    action: string,
    work: (abortSignal: AbortSignal) => Promise<unknown>,
  ): Promise<Check> => attempt(what, allow(action, resource), work)

  const absent = await failure(() => bytesOf())
  const denied = allow('s3:ListBucket', `arn:aws:s3:::${Bucket}`)
  if (absent?.kind === 'absent') yield { what: 'an absent object', state: 'ok', found: 'is absent' }
  else
    yield {
      what: 'an absent object',
      state: 'failed',
      found: absent && 'text' in absent ? absent.text : 'answered as if it were there',
      remedy: `${denied}: without it S3 says "denied" where it should say "absent"`,
    }

  const put = await step('put an object', 's3:PutObject', (abortSignal) =>
    client.send(new sdk.PutObjectCommand({ ...target, Body, ChecksumCRC32: CRC_OF_BODY }), {
      abortSignal,
    }),
  )
  yield put
  if (put.state !== 'ok') return
  try {
    yield await step('get an object', 's3:GetObject', async () => same(await bytesOf(), Body))
    yield await step('get a range of an object', 's3:GetObject', async () =>
      same(await bytesOf('bytes=6-8'), Body.subarray(6, 9)),
    )
    yield await step('list objects', 's3:ListBucket', async (abortSignal) => {
      const list = new sdk.ListObjectsV2Command({ Bucket, Prefix: Key })
      const { Contents } = await client.send(list, { abortSignal })
      if (Contents?.[0]?.Key !== Key) throw new Error('an object that was just put is not listed')
    })
    yield await step('put in parts, and abort', 's3:AbortMultipartUpload', async (abortSignal) => {
      const create = new sdk.CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: 'CRC32' })
      const { UploadId } = await client.send(create, { abortSignal })
      await client.send(new sdk.AbortMultipartUploadCommand({ ...target, UploadId }), {
        abortSignal,
      })
    })
    yield await checksumCheck(() => {
      const wrong = new sdk.PutObjectCommand({ ...target, Body, ChecksumCRC32: 'AAAAAA==' })
      return client.send(wrong, { abortSignal: AbortSignal.timeout(PATIENCE_MS) })
    })
  } finally {
    yield await step('delete an object', 's3:DeleteObject', (abortSignal) =>
      client.send(new sdk.DeleteObjectCommand(target), { abortSignal }),
    )
  }
}

/** The CRC32 of `varve was here`, as a header. */
const CRC_OF_BODY = 'LNaflA=='

async function checksumCheck(putWrong: () => Promise<unknown>): Promise<Check> {
  const what = 'a put with a wrong checksum'
  if (await failure(putWrong)) return { what, state: 'ok', found: 'is refused' }
  return {
    what,
    state: 'warning',
    found: 'is taken: damage on the way to the store is found only when it is read',
    remedy: 'use https, or a newer version of the store that verifies CRC32',
  }
}

async function attempt(
  what: string,
  remedy: string,
  work: (abortSignal: AbortSignal) => Promise<unknown>,
): Promise<Check> {
  const fault = await failure(work)
  if (!fault) return { what, state: 'ok', found: 'works' }
  const found = 'text' in fault ? fault.text : `the store calls it ${fault.kind}`
  const isDenied = found.startsWith('access denied')
  const other = 'see what the store logs; docs/s3.md says what Varve needs of one'
  return { what, state: 'failed', found, remedy: isDenied ? remedy : other }
}

function same(got: Uint8Array, expected: Uint8Array): void {
  if (!equalBytes(got, expected))
    throw new Error(`${got.length} other bytes came back instead of ${expected.length}`)
}

async function failure(
  work: (signal: AbortSignal) => Promise<unknown>,
): Promise<Fault | undefined> {
  try {
    await work(AbortSignal.timeout(PATIENCE_MS))
    return undefined
  } catch (error) {
    return faultOf(error)
  }
}
