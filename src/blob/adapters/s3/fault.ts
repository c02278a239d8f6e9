// What went wrong with one request, as a decision: is the object absent, does asking again help, or
// is it for an operator. The whole knowledge about error codes of S3 and its kin is here.

import { VarveError } from '../../../base/errors.ts'
import type { ErrorCode } from '../../../base/errors.ts'

export type Fault =
  /** There is no such object. */
  | { readonly kind: 'absent' }
  /** The range begins beyond the end of the object. */
  | { readonly kind: 'beyond' }
  /** The same request may succeed; `slow`: the store asks for fewer. */
  | { readonly kind: 'again'; readonly slow: boolean; readonly text: string }
  /** Asking again does not help. `name` is the store's own word for it. */
  | {
      readonly kind: 'final'
      readonly code: ErrorCode
      readonly name: string
      readonly text: string
    }

/** An answer that cannot be what the store meant: cut short, stalled, without what it must carry. */
export class BadAnswer extends Error {
  override name = 'BadAnswer'
}

/** The attempt took longer than it may. */
export class TooLate extends Error {
  override name = 'TooLate'
}

interface Raised {
  readonly name?: string
  readonly message?: string
  readonly code?: string
  readonly Code?: string
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly $response?: { readonly statusCode?: number; readonly headers?: Record<string, string> }
}

const SLOW =
  /^(SlowDown|SlowDownRead|SlowDownWrite|Throttling|TooManyRequests|ServiceUnavailable|RequestLimitExceeded|BandwidthLimitExceeded|Busy)/
const FULL =
  /^(InsufficientStorage|QuotaExceeded|XMinio(StorageFull|AdminBucketQuotaExceeded)|StorageFull|NoSpaceLeft|EntityQuotaExceeded|ServerStorageFull)/
/** Answers of the 4xx family that tell of a moment and not of the request. */
const PASSING =
  /^(RequestTimeout|RequestTimeTooSkewed|OperationAborted|ConditionalRequestConflict|IncompleteBody|BadDigest|XAmzContentSHA256Mismatch|XAmzContentChecksumMismatch|ExpiredToken|InternalError)/
const DENIED = /^(AccessDenied|AllAccessDisabled|Forbidden|AccountProblem|MethodNotAllowed)/
const KEYS =
  /^(InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|UnrecognizedClient|CredentialsProviderError|InvalidSecurity|XAdminUserNotFound|NotSignedUp)/
const ELSEWHERE =
  /^(PermanentRedirect|TemporaryRedirect|Redirect|AuthorizationHeaderMalformed|IllegalLocationConstraint|IncorrectEndpoint)/
const TLS = /^(CERT_|ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|EPROTO|HOSTNAME_MISMATCH)/

export function faultOf(error: unknown): Fault {
  const raised = error as Raised
  const status = raised.$metadata?.httpStatusCode ?? raised.$response?.statusCode
  const name = raised.Code ?? raised.name ?? raised.code ?? 'unknown'
  const message = raised.message ?? ''
  const text = shortText(name === 'Error' ? (raised.code ?? name) : name, message, status)
  const final = (code: ErrorCode, because: string): Fault => ({
    kind: 'final',
    code,
    name,
    text: because,
  })
  // Only the store's own word counts: a 404 of something in between must not pass for absence.
  if (name === 'NoSuchKey') return { kind: 'absent' }
  if (name === 'InvalidRange' || status === 416) return { kind: 'beyond' }
  if (FULL.test(name) || status === 507) return final('DISK_FULL', `the store is full: ${text}`)
  if (SLOW.test(name) || status === 503 || status === 429)
    return { kind: 'again', slow: true, text: `the store asks to slow down: ${text}` }
  if (PASSING.test(name)) return { kind: 'again', slow: false, text }
  if (KEYS.test(name)) return final('UNAVAILABLE', `the keys are not accepted: ${text}`)
  if (DENIED.test(name)) return final('UNAVAILABLE', `access denied: ${text}`)
  if (name === 'NoSuchBucket') return final('UNAVAILABLE', 'there is no such bucket')
  if (ELSEWHERE.test(name) || status === 301 || status === 307) {
    const region =
      raised.$response?.headers?.['x-amz-bucket-region'] ?? /expecting '([^']+)'/.exec(message)?.[1]
    const where = region === undefined ? 'another region' : `region "${region}"`
    return final('UNAVAILABLE', `the bucket is in ${where}: ${text}`)
  }
  if (TLS.test(raised.code ?? '')) return final('UNAVAILABLE', `TLS failed: ${text}`)
  if (status !== undefined && status >= 400 && status < 500 && status !== 408)
    return final(status === 413 ? 'TOO_LARGE' : 'UNAVAILABLE', text)
  return { kind: 'again', slow: false, text }
}

/** @param doing `write "packs/x"` */
export function s3Error(doing: string, fault: Fault, cause: unknown): VarveError {
  if (fault.kind === 'again' || fault.kind === 'final')
    return new VarveError(
      fault.kind === 'final' ? fault.code : 'UNAVAILABLE',
      `cannot ${doing}: ${fault.text}`,
      { cause },
    )
  return new VarveError('UNAVAILABLE', `cannot ${doing}: the store calls it ${fault.kind}`, {
    cause,
  })
}

function shortText(name: string, message: string, status: number | undefined): string {
  const head = status !== undefined && status !== 200 ? `${name} (${status})` : name
  const one = message.replaceAll(/\s+/g, ' ').slice(0, 200)
  return one === '' || one === name ? head : `${head}: ${one}`
}
