// A server in memory that has one chunk of work to give.

import { expect } from 'vitest'
import type { Claim, OutputWriter, WorkerApi, WorkerLine } from '../../src/api/worker.ts'
import { utf8 } from '../../src/base/bytes.ts'
import { systemClock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { DatumPiece, DatumResult } from '../../src/model/datum.ts'
import { idSource } from '../../src/model/id.ts'
import { parsePipelineDocument } from '../../src/model/spec-pipeline.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'

const ids = idSource(systemClock, seededRandom(1))

export function piece(path: string, digest: string): DatumPiece {
  return { name: 'in', path, kind: 'file', digest, sizeBytes: 1 }
}

/** A server with one chunk to give; files of its input hold their own path. */
export class OneChunk implements WorkerApi {
  claimed: Claim
  readonly reads: string[] = []
  readonly lost = new Set<Claim>()
  readonly heard: WorkerLine[] = []
  results: readonly DatumResult[] | undefined
  isDone = false
  givenBack = false
  beats = 0
  /** Of each call of `progress`: failed. */
  readonly told: number[] = []
  #given = false

  constructor(pieces: readonly DatumPiece[], more: Record<string, unknown> = {}) {
    const job = ids()
    this.claimed = {
      project: 'p',
      pipeline: 'l',
      job,
      n: 0,
      worker: 'w',
      token: 1,
      outputBranch: 'master',
      spec: parsePipelineDocument({
        pipeline: { name: 'l' },
        input: { pfs: { repo: 'in', glob: '/*' } },
        transform: { cmd: ['code'] },
        ...more,
      }),
      inputs: [
        {
          name: 'in',
          project: 'p',
          repo: 'in',
          branch: 'master',
          commit: job,
          root: 'r' as TreeRef,
          glob: '/*',
          emptyFiles: false,
        },
      ],
      datums: pieces.map((each, i) => ({ id: `d${i}`, key: 'k', why: 'new', inputs: [each] })),
    }
  }

  async claim(_worker: string, _waitMs: number, signal: AbortSignal): Promise<Claim | undefined> {
    if (this.#given) await new Promise((resolve) => signal.addEventListener('abort', resolve))
    if (signal.aborted) return undefined
    this.#given = true
    return this.claimed
  }

  beat(_worker: string, beat: number, keeps: readonly Claim[]): Promise<readonly Claim[]> {
    expect(beat).toBe(++this.beats)
    return Promise.resolve(keeps.filter((keep) => this.lost.has(keep)))
  }

  async *files(): AsyncIterable<never> {}

  async *read(_claim: Claim, _input: string, path: string): AsyncIterable<Uint8Array> {
    this.reads.push(path)
    yield utf8(path)
  }

  output(): OutputWriter {
    const nothing = (): Promise<void> => Promise.resolve()
    return {
      put: nothing,
      copy: nothing,
      drop: nothing,
      abandon: () => {},
      finish: (results) => {
        this.results = results
        return Promise.resolve('t' as TreeRef)
      },
    }
  }

  lines(_claim: Claim, lines: readonly WorkerLine[]): Promise<void> {
    this.heard.push(...lines)
    return Promise.resolve()
  }

  progress(_claim: Claim, _done: number, failed: number): void {
    this.told.push(failed)
  }

  done(): Promise<boolean> {
    this.isDone = true
    return Promise.resolve(true)
  }

  giveBack(): Promise<void> {
    this.givenBack = true
    return Promise.resolve()
  }
}
