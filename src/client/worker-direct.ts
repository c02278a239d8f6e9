// Big input files, fetched straight from the blob store (api/worker-runs.ts), some runs ahead.
//
// - No byte leaves here before the API has said that the whole run it came in is right. So whoever
//   reads may stop trusting us after any byte and go on from there by other means.
// - What fails after progress is tried again with new addresses; what fails twice at one place ends
//   the stream early: the API reads the rest, and says what is wrong if something is.
// - Memory: FILES_AT_ONCE · RUNS_AT_ONCE runs of 8 MiB, each as it is stored and as it is.

import type { InputRun, RunChunk, RunRange } from '../api/worker-runs.ts'
import { Semaphore } from '../base/async.ts'
import { EMPTY, toHex } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { VarveError } from '../base/errors.ts'
import { bodyChunks, jsonLines } from './streams.ts'
import type { WorkerLink } from './worker-link.ts'
import type { Ours } from './worker-output.ts'

/** What it takes to open what the store has. */
export interface DirectGuests {
  /** BLAKE3 of 32 bytes. */
  readonly hash: (bytes: Uint8Array) => Uint8Array
  /** A zstd frame of exactly so many bytes, or a rejection. */
  readonly decompress: (bytes: Uint8Array, sizeBytes: number) => Promise<Uint8Array>
  /** Why a file, or the rest of it, comes through the API. */
  readonly trouble?: (error: unknown) => void
}

const FILES_AT_ONCE = 4
const RUNS_AT_ONCE = 3
const RANGE_MS = 30_000
/** A store that failed and has not answered since is not asked for so long. */
const REST_MS = 300_000

export interface BigFile {
  readonly input: string
  readonly path: string
  readonly sizeBytes: number
}

export class Direct {
  readonly #link: WorkerLink
  readonly #clock: Clock
  readonly #fetch: typeof fetch
  readonly #guests: DirectGuests
  readonly #files = new Semaphore(FILES_AT_ONCE)
  #failedMs: number | undefined

  constructor(
    link: WorkerLink,
    options: { readonly clock: Clock; readonly fetch?: typeof fetch },
    guests: DirectGuests,
  ) {
    this.#link = link
    this.#clock = options.clock
    this.#fetch = options.fetch ?? ((input, init) => fetch(input, init))
    this.#guests = guests
  }

  /** The file from its beginning, verified, as far as it can be had so. */
  async *read(ours: Ours, { input, path, sizeBytes }: BigFile): AsyncGenerator<Uint8Array> {
    await this.#files.acquire()
    try {
      if (this.#rests()) return
      let came = 0
      let first = 0
      let failure: unknown
      // As long as there is progress.
      for (let before = -1; before < first && came < sizeBytes;) {
        before = first
        try {
          for await (const run of this.#runs(ours, { input, path, first })) {
            first += run.length
            for (const chunk of run) {
              came += chunk.length
              yield chunk
            }
          }
        } catch (error) {
          failure = error
        }
      }
      if (came === sizeBytes) return
      if (failure) this.#guests.trouble?.(failure)
      // It has no addresses to give: nor will it for the next file.
      else this.#failedMs = this.#clock.monotonicMs()
    } finally {
      this.#files.release()
    }
  }

  #rests(): boolean {
    return this.#failedMs !== undefined && this.#clock.monotonicMs() - this.#failedMs < REST_MS
  }

  /** The chunks of each run, verified, in order. */
  async *#runs(
    ours: Ours,
    query: { readonly input: string; readonly path: string; readonly first: number },
  ): AsyncGenerator<readonly Uint8Array[]> {
    const stop = new AbortController()
    const ahead: Promise<readonly Uint8Array[]>[] = []
    try {
      const response = await this.#link.whileAway(() =>
        this.#link.send('GET /worker/runs', { ...ours, query }),
      )
      for await (const line of jsonLines(response)) {
        const opening = this.#open(ours, line as InputRun, stop.signal)
        // Heard when its turn has come, if it comes.
        opening.catch(() => {})
        ahead.push(opening)
        if (ahead.length === RUNS_AT_ONCE) yield await (ahead.shift() as (typeof ahead)[number])
      }
      for (const opening of ahead) yield await opening
    } finally {
      stop.abort()
    }
  }

  /** @throws VarveError UNAVAILABLE, CORRUPT, and what the API says */
  async #open(ours: Ours, run: InputRun, signal: AbortSignal): Promise<readonly Uint8Array[]> {
    const { hash } = this.#guests
    const stored = run.range ? await this.#get(run.range, signal) : EMPTY
    const chunks = await Promise.all(run.chunks.map((chunk) => this.#unpack(stored, chunk)))
    const { ok } = await this.#link.insist('POST /worker/runs/check', {
      ...ours,
      body: { proof: run.proof, hashes: chunks.map((bytes) => toHex(hash(bytes))) },
    })
    if (!ok) throw new VarveError('CORRUPT', 'cannot use what the store sent: the hashes are wrong')
    return chunks
  }

  async #unpack(stored: Uint8Array, chunk: RunChunk): Promise<Uint8Array> {
    if ('bytes' in chunk) return Uint8Array.from(atob(chunk.bytes), (c) => c.charCodeAt(0))
    const { at, storedBytes, sizeBytes, zstd } = chunk
    const bytes = stored.subarray(at, at + storedBytes)
    if (!zstd) return bytes
    return this.#guests.decompress(bytes, sizeBytes).catch((error: unknown) => {
      throw new VarveError('CORRUPT', 'cannot unpack what the store sent', { cause: error })
    })
  }

  /** Exactly the range. @throws VarveError UNAVAILABLE */
  async #get({ url, headers, sizeBytes }: RunRange, stop: AbortSignal): Promise<Uint8Array> {
    const cut = new AbortController()
    void this.#clock.sleep(RANGE_MS, cut.signal).then(() => cut.abort())
    try {
      const signal = AbortSignal.any([stop, cut.signal])
      const response = await this.#fetch(url, { headers: { ...headers }, signal })
      if (!response.ok) throw new Error(`it answered ${response.status}`)
      const bytes = new Uint8Array(sizeBytes)
      let came = 0
      for await (const part of bodyChunks(response)) {
        if (came + part.length > sizeBytes) throw new Error(`over ${sizeBytes} bytes came`)
        bytes.set(part, came)
        came += part.length
      }
      if (came < sizeBytes) throw new Error(`${came} of ${sizeBytes} bytes came`)
      this.#failedMs = undefined
      return bytes
    } catch (error) {
      if (!stop.aborted) this.#failedMs = this.#clock.monotonicMs()
      // The address itself is a key: it is not said.
      const inner = (error as { cause?: { code?: string } }).cause
      const why = inner?.code ?? (error as Error).message
      throw new VarveError('UNAVAILABLE', `cannot fetch from ${new URL(url).origin}: ${why}`, {
        cause: error,
      })
    } finally {
      cut.abort()
    }
  }
}
