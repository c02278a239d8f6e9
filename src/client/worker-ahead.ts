// Small input files of a chunk, fetched many at a time: when one is wanted, those of the datums after
// it come with it.

import type { Claim } from '../api/worker.ts'
import { FRAMES_BYTES, MAX_FRAMES, readFrames, SMALL_FILE_BYTES } from '../api/worker-frames.ts'
import { bodyChunks } from './streams.ts'
import { isAway } from './worker-link.ts'
import type { WorkerLink } from './worker-link.ts'
import type { Ours } from './worker-output.ts'

interface Wanted {
  readonly input: string
  readonly path: string
  readonly sizeBytes: number
}

export class Ahead {
  readonly #link: WorkerLink
  readonly #ours: Ours
  /** Small files not asked for yet, in the order they will be wanted. */
  readonly #ahead = new Map<string, Wanted>()
  readonly #here = new Map<string, Uint8Array>()

  constructor(link: WorkerLink, ours: Ours, claim: Claim) {
    this.#link = link
    this.#ours = ours
    const read = new Set(claim.inputs.filter((each) => !each.emptyFiles).map(({ name }) => name))
    for (const { inputs } of claim.datums)
      for (const { name: input, path, kind, sizeBytes } of inputs)
        if (kind === 'file' && sizeBytes <= SMALL_FILE_BYTES && read.has(input))
          this.#ahead.set(keyOf(input, path), { input, path, sizeBytes })
  }

  /** The whole file; undefined: it has to be read by itself. */
  async take(input: string, path: string): Promise<Uint8Array | undefined> {
    const key = keyOf(input, path)
    const wanted = this.#ahead.get(key)
    if (wanted) await this.#fetch(key, wanted)
    const bytes = this.#here.get(key)
    this.#here.delete(key)
    return bytes
  }

  /** It is not wanted after all. */
  pass(input: string, path: string): void {
    const key = keyOf(input, path)
    this.#ahead.delete(key)
    this.#here.delete(key)
  }

  async #fetch(key: string, first: Wanted): Promise<void> {
    this.#ahead.delete(key)
    const files = [first]
    let sizeBytes = first.sizeBytes
    for (const [each, next] of this.#ahead) {
      if (files.length >= MAX_FRAMES || sizeBytes + next.sizeBytes > FRAMES_BYTES) break
      this.#ahead.delete(each)
      files.push(next)
      sizeBytes += next.sizeBytes
    }
    // Alone it is read by itself: that can be resumed.
    if (files.length === 1) return
    const body = { files: files.map((file) => ({ input: file.input, path: file.path })) }
    try {
      const response = await this.#link.whileAway(() =>
        this.#link.send('POST /worker/read-files', { ...this.#ours, body }),
      )
      for await (const { of, path, bytes } of readFrames(bodyChunks(response)))
        this.#here.set(keyOf(of, path), bytes)
    } catch (error) {
      // What did not come is read by itself, and meets its own error there.
      if (!isAway(error)) throw error
    }
  }
}

/** Of a file of an input. */
export function keyOf(input: string, path: string): string {
  return `${input}\0${path}`
}
