// The output of a chunk, sent act by act. Small files wait until there are some, and travel together.

import type { OutputWriter } from '../api/worker.ts'
import { frame, FRAMES_BYTES, MAX_FRAMES, SMALL_FILE_BYTES } from '../api/worker-frames.ts'
import { concat, utf8 } from '../base/bytes.ts'
import type { DatumResult } from '../model/datum.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { WorkerLink } from './worker-link.ts'

/** What goes with every call about a claim. */
export interface Ours {
  readonly ticket: string
  /** The server that has the output of the chunk; undefined: whoever answers. */
  readonly at: string | undefined
}

/** Files up to this size are sent whole, and again if need be; larger ones as a stream, once. */
const WHOLE_BYTES = 1 << 20
/** A longer path may be refused, and the one who puts it must hear that. */
const SURE_PATH_CHARS = 200

export class HttpOutput implements OutputWriter {
  readonly #link: WorkerLink
  readonly #ours: Ours
  readonly #finished: (result: { tree: TreeRef; receipt: string }) => void
  /** Acts that were done. */
  #acts = 0
  /** Small files, as frames, that wait to be sent. */
  #held: Uint8Array[] = []
  #heldBytes = 0

  constructor(
    link: WorkerLink,
    ours: Ours,
    finished: (result: { tree: TreeRef; receipt: string }) => void,
  ) {
    this.#link = link
    this.#ours = ours
    this.#finished = finished
  }

  async put(datum: string, path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    const { whole, rest } = await beginningOf(content)
    if (whole && whole.length <= SMALL_FILE_BYTES && path.length <= SURE_PATH_CHARS) {
      this.#held.push(frame({ of: datum, path, bytes: whole }))
      this.#heldBytes += whole.length
      if (this.#held.length >= MAX_FRAMES || this.#heldBytes >= FRAMES_BYTES) await this.#flush()
      return
    }
    await this.#flush()
    const call = { ...this.#ours, query: { act: this.#acts, datum, path } }
    if (whole) await this.#link.insist('POST /worker/output/put', { ...call, body: whole })
    else await this.#link.call('POST /worker/output/put', { ...call, body: rest })
    this.#acts++
  }

  async #flush(): Promise<void> {
    if (this.#held.length === 0) return
    const body = concat(this.#held)
    this.#held = []
    this.#heldBytes = 0
    const query = { act: this.#acts }
    await this.#link.insist('POST /worker/output/put-files', { ...this.#ours, query, body })
    this.#acts++
  }

  async copy(datum: string, path: string, input: string, inputPath: string): Promise<void> {
    await this.#flush()
    const body = { act: this.#acts, datum, path, input, inputPath }
    await this.#link.insist('POST /worker/output/copy', { ...this.#ours, body })
    this.#acts++
  }

  async drop(datum: string): Promise<void> {
    await this.#flush()
    const body = { act: this.#acts, datum }
    await this.#link.insist('POST /worker/output/drop', { ...this.#ours, body })
    this.#acts++
  }

  async finish(results: readonly DatumResult[]): Promise<TreeRef> {
    await this.#flush()
    const lines = results.map(({ id, state, attempts, exit, lastLines, times, files }) =>
      JSON.stringify({ id, state, attempts, exit, lastLines, times, files }),
    )
    const body = utf8(lines.map((line) => `${line}\n`).join(''))
    const result = await this.#link.insist('POST /worker/output/finish', {
      ...this.#ours,
      query: { act: this.#acts },
      body,
    })
    this.#acts++
    this.#finished(result)
    return result.tree
  }

  abandon(): void {
    this.#link.call('POST /worker/output/abandon', this.#ours).catch(() => {})
  }
}

/** All of it when it is small, else a stream of it. */
async function beginningOf(
  content: AsyncIterable<Uint8Array>,
): Promise<
  | { readonly whole: Uint8Array<ArrayBufferLike>; readonly rest?: undefined }
  | { readonly whole?: undefined; readonly rest: ReadableStream<Uint8Array> }
> {
  const iterator = content[Symbol.asyncIterator]()
  const parts: Uint8Array[] = []
  let sizeBytes = 0
  for (;;) {
    const next = await iterator.next()
    if (next.done) return { whole: concat(parts) }
    parts.push(next.value)
    sizeBytes += next.value.length
    if (sizeBytes > WHOLE_BYTES) break
  }
  return {
    rest: new ReadableStream<Uint8Array>({
      async pull(controller) {
        const part = parts.shift()
        if (part) return controller.enqueue(part)
        const { done, value } = await iterator.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel() {
        await iterator.return?.()
      },
    }),
  }
}
