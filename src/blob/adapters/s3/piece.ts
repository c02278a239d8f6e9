import type { Readable } from 'node:stream'
import { readBody } from './body.ts'
import type { Caller } from './caller.ts'
import { BadAnswer } from './fault.ts'
import type { Wire } from './wire.ts'

export interface Piece {
  readonly bytes: Uint8Array
  /** Of the whole object. */
  readonly totalBytes: number
}

/**
 * One range of one object by one request, whole: as many bytes as the range and the object have.
 * @returns 'absent' when there is no such object, 'beyond' when the range begins after its end
 */
export function readPiece(
  wire: Wire,
  caller: Caller,
  object: { readonly bucket: string; readonly key: string },
  range: { readonly offset: number; readonly length: number },
  idleMs: number,
): Promise<Piece | 'absent' | 'beyond'> {
  const { bucket, key } = object
  const { offset, length } = range
  return caller.ask(
    {
      name: 'GetObject',
      doing: `read "${key}" of bucket "${bucket}"`,
      // Without s3:ListBucket, S3 says "denied" where it should say "absent".
      action: 's3:GetObject, and s3:ListBucket',
      hedge: true,
    },
    async (signal, answered) => {
      const answer = await wire.client.send(
        new wire.sdk.GetObjectCommand({
          Bucket: bucket,
          Key: key,
          Range: `bytes=${offset}-${offset + length - 1}`,
        }),
        { abortSignal: signal },
      )
      answered()
      const body = answer.Body as Readable
      try {
        const { sizeBytes, totalBytes } = extent(answer.ContentRange, range)
        const bytes = await readBody(body, sizeBytes, idleMs, signal)
        return { bytes, totalBytes }
      } catch (error) {
        body.destroy()
        throw error
      }
    },
  )
}

/** What the answer says it holds; checked against what was asked for. */
function extent(
  contentRange: string | undefined,
  { offset, length }: { readonly offset: number; readonly length: number },
): { sizeBytes: number; totalBytes: number } {
  if (contentRange === undefined)
    throw new BadAnswer('the answer to a range does not say which range it holds')
  const parts = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange)
  const [startByte, lastByte, totalBytes] = (parts ?? []).slice(1).map(Number)
  if (startByte === undefined || lastByte === undefined || totalBytes === undefined)
    throw new BadAnswer(`the range "${contentRange}" cannot be read`)
  const sizeBytes = Math.min(length, totalBytes - offset)
  if (startByte !== offset || lastByte !== offset + sizeBytes - 1)
    throw new BadAnswer(`the answer holds "${contentRange}", another range than was asked for`)
  return { sizeBytes, totalBytes }
}
