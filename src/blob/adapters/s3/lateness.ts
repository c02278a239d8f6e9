const KEPT = 256
/** Fewer say nothing about a 95th percentile. */
const ENOUGH = 32
const EVERY = 16

/** The 95th percentile of the last 256 times to an answer. */
export class Lateness {
  readonly #times = new Float64Array(KEPT)
  #seen = 0
  #p95: number | undefined

  add(ms: number): void {
    this.#times[this.#seen++ % KEPT] = ms
    if (this.#seen < ENOUGH || this.#seen % EVERY !== 0) return
    const sorted = this.#times.slice(0, Math.min(this.#seen, KEPT)).sort()
    this.#p95 = sorted[Math.floor(sorted.length * 0.95)]
  }

  /** Milliseconds; undefined until enough was seen. */
  get p95Ms(): number | undefined {
    return this.#p95
  }
}
