// Whether this process lives, and whether it can serve. Two questions, never mixed:
// - live: the process itself reacts. No dependency is asked, so one that is away kills nobody.
// - ready: it has started, does not drain, and everything it needs was seen lately.
// What was not seen lately is away: new work is refused at the door, what runs goes on trying, and the
// first answer that comes ends it.

import type { Clock } from '../base/clock.ts'
import { VarveError } from '../base/errors.ts'

export interface Dependency {
  /** As a person calls it: `Kafka`, `Cassandra`, `the blob store`. */
  readonly name: string
  /** One cheap question. @throws when there was no good answer */
  probe(): Promise<void>
}

export interface DependencyState {
  readonly name: string
  readonly up: boolean
  /** Since the last good answer, or since the start. */
  readonly seenMsAgo: number
  /** Of the last good answer. */
  readonly latencyMs: number | null
  /** Of the last bad one since then. */
  readonly error: string | null
}

const PROBE_EVERY_MS = 2_000
const PROBE_TIMEOUT_MS = 4_000
/** Not seen for this long: away. */
const AWAY_MS = 10_000
const TICK_MS = 500
const LAG_LIMIT_MS = 5_000

interface Watched {
  readonly dependency: Dependency
  seenMs: number
  latencyMs: number | null
  error: string | null
}

export class Health {
  readonly #clock: Clock
  readonly #watched: readonly Watched[]
  #state: 'starting' | 'serving' | 'draining' = 'starting'
  #lagMs = 0

  /** Counts from now on: what is not seen within ten seconds is away. */
  constructor(options: { clock: Clock; dependencies: readonly Dependency[] }) {
    this.#clock = options.clock
    const seenMs = this.#clock.monotonicMs()
    this.#watched = options.dependencies.map((dependency) => ({
      dependency,
      seenMs,
      latencyMs: null,
      error: null,
    }))
  }

  /** Watches until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#tick(signal), ...this.#watched.map((one) => this.#watch(one, signal))])
  }

  /** All roles of the process have begun. */
  started(): void {
    if (this.#state === 'starting') this.#state = 'serving'
  }

  /** From now on not ready, for good. */
  drain(): void {
    this.#state = 'draining'
  }

  get draining(): boolean {
    return this.#state === 'draining'
  }

  dependencies(): DependencyState[] {
    const nowMs = this.#clock.monotonicMs()
    return this.#watched.map(({ dependency: { name }, seenMs, latencyMs, error }) => {
      const seenMsAgo = Math.round(nowMs - seenMs)
      return { name, up: seenMsAgo < AWAY_MS, seenMsAgo, latencyMs, error }
    })
  }

  /** @throws VarveError UNAVAILABLE when the process hardly reacts */
  live(): void {
    if (this.#lagMs < LAG_LIMIT_MS) return
    const text = `cannot react in time: something held the process for ${Math.round(this.#lagMs)} ms`
    throw new VarveError('UNAVAILABLE', text, { details: { lagMs: Math.round(this.#lagMs) } })
  }

  /** @throws VarveError UNAVAILABLE naming what is in the way, with the state of all that it needs */
  ready(): void {
    const dependencies = this.dependencies()
    const reasons = dependencies.filter((one) => !one.up).map(awayText)
    if (this.#state === 'starting') reasons.unshift('it is starting')
    if (this.#state === 'draining') reasons.unshift('it is stopping')
    if (reasons.length === 0) return
    throw new VarveError('UNAVAILABLE', `cannot serve: ${reasons.join('; ')}`, {
      details: { reasons, dependencies },
    })
  }

  /** @throws VarveError UNAVAILABLE when new work had better not begin */
  acceptWork(): void {
    if (this.#state === 'draining')
      throw new VarveError('UNAVAILABLE', 'cannot take new work: this server is stopping', {
        details: { draining: true },
      })
    const away = this.dependencies().filter((one) => !one.up)
    if (away.length === 0) return
    const names = away.map(({ name }) => name)
    throw new VarveError(
      'UNAVAILABLE',
      `cannot take new work: ${away.map(awayText).join('; ')}; what was acknowledged is safe, and reads go on where they can`,
      { details: { away: names, retryAfterSeconds: AWAY_MS / 2_000 } },
    )
  }

  async #watch(watched: Watched, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const beganMs = this.#clock.monotonicMs()
      try {
        await this.#inTime(watched.dependency.probe(), signal)
        watched.seenMs = this.#clock.monotonicMs()
        watched.latencyMs = Math.round((watched.seenMs - beganMs) * 10) / 10
        watched.error = null
      } catch (error) {
        watched.error = error instanceof Error ? error.message : String(error)
      }
      await this.#clock.sleep(PROBE_EVERY_MS, signal)
    }
  }

  async #inTime(probe: Promise<void>, signal: AbortSignal): Promise<void> {
    const done = new AbortController()
    const late = this.#clock
      .sleep(PROBE_TIMEOUT_MS, AbortSignal.any([done.signal, signal]))
      .then(() => {
        throw new Error(`no answer within ${PROBE_TIMEOUT_MS / 1_000} s`)
      })
    late.catch(() => {})
    await Promise.race([probe, late]).finally(() => done.abort())
  }

  /** How late a timer is tells how long something else held the loop. */
  async #tick(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const beganMs = this.#clock.monotonicMs()
      await this.#clock.sleep(TICK_MS, signal)
      this.#lagMs = Math.max(0, this.#clock.monotonicMs() - beganMs - TICK_MS)
    }
  }
}

function awayText({ name, seenMsAgo, error }: DependencyState): string {
  const cause = error === null ? '' : ` (${error})`
  return `${name} has not answered for ${Math.round(seenMsAgo / 1_000)} s${cause}`
}
