// Objects in a bucket of any store that speaks S3. It is asked for little: put, multipart, get by
// range, list (V2), delete. Keys are used once, so that every request may be sent again.

import type { ListObjectsV2CommandOutput } from '@aws-sdk/client-s3'
import { assert } from '../../../base/assert.ts'
import { forEachLimit } from '../../../base/async.ts'
import { EMPTY } from '../../../base/bytes.ts'
import { systemClock } from '../../../base/clock.ts'
import type { Clock } from '../../../base/clock.ts'
import { VarveError } from '../../../base/errors.ts'
import { systemRandom } from '../../../base/random.ts'
import type { BlobKey, BlobObject, BlobStore, Presigned } from '../../blob.ts'
import { checkKey } from '../../key.ts'
import { Caller } from './caller.ts'
import { deleteKeys } from './delete.ts'
import { abortLeftovers } from './leftovers.ts'
import type { S3Options, S3Pace } from './options.ts'
import { DEFAULT_PACE, rootOf } from './options.ts'
import { readPiece } from './piece.ts'
import { putParts, putWhole } from './upload.ts'
import { openWire } from './wire.ts'
import type { Wire } from './wire.ts'

const PUTS_AT_ONCE = 16
const PIECES_AT_ONCE = 4
const DELETE_BATCH = 1_000
const BATCHES_AT_ONCE = 4
const LIST_PAGE = 1_000

interface Range {
  readonly offset: number
  readonly length: number
}

export class S3BlobStore implements BlobStore {
  readonly #wire: Wire
  readonly #caller: Caller
  readonly #bucket: string
  readonly #root: string
  readonly #pace: S3Pace
  readonly #clock: Clock

  private constructor(wire: Wire, pace: S3Pace, options: S3Options) {
    this.#wire = wire
    this.#pace = pace
    this.#bucket = options.bucket
    this.#root = rootOf(options)
    this.#clock = options.clock ?? systemClock
    this.#caller = new Caller(pace, this.#clock, options.random ?? systemRandom)
  }

  /**
   * Loads the client; the first request is the first contact. `checkS3` says whether all is well.
   * @throws VarveError INVALID_OPTION
   */
  static async open(options: S3Options): Promise<S3BlobStore> {
    // The default chain would step in silently, with the rights of somebody else.
    if ((options.accessKey === undefined) !== (options.secretKey === undefined))
      throw new VarveError(
        'INVALID_OPTION',
        `cannot open bucket "${options.bucket}": only one of its two keys is given`,
      )
    const pace = { ...DEFAULT_PACE, ...options.pace }
    return new S3BlobStore(await openWire(options, pace), pace, options)
  }

