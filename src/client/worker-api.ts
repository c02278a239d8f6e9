// The WorkerApi over HTTP. The worker sees no difference: a server that goes away and comes back is a
// pause, and a chunk that is lost is a refusal (STALE_STATE) or a beat that says so.

import type { Claim, InputFile, OutputWriter, WorkerApi, WorkerLine } from '../api/worker.ts'
import { DIRECT_BYTES } from '../api/worker-runs.ts'
import { assert } from '../base/assert.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { bodyChunks, jsonLines } from './streams.ts'
import { Ahead, keyOf } from './worker-ahead.ts'
import { Direct } from './worker-direct.ts'
import type { BigFile, DirectGuests } from './worker-direct.ts'
import { isAway, WorkerLink } from './worker-link.ts'
import type { LinkOptions } from './worker-link.ts'
import { HttpOutput } from './worker-output.ts'
import type { Ours } from './worker-output.ts'

export interface HttpWorkerOptions extends LinkOptions {
  /** Of the token; a server that knows it as another one says so. */
  readonly pool: string
  /** With it, big files are fetched from the blob store where it can be reached. */
  readonly direct?: DirectGuests
}

interface HeldClaim {
  readonly ours: Ours
  readonly ahead: Ahead
  /** Files seen that are big enough to be fetched from the store. */
  readonly big: Map<string, BigFile>
  batches: number
  /** While beats fail: whether to go on. */
  goesOn: ((error: unknown) => boolean) | undefined
  result: { readonly tree: TreeRef; readonly receipt: string } | undefined
}

const BATCH_CHARS = 200_000
const CLAIM_SLACK_MS = 15_000
/** A beat that waits longer is worth less than the next one. */
const BEAT_MS = 4_000

export class HttpWorkerApi implements WorkerApi {
  readonly #link: WorkerLink
  readonly #pool: string
  readonly #direct: Direct | undefined
  readonly #held = new WeakMap<Claim, HeldClaim>()

  constructor(options: HttpWorkerOptions) {
    this.#link = new WorkerLink(options)
    this.#pool = options.pool
    this.#direct = options.direct && new Direct(this.#link, options, options.direct)
  }

  async claim(worker: string, waitMs: number, signal: AbortSignal): Promise<Claim | undefined> {
    if (signal.aborted) return undefined
    try {
      const answer = await this.#link.call('POST /worker/claim', {
        body: { worker, pool: this.#pool, waitMs },
        timeoutMs: waitMs + CLAIM_SLACK_MS,
        signal,
      })
      if (!answer) return undefined
      const { claim, ticket, api } = answer
      const ours = { ticket, at: api ?? undefined }
      const ahead = new Ahead(this.#link, ours, claim)
      const big = bigFilesOf(claim)
      this.#held.set(claim, { ours, ahead, big, batches: 0, goesOn: undefined, result: undefined })
      return claim
    } catch (error) {
      if (signal.aborted && isAway(error)) return undefined
      throw error
    }
  }

