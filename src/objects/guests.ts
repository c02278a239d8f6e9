// What the object engine is given instead of fetching it: a hash and a compressor. main/ brings the
// real ones; the simulation brings a compressor that answers at once.

/** One-shot BLAKE3-256: 32 bytes, computed before it returns. */
export type Hash = (bytes: Uint8Array) => Uint8Array

/** zstd, possibly on another thread. The bytes given must not change until the promise settles. */
export interface Compute {
  /** One zstd frame. */
  compress(bytes: Uint8Array): Promise<Uint8Array>
  /** Exactly `sizeBytes` bytes, or a rejection: the input is not a zstd frame of that size. */
  decompress(bytes: Uint8Array, sizeBytes: number): Promise<Uint8Array>
}
