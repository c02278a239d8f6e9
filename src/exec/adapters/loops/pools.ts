// One pool whose workers are loops of this process. A loop that ends by itself is started again after a
// wait that grows with each end in a row; meanwhile the pool says why it is not whole.

import type { Clock } from '../../../base/clock.ts'
import type { Random } from '../../../base/random.ts'
import { backoffMs } from '../../../base/retry.ts'
import type { Hindrance, PodEnd, PodStatus, PoolStatus } from '../../../model/pool-status.ts'
import type { Pools } from '../../pools.ts'

export interface LoopOptions {
  readonly pool: string
  /** Default: none, loops work for all projects. */
  readonly project?: string
  /** Loops that are alive at once. */
  readonly size: number
  /** Runs one worker until its signal is aborted. The number is never given twice. */
  readonly start: (number: number, signal: AbortSignal) => Promise<void>
  readonly clock: Clock
  readonly random: Random
}

const MAX_ENDS = 20
const AGAIN = { firstMs: 200, maxMs: 15_000 }
/** A loop that lived for so long has nothing to do with the ends before it. */
const WELL_MS = 60_000

export class LoopPools implements Pools {
  readonly #options: LoopOptions
  readonly #alive = new Set<number>()
  readonly #ends: PodEnd[] = []
  #hindrance: Hindrance | null = null
  #runs = false
  #started = 0

  constructor(options: LoopOptions) {
    this.#options = options
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#runs = true
    await Promise.all(Array.from({ length: this.#options.size }, () => this.#loop(signal)))
    this.#runs = false
  }

  ring(): void {
    // Loops look for work by themselves.
  }

  status(): readonly PoolStatus[] {
    const { pool, project, size } = this.#options
    const running = this.#alive.size
    const whole = running === size
    const state = whole ? 'running' : running > 0 ? 'partly' : 'waiting'
    return [
      {
        pool,
        project: project ?? '',
        pipelines: [],
        image: null,
        state: this.#runs && size > 0 ? state : 'idle',
        running,
        replicas: size,
        wanted: size,
        cause: whole ? null : this.#hindrance,
        address: null,
        change: null,
        pods: [...this.#alive].map((number) => this.#podStatus(number)),
        ends: [...this.#ends],
      },
    ]
  }

  #podStatus(number: number): PodStatus {
    const name = `${this.#options.pool}-${number}`
    return { name, node: null, state: 'running', busy: false, cause: null }
  }

  async #loop(signal: AbortSignal): Promise<void> {
    const { pool, clock, random } = this.#options
    for (let ends = 0; !signal.aborted;) {
      const number = this.#started++
      const startedMs = clock.monotonicMs()
      const why = await this.#once(number, signal)
      if (signal.aborted) return
      this.#hindrance = {
        reason: 'Crashing',
        cause: `a worker ended: ${why}`,
        remedy: 'mend what it says; it is started again by itself, at growing intervals',
      }
      this.#ends.push({
        pod: `${pool}-${number}`,
        cause: this.#hindrance,
        atMs: clock.nowMs(),
      })
      this.#ends.splice(0, this.#ends.length - MAX_ENDS)
      ends = clock.monotonicMs() - startedMs < WELL_MS ? ends + 1 : 0
      await clock.sleep(backoffMs(AGAIN, ends, random), signal)
    }
  }

  /** Why it ended; of no meaning when the signal is aborted. */
  async #once(number: number, signal: AbortSignal): Promise<string> {
    this.#alive.add(number)
    try {
      await this.#options.start(number, signal)
      return 'nobody asked it to'
    } catch (error) {
      return (error as Error).message
    } finally {
      this.#alive.delete(number)
    }
  }
}
