// What a worker asks for, answered in this process. A claim opens exactly its own inputs and takes
// output of exactly its own datums.

import type { Claim, InputFile, OutputWriter, WorkerLine } from '../api/worker.ts'
import { assert } from '../base/assert.ts'
import type { JobInput } from '../model/datum.ts'
import { parsePath } from '../model/path.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { LogStore } from '../pipelines/logs.ts'
import type { Claimed, ClaimKey, WorkQueue } from '../pipelines/queue.ts'
import { ResultWriter } from '../pipelines/results.ts'
import type { Versions } from '../versions/versions.ts'
import type { ClaimDesk, ClaimName } from './worker-claims.ts'
import { runsOf } from './worker-runs.ts'
import type { LocatedRun } from './worker-runs.ts'

export class WorkDesk implements ClaimDesk {
  readonly #queue: WorkQueue
  readonly #logs: LogStore
  readonly #objects: Versions['objects']

  constructor(options: { queue: WorkQueue; logs: LogStore; versions: Versions }) {
    this.#queue = options.queue
    this.#logs = options.logs
    this.#objects = options.versions.objects
  }

  async claim(worker: string, waitMs: number, signal: AbortSignal): Promise<Claim | undefined> {
    const claimed = await this.#queue.claim(worker, waitMs, signal)
    return claimed && claimOf(claimed)
  }

  holds(claim: ClaimName): Promise<boolean> {
    return this.#queue.holds(keyOf(claim))
  }

  async recall(claim: ClaimName): Promise<Claim | undefined> {
    const recalled = await this.#queue.recall(keyOf(claim))
    return recalled && claimOf(recalled)
  }

  async beat(worker: string, beat: number, keeps: readonly Claim[]): Promise<readonly Claim[]> {
    const keys = keeps.map(keyOf)
    const lost = await this.#queue.beat(worker, beat, keys)
    return keeps.filter((_, i) => lost.includes(keys[i] as ClaimKey))
  }

  async *files(claim: Claim, input: string, path: string): AsyncIterable<InputFile> {
    const { root } = inputOf(claim, input)
    for await (const entry of this.#objects.walk(root, parsePath(path)))
      yield { path: entry.path, sizeBytes: entry.sizeBytes, digest: entry.digest }
  }

  /** @param offset of the first byte wanted */
  read(claim: Claim, input: string, path: string, offset = 0): AsyncIterable<Uint8Array> {
    return this.#objects.read(inputOf(claim, input).root, parsePath(path), { offset })
  }

  async *runs(claim: Claim, input: string, path: string, first = 0): AsyncIterable<LocatedRun> {
    const { presign } = this.#objects
    const { root } = inputOf(claim, input)
    if (presign) yield* runsOf(this.#objects.locate(root, parsePath(path), first), presign)
  }

  chunkId(hash: Uint8Array): string {
    return this.#objects.chunkId(hash)
  }

  output(claim: Claim): OutputWriter {
    return new ResultWriter(
      this.#objects,
      claim.inputs,
      claim.datums.map((datum) => datum.id),
    )
  }

  async lines(claim: Claim, lines: readonly WorkerLine[]): Promise<void> {
    await this.#logs.append(
      claim,
      lines.map((line) => ({ ...line, job: claim.job })),
    )
  }

  progress(claim: Claim, done: number, failed: number): void {
    this.#queue.progress(keyOf(claim), done, failed)
  }

  async done(claim: ClaimName, result: TreeRef): Promise<boolean> {
    await this.#logs.flush(claim)
    return this.#queue.done(keyOf(claim), result)
  }

  giveBack(claim: ClaimName): Promise<void> {
    return this.#queue.giveBack(keyOf(claim))
  }
}

function claimOf(claimed: Claimed): Claim {
  const { project, pipeline, job, n, owner, token, outputBranch, datums, meta } = claimed
  const { spec, inputs } = meta
  return { project, pipeline, job, n, worker: owner, token, outputBranch, spec, inputs, datums }
}

function keyOf(claim: ClaimName): ClaimKey {
  const { project, pipeline, job, n, worker, token } = claim
  return { project, pipeline, job, n, owner: worker, token }
}

function inputOf(claim: Claim, name: string): JobInput {
  const input = claim.inputs.find((each) => each.name === name)
  assert(input, () => `a claim without the input "${name}"`)
  return input
}
