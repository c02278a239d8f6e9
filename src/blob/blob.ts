// The port of bytes. test/contract/blob.ts runs it on every adapter.

/**
 * A key: parts of [A-Za-z0-9_-.] joined by "/", at most 255 characters a part, no key a directory
 * of another. Every key is used once: a put of an existing key has the same bytes or is a bug.
 */
export type BlobKey = string

export interface BlobObject {
  readonly key: BlobKey
  readonly bytes: Uint8Array
}

/** An address that opens exactly what it was made for, until it expires. */
export interface Presigned {
  readonly url: string
  /** Part of what is signed: they must be sent as they are. */
  readonly headers: Readonly<Record<string, string>>
}

export interface BlobStore {
  /**
   * All objects durable on return, behind one barrier. A crash may leave any subset, each object
   * whole or absent, never a part. Repeating it is harmless. The bytes must not change until it is
   * fulfilled, and for ever if it fails: who knows what is still sent.
   * @throws VarveError DISK_FULL, UNAVAILABLE
   */
  put(objects: readonly BlobObject[]): Promise<void>
  /**
   * The bytes, which are the caller's, or undefined when there is no such object. A range beyond the
   * end is cut short. The caller checks the bytes against their id: the store may be wrong.
   */
  get(
    key: BlobKey,
    range?: { readonly offset: number; readonly length: number },
  ): Promise<Uint8Array | undefined>
  /** The size in bytes, or undefined. */
  head(key: BlobKey): Promise<number | undefined>
  /** Keys that begin with the prefix, in byte order, strictly after `after`. */
  list(
    prefix: string,
    after?: BlobKey,
  ): AsyncIterable<{ readonly key: BlobKey; readonly sizeBytes: number }>
  /** Of a cache: the store behind it, for who must see what that has become. */
  readonly behind?: BlobStore
  /** Of a cache: what it has of this object is wrong; the next read asks the store. */
  forget?(key: BlobKey): void
  /** Absent keys are no error. */
  delete(keys: readonly BlobKey[]): Promise<void>
  /**
   * Only of stores that others reach by an address: where whoever has it may get the object, or
   * exactly the range and not more, by a plain GET until so many seconds have passed. No request is
   * made: the object may be absent. A range has bytes.
   */
  presign?(
    key: BlobKey,
    range: { readonly offset: number; readonly length: number } | undefined,
    ttlSeconds: number,
  ): Promise<Presigned>
}
