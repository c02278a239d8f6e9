// One object into the bucket, in one request or, when it is big, in parts. Durable on return.

import { crc32 } from 'node:zlib'
import { forEachLimit } from '../../../base/async.ts'
import { isVarveError } from '../../../base/errors.ts'
import type { Caller } from './caller.ts'
import { BadAnswer } from './fault.ts'
import type { Wire } from './wire.ts'

const PARTS_AT_ONCE = 4
/** How often an upload that the store no longer knows is begun anew. */
const BEGINNINGS = 3

export interface Upload {
  readonly wire: Wire
  readonly caller: Caller
  readonly bucket: string
  /** With the prefix. */
  readonly key: string
  readonly bytes: Uint8Array
}

export async function putWhole({ wire, caller, bucket, key, bytes }: Upload): Promise<void> {
  const checksum = crc32Header(bytes)
  await caller.call(
    {
      name: 'PutObject',
      doing: `write "${key}" to bucket "${bucket}"`,
      action: 's3:PutObject',
      uploadBytes: bytes.length,
    },
    async (abortSignal) => {
      const answer = await wire.client.send(
        new wire.sdk.PutObjectCommand({
          Bucket: bucket,
          Key: key,
          Body: bytes,
          ContentLength: bytes.length,
          ChecksumCRC32: checksum,
        }),
        { abortSignal },
      )
      checkStored(answer, checksum)
    },
  )
}

/** Parts side by side; what was begun and not completed is aborted, so that nothing is left to pay for. */
export async function putParts(upload: Upload, partBytes: number): Promise<void> {
  for (let beginning = 1; ; beginning++) {
    const id = await begin(upload)
    try {
      const parts = await sendParts(upload, id, partBytes)
      await complete(upload, id, parts)
      return
    } catch (error) {
      if (error instanceof UploadGone) {
        // A completion whose answer was lost looks the same: then the object is there.
        if ((await storedSize(upload)) === upload.bytes.length) return
        if (beginning < BEGINNINGS) continue
        throw error.cause
      }
      await abort(upload, id).catch(() => undefined)
      throw error
    }
  }
}

class UploadGone extends Error {
  override name = 'UploadGone'
}

interface Part {
  readonly PartNumber: number
  readonly ETag: string
  readonly ChecksumCRC32: string
}

async function begin({ wire, caller, bucket, key }: Upload): Promise<string> {
  return caller.call(
    {
      name: 'CreateMultipartUpload',
      doing: `begin writing "${key}" to bucket "${bucket}"`,
      action: 's3:PutObject',
    },
    async (abortSignal) => {
      const answer = await wire.client.send(
        new wire.sdk.CreateMultipartUploadCommand({
          Bucket: bucket,
          Key: key,
          ChecksumAlgorithm: 'CRC32',
        }),
        { abortSignal },
      )
      if (answer.UploadId === undefined) throw new BadAnswer('an upload without an id')
      return answer.UploadId
    },
  )
}

async function sendParts(upload: Upload, id: string, partBytes: number): Promise<Part[]> {
  const { wire, caller, bucket, key, bytes } = upload
  const parts: Part[] = []
  const count = Math.ceil(bytes.length / partBytes)
  const numbers = Array.from({ length: count }, (_, i) => i + 1)
  await forEachLimit(numbers, PARTS_AT_ONCE, async (number) => {
    const body = bytes.subarray((number - 1) * partBytes, number * partBytes)
    const checksum = crc32Header(body)
    const doing = `write part ${number} of "${key}" to bucket "${bucket}"`
    await gone(() =>
      caller.call(
        { name: 'UploadPart', doing, action: 's3:PutObject', uploadBytes: body.length },
        async (abortSignal) => {
          const answer = await wire.client.send(
            new wire.sdk.UploadPartCommand({
              Bucket: bucket,
              Key: key,
              UploadId: id,
              PartNumber: number,
              Body: body,
              ContentLength: body.length,
              ChecksumCRC32: checksum,
            }),
            { abortSignal },
          )
          const tag = checkStored(answer, checksum)
          parts[number - 1] = { PartNumber: number, ETag: tag, ChecksumCRC32: checksum }
        },
      ),
    )
  })
  return parts
}

async function complete(upload: Upload, id: string, parts: readonly Part[]): Promise<void> {
  const { wire, caller, bucket, key, bytes } = upload
  const doing = `finish writing "${key}" to bucket "${bucket}"`
  await gone(() =>
    caller.call(
      // Stores put the parts together before they answer: they get the time of the bytes.
      { name: 'CompleteMultipartUpload', doing, action: 's3:PutObject', uploadBytes: bytes.length },
      async (abortSignal) => {
        const answer = await wire.client.send(
          new wire.sdk.CompleteMultipartUploadCommand({
            Bucket: bucket,
            Key: key,
            UploadId: id,
            MultipartUpload: { Parts: [...parts] },
          }),
          { abortSignal },
        )
        if (answer.ETag === undefined) throw new BadAnswer('an object without an ETag')
      },
    ),
  )
}

async function storedSize({ wire, caller, bucket, key }: Upload): Promise<number | undefined> {
  return caller.call(
    { name: 'HeadObject', doing: `look at "${key}" of bucket "${bucket}"`, action: 's3:GetObject' },
    async (abortSignal) => {
      const command = new wire.sdk.HeadObjectCommand({ Bucket: bucket, Key: key })
      try {
        return (await wire.client.send(command, { abortSignal })).ContentLength
      } catch (error) {
        // A head has no body, so absence has no name of its own; here it only means "begin anew".
        if ((error as { name?: string }).name === 'NotFound') return undefined
        throw error
      }
    },
  )
}

async function abort({ wire, bucket, key }: Upload, id: string): Promise<void> {
  const command = new wire.sdk.AbortMultipartUploadCommand({
    Bucket: bucket,
    Key: key,
    UploadId: id,
  })
  await wire.client.send(command, { abortSignal: AbortSignal.timeout(5_000) })
}

async function gone<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const cause = isVarveError(error) ? (error.cause as { name?: string } | undefined) : undefined
    if (cause?.name === 'NoSuchUpload') throw new UploadGone('gone', { cause: error })
    throw error
  }
}

/** A success names what it stored. @returns the ETag */
function checkStored(
  answer: { readonly ETag?: string | undefined; readonly ChecksumCRC32?: string | undefined },
  checksum: string,
): string {
  if (answer.ETag === undefined) throw new BadAnswer('a success without an ETag')
  if (answer.ChecksumCRC32 !== undefined && answer.ChecksumCRC32 !== checksum)
    throw new BadAnswer('the store has another checksum than what was sent')
  return answer.ETag
}

function crc32Header(bytes: Uint8Array): string {
  const header = Buffer.alloc(4)
  header.writeUInt32BE(crc32(bytes))
  return header.toString('base64')
}