  #of(claim: Claim): HeldClaim {
    const held = this.#held.get(claim)
    assert(held, 'a claim that did not come from here')
    return held
  }

  async beat(worker: string, beat: number, keeps: readonly Claim[]): Promise<readonly Claim[]> {
    const held = keeps.map((claim) => this.#of(claim))
    try {
      const { lost } = await this.#link.call('POST /worker/beat', {
        body: { worker, beat, keeps: held.map(({ ours }) => ours.ticket) },
        at: held[0]?.ours.at,
        timeoutMs: BEAT_MS,
      })
      for (const each of held) each.goesOn = undefined
      return keeps.filter((_, i) => lost.includes(i))
    } catch (error) {
      // Nobody heard of these for longer than a lease: somebody else has them, or nobody can.
      const goesOn = held.map((each) => (each.goesOn ??= this.#link.patience())(error))
      if (isAway(error) && held.length > 0 && goesOn.every((each) => !each)) return keeps
      throw error
    }
  }

  async *files(claim: Claim, input: string, path: string): AsyncIterable<InputFile> {
    const { ours, big } = this.#of(claim)
    let seen = 0
    let goesOn = this.#link.patience()
    for (;;)
      try {
        const response = await this.#link.whileAway(() =>
          this.#link.send('GET /worker/files', { ...ours, query: { input, path } }),
        )
        // The order is always the same: what was seen before is passed over.
        let n = 0
        for await (const file of jsonLines(response)) {
          if (n++ < seen) continue
          seen++
          goesOn = this.#link.patience()
          note(big, { input, ...(file as InputFile) })
          yield file as InputFile
        }
        return
      } catch (error) {
        if (!goesOn(error)) throw error
        await this.#link.pause()
      }
  }

  async *read(claim: Claim, input: string, path: string): AsyncIterable<Uint8Array> {
    const { ours, ahead, big } = this.#of(claim)
    const whole = await ahead.take(input, path)
    if (whole) return yield whole
    let offset = 0
    const file = this.#direct && big.get(keyOf(input, path))
    if (file && this.#direct)
      for await (const bytes of this.#direct.read(ours, file)) {
        offset += bytes.length
        yield bytes
      }
    if (offset === file?.sizeBytes) return
    let goesOn = this.#link.patience()
    for (;;)
      try {
        const response = await this.#link.whileAway(() =>
          this.#link.send('GET /worker/read', { ...ours, query: { input, path, offset } }),
        )
        for await (const bytes of bodyChunks(response)) {
          offset += bytes.length
          goesOn = this.#link.patience()
          yield bytes
        }
        return
      } catch (error) {
        if (!goesOn(error)) throw error
        await this.#link.pause()
      }
  }

  pass(claim: Claim, input: string, path: string): void {
    this.#of(claim).ahead.pass(input, path)
  }

  output(claim: Claim): OutputWriter {
    const held = this.#of(claim)
    const writer = new HttpOutput(this.#link, held.ours, (result) => (held.result = result))
    return writer
  }

  async lines(claim: Claim, lines: readonly WorkerLine[]): Promise<void> {
    const held = this.#of(claim)
    for (const batch of batchesOf(lines))
      await this.#link.insist('POST /worker/lines', {
        ...held.ours,
        body: { batch: held.batches++, lines: batch },
      })
  }

  progress(claim: Claim, done: number, failed: number): void {
    const { ours } = this.#of(claim)
    // Live only: the next one says it better than a repetition.
    this.#link.call('POST /worker/progress', { ...ours, body: { done, failed } }).catch(() => {})
  }

  async done(claim: Claim, result: TreeRef): Promise<boolean> {
    const { ours, result: finished } = this.#of(claim)
    assert(finished?.tree === result, 'a result that was not put out here')
    const call = { ticket: ours.ticket, body: finished }
    const { counts } = await this.#anywhere(ours, (at) =>
      this.#link.insist('POST /worker/done', { ...call, at }),
    )
    return counts
  }

  async giveBack(claim: Claim): Promise<void> {
    const { ours } = this.#of(claim)
    await this.#anywhere(ours, (at) =>
      this.#link.insist('POST /worker/give-back', { ticket: ours.ticket, at }),
    )
  }

  /** At the claim's own server, and when that does not come back at any other. */
  async #anywhere<T>(ours: Ours, work: (at: string | undefined) => Promise<T>): Promise<T> {
    try {
      return await work(ours.at)
    } catch (error) {
      if (ours.at === undefined || !isAway(error)) throw error
      return work(undefined)
    }
  }
}

function note(big: Map<string, BigFile>, { input, path, sizeBytes }: BigFile): void {
  if (sizeBytes >= DIRECT_BYTES) big.set(keyOf(input, path), { input, path, sizeBytes })
}

/** Those that the datums name themselves; others are seen when a folder is listed. */
function bigFilesOf({ datums }: Claim): Map<string, BigFile> {
  const big = new Map<string, BigFile>()
  for (const { inputs } of datums)
    for (const { name, path, kind, sizeBytes } of inputs)
      if (kind === 'file') note(big, { input: name, path, sizeBytes })
  return big
}

function* batchesOf(lines: readonly WorkerLine[]): Generator<readonly WorkerLine[]> {
  let batch: WorkerLine[] = []
  let chars = 0
  for (const line of lines) {
    const size = line.text.length + 200
    if (batch.length > 0 && chars + size > BATCH_CHARS) {
      yield batch
      batch = []
      chars = 0
    }
    batch.push(line)
    chars += size
  }
  if (batch.length > 0) yield batch
}
