// What an S3 store is opened with, and how patient it is.

import type { Clock } from '../../../base/clock.ts'
import type { Random } from '../../../base/random.ts'

export interface S3Options {
  /** `http://host:port`; without it AWS. */
  readonly endpoint?: string
  readonly region: string
  readonly bucket: string
  /** Before every key; a "/" is added where it does not end with one. */
  readonly prefix?: string
  /** Both keys or neither; without them the default chain: variables, files, web identity, instance. */
  readonly accessKey?: string
  readonly secretKey?: string
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`; default: with an endpoint that is not AWS. */
  readonly pathStyle?: boolean
  readonly pace?: Partial<S3Pace>
  readonly clock?: Clock
  readonly random?: Random
}

/** How long one thing is waited for, and how much is done at once. */
export interface S3Pace {
  readonly connectTimeoutMs: number
  /** From a request's start to the head of its answer; an upload gets time for its bytes besides. */
  readonly answerTimeoutMs: number
  /** Between two pieces of a body. */
  readonly idleTimeoutMs: number
  /** An operation fails for good when it has not succeeded after this long, its retries included. */
  readonly giveUpMs: number
  /** A read is asked for a second time after the 95th percentile of late answers, within these. */
  readonly hedgeMinMs: number
  readonly hedgeMaxMs: number
  /** Requests in flight at once; a few hedges come on top. */
  readonly reads: number
  readonly writes: number
  /** Above this an object goes up in parts. */
  readonly singlePutBytes: number
  /** At least 5 MiB, or stores refuse it. */
  readonly partBytes: number
  /** A read of more is split into ranges of this many. */
  readonly pieceBytes: number
}

const MIB = 1024 * 1024

export const DEFAULT_PACE: S3Pace = {
  connectTimeoutMs: 3_000,
  answerTimeoutMs: 10_000,
  idleTimeoutMs: 5_000,
  giveUpMs: 45_000,
  hedgeMinMs: 20,
  hedgeMaxMs: 2_000,
  reads: 48,
  writes: 24,
  singlePutBytes: 32 * MIB,
  partBytes: 16 * MIB,
  pieceBytes: 8 * MIB,
}

/** The slowest upload that still counts as moving. */
export const UPLOAD_BYTES_PER_S = 256 * 1024

/** What stands before every key in the bucket: "" or "something/". */
export function rootOf({ prefix = '' }: S3Options): string {
  return prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`
}

export function usesPathStyle({ pathStyle, endpoint }: S3Options): boolean {
  if (pathStyle !== undefined) return pathStyle
  return endpoint !== undefined && !new URL(endpoint).hostname.endsWith('.amazonaws.com')
}

/** `https://…`, for messages. */
export function endpointOf({ endpoint, region }: S3Options): string {
  return endpoint ?? `https://s3.${region}.amazonaws.com`
}