  async put(objects: readonly BlobObject[]): Promise<void> {
    for (const { key } of objects) checkKey(key)
    await forEachLimit(objects, PUTS_AT_ONCE, async ({ key, bytes }) => {
      const upload = {
        wire: this.#wire,
        caller: this.#caller,
        bucket: this.#bucket,
        key: this.#root + key,
        bytes,
      }
      if (bytes.length <= this.#pace.singlePutBytes) await putWhole(upload)
      else await putParts(upload, this.#pace.partBytes)
    })
  }

  async get(key: BlobKey, range?: Range): Promise<Uint8Array | undefined> {
    checkKey(key)
    const { offset, length } = range ?? { offset: 0, length: Number.POSITIVE_INFINITY }
    if (length === 0) return (await this.head(key)) === undefined ? undefined : EMPTY
    const step = this.#pace.pieceBytes
    const first = await this.#piece(key, { offset, length: Math.min(length, step) })
    if (first === 'absent') return undefined
    if (first === 'beyond') return EMPTY
    const end = Math.min(offset + length, first.totalBytes)
    if (offset + first.bytes.length >= end) return first.bytes
    const whole = new Uint8Array(end - offset)
    whole.set(first.bytes)
    const starts: number[] = []
    for (let at = offset + first.bytes.length; at < end; at += step) starts.push(at)
    await forEachLimit(starts, PIECES_AT_ONCE, async (at) => {
      const piece = await this.#piece(key, { offset: at, length: Math.min(step, end - at) })
      // Immutable while it lives: only a delete in between can change what is there.
      if (piece === 'absent' || piece === 'beyond' || piece.totalBytes !== first.totalBytes)
        throw new VarveError('UNAVAILABLE', `cannot read "${key}": it was deleted meanwhile`)
      whole.set(piece.bytes, at - offset)
    })
    return whole
  }

  // By a read of one byte: its refusal has a body that tells an absent object from an absent bucket.
  async head(key: BlobKey): Promise<number | undefined> {
    checkKey(key)
    const piece = await this.#piece(key, { offset: 0, length: 1 })
    if (piece === 'absent') return undefined
    return piece === 'beyond' ? 0 : piece.totalBytes
  }

  async *list(
    prefix: string,
    after?: BlobKey,
  ): AsyncIterable<{ readonly key: BlobKey; readonly sizeBytes: number }> {
    const root = this.#root
    let last = after ?? ''
    for (;;) {
      const page = await this.#page(root + prefix, last === '' ? undefined : root + last)
      for (const { Key = '', Size } of page.Contents ?? []) {
        const key = Key.slice(root.length)
        // Not every store sorts; taking the next page from an unsorted one would skip keys.
        if (!Key.startsWith(root + prefix) || key <= last || Size === undefined)
          throw new VarveError(
            'UNAVAILABLE',
            `cannot list "${root + prefix}" of bucket "${this.#bucket}": "${Key}" came after "${root + last}", out of order`,
          )
        last = key
        yield { key, sizeBytes: Size }
      }
      if (page.IsTruncated !== true) return
      assert((page.Contents?.length ?? 0) > 0, 'a page of a list that goes on has keys')
    }
  }

  async delete(keys: readonly BlobKey[]): Promise<void> {
    for (const key of keys) checkKey(key)
    const batches: string[][] = []
    for (let i = 0; i < keys.length; i += DELETE_BATCH)
      batches.push(keys.slice(i, i + DELETE_BATCH).map((key) => this.#root + key))
    await forEachLimit(batches, BATCHES_AT_ONCE, (batch) =>
      deleteKeys(this.#wire, this.#caller, this.#bucket, batch),
    )
  }

  async presign(key: BlobKey, range: Range | undefined, ttlSeconds: number): Promise<Presigned> {
    checkKey(key)
    assert(!range || range.length > 0, 'a range to read has bytes')
    const { getSignedUrl } = await import('@aws-sdk/s3-request-presigner')
    const headers: Record<string, string> = range
      ? { range: `bytes=${range.offset}-${range.offset + range.length - 1}` }
      : {}
    const command = new this.#wire.sdk.GetObjectCommand({
      Bucket: this.#bucket,
      Key: this.#root + key,
      Range: headers['range'],
    })
    // Signed, so that a worker that may read one range cannot read the rest.
    const unhoistableHeaders = new Set(Object.keys(headers))
    const url = await getSignedUrl(this.#wire.client, command, {
      expiresIn: ttlSeconds,
      unhoistableHeaders,
    })
    return { url, headers }
  }

  /** Aborts uploads in parts that a crash left behind, older than this. @returns how many */
  async abortLeftovers(olderThanMs: number): Promise<number> {
    const target = { bucket: this.#bucket, root: this.#root }
    const beforeMs = this.#clock.nowMs() - olderThanMs
    return abortLeftovers(this.#wire, this.#caller, target, beforeMs)
  }

  /** Ends idle connections. */
  close(): void {
    this.#wire.close()
  }

  #piece(key: BlobKey, range: Range): ReturnType<typeof readPiece> {
    const object = { bucket: this.#bucket, key: this.#root + key }
    return readPiece(this.#wire, this.#caller, object, range, this.#pace.idleTimeoutMs)
  }

  #page(prefix: string, after: string | undefined): Promise<ListObjectsV2CommandOutput> {
    return this.#caller.call(
      {
        name: 'ListObjectsV2',
        doing: `list "${prefix}" of bucket "${this.#bucket}"`,
        action: 's3:ListBucket',
      },
      (abortSignal) =>
        this.#wire.client.send(
          new this.#wire.sdk.ListObjectsV2Command({
            Bucket: this.#bucket,
            Prefix: prefix,
            StartAfter: after,
            MaxKeys: LIST_PAGE,
          }),
          { abortSignal },
        ),
    )
  }
}
