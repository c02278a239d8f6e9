// Pools whose workers are loops of this process.

import type { PoolSpec, PoolStatus, Pools } from '../../pools.ts'

interface Loop {
  readonly ended: Promise<void>
  readonly stop: AbortController
}

export class LoopPools implements Pools {
  readonly #start: (pool: string, index: number, signal: AbortSignal) => Promise<void>
  readonly #pools = new Map<string, { loops: Loop[]; cause: string | undefined }>()

  /** `start` runs one worker until its signal is aborted. If it fails the pool says so as its cause. */
  constructor(options: {
    start: (pool: string, index: number, signal: AbortSignal) => Promise<void>
  }) {
    this.#start = options.start
  }

  async apply(spec: PoolSpec): Promise<void> {
    const pool = this.#pools.get(spec.id) ?? { loops: [], cause: undefined }
    this.#pools.set(spec.id, pool)
    while (pool.loops.length < spec.size) pool.loops.push(this.#loop(spec.id, pool))
    await Promise.all(pool.loops.splice(spec.size).map(stopped))
  }

  #loop(id: string, pool: { loops: Loop[]; cause: string | undefined }): Loop {
    const stop = new AbortController()
    const loop: Loop = {
      stop,
      ended: this.#start(id, pool.loops.length, stop.signal)
        .catch((error: unknown) => {
          pool.cause = `a worker ended: ${(error as Error).message}`
        })
        .finally(() => {
          pool.loops = pool.loops.filter((each) => each !== loop)
        }),
    }
    return loop
  }

  status(): readonly PoolStatus[] {
    return [...this.#pools].map(([id, pool]) => ({
      id,
      running: pool.loops.length,
      cause: pool.cause,
    }))
  }

  async remove(id: string): Promise<void> {
    const pool = this.#pools.get(id)
    this.#pools.delete(id)
    await Promise.all((pool?.loops ?? []).map(stopped))
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.keys()].map((id) => this.remove(id)))
  }
}

function stopped(loop: Loop): Promise<void> {
  loop.stop.abort()
  return loop.ended
}
