// Big files of inputs, fetched by the worker straight from the blob store. The API says where, in runs:
// consecutive chunks of the file, of which those with a frame of their own lie in one range of the
// store. What has come is checked by the API as well, because ids depend on a key that no worker has:
// the worker sends the BLAKE3 of each chunk and hears whether they are right, and nothing else.

/** Files from this size on are fetched so, where the store gives addresses; others are read. */
export const DIRECT_BYTES: number = 1 << 20
export const MAX_RUN_CHUNKS = 1_000

export interface InputRun {
  /** Null: no chunk of the run lies in the store alone. */
  readonly range: RunRange | null
  readonly chunks: readonly RunChunk[]
  /** To be shown with the hashes of these chunks, all and in order. */
  readonly proof: string
}

/** Bytes of the store, got by a plain GET with these headers for some minutes. */
export interface RunRange {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly sizeBytes: number
}

export type RunChunk =
  | {
      /** Of its first byte in the range. */
      readonly at: number
      readonly storedBytes: number
      readonly sizeBytes: number
      /** Whether what is stored is a zstd frame; else it is the chunk. */
      readonly zstd: boolean
    }
  /** Carried here, as base64. */
  | { readonly bytes: string }
