// What the object engine is given instead of fetching it: a hash, a compressor, threads that cut. main/
// brings the real ones; the simulation brings a compressor that answers at once, and cuts by itself.

/** One-shot BLAKE3-256: 32 bytes, computed before it returns. */
export type Hash = (bytes: Uint8Array) => Uint8Array

/** zstd, possibly on another thread. The bytes given must not change until the promise settles. */
export interface Compute {
  /** One zstd frame. */
  compress(bytes: Uint8Array): Promise<Uint8Array>
  /** Exactly `sizeBytes` bytes, or a rejection: the input is not a zstd frame of that size. */
  decompress(bytes: Uint8Array, sizeBytes: number): Promise<Uint8Array>
  /** Without it long contents are cut and hashed where they come in. */
  readonly cutting?: Cutting
}

/** Other threads that cut long contents, and the memory that is shared with them. */
export interface Cutting {
  /**
   * For one content, to be cut in turn; undefined: all are in use. Whoever takes them frees them.
   */
  windows(): readonly [CutWindow, CutWindow] | undefined
}

export interface CutWindow {
  /** More than two of the largest chunks. The first FRONT_BYTES are room for what was left over before. */
  readonly bytes: Uint8Array
  /**
   * What `Cutter.cut` says of it, after all that was given before. Up to `end` it must not change until that is
   * known. @throws VarveError UNAVAILABLE
   */
  cut(stretch: Stretch): Promise<Cuts>
  /** For others. */
  free(): void
}

/** Of a window, from FRONT_BYTES on. */
export interface Stretch {
  readonly end: number
  /** Of the content nothing follows. */
  readonly isLast: boolean
}

/** Chunks of a window, one after another. */
export interface Cuts {
  /** Of the first. */
  readonly start: number
  readonly sizes: readonly number[]
  /** BLAKE3 of each, 32 bytes, one after another. */
  readonly hashes: Uint8Array
}
