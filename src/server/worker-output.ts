// The output of one chunk, written by a worker elsewhere act by act. The writer lives in this process
// only: when it is gone the chunk is done again, by whoever claims it next.
//
// Acts are numbered. The next one is done; the one before it, asked again because its answer was lost,
// is answered again; any other means that acts are missing here.

import type { Claim, OutputWriter } from '../api/worker.ts'
import type { WorkerResult } from '../api/worker-routes.ts'
import { VarveError } from '../base/errors.ts'
import type { DatumResult } from '../model/datum.ts'
import { chunkKey } from '../model/datum.ts'

export class OutputSession {
  readonly #claim: Claim
  readonly #make: () => OutputWriter
  #writer: OutputWriter | undefined
  #next = 0
  #last: unknown
  #tail: Promise<unknown> = Promise.resolve()
  #ended = false

  constructor(claim: Claim, make: () => OutputWriter) {
    this.#claim = claim
    this.#make = make
  }

  /** One at a time. @throws VarveError STALE_STATE when acts before it are missing here */
  act<T>(n: number, work: (writer: OutputWriter) => Promise<T>): Promise<T> {
    const done = this.#tail.then(async () => {
      if (this.#ended || (n !== this.#next && n !== this.#next - 1)) throw this.#lost()
      if (n === this.#next - 1) return this.#last as T
      this.#writer ??= this.#make()
      const value = await work(this.#writer)
      this.#last = value
      this.#next++
      return value
    })
    this.#tail = done.catch(() => {})
    return done
  }

  /** Forgets what was not finished. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#writer?.abandon()
  }

  #lost(): VarveError {
    return new VarveError(
      'STALE_STATE',
      `cannot go on with "${chunkKey(this.#claim)}": what it put out so far is not here any more`,
    )
  }

  /** @throws VarveError FORBIDDEN */
  refuseOther(datum: string): void {
    if (!this.#claim.datums.some((each) => each.id === datum))
      throw new VarveError('FORBIDDEN', `cannot put out for "${datum}": it is not of this chunk`)
  }

  /** What the worker says about its datums, put beside what the plan says of them. */
  results(said: readonly WorkerResult[]): DatumResult[] {
    const byId = new Map(said.map((result) => [result.id, result]))
    if (byId.size !== said.length || said.length !== this.#claim.datums.length)
      throw new VarveError(
        'INVALID_OPTION',
        `cannot finish the chunk: ${said.length} results for ${this.#claim.datums.length} datums`,
      )
    return this.#claim.datums.map((planned) => {
      const result = byId.get(planned.id)
      if (!result)
        throw new VarveError('INVALID_OPTION', `cannot finish: no result for "${planned.id}"`)
      const { state, attempts, exit, lastLines, times, files } = result
      const { id, key, why, inputs } = planned
      return { id, key, why, inputs, state, attempts, exit, lastLines, times, files }
    })
  }
}
