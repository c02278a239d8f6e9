// What comes some at a time, read one by one, and looked ahead at where it must be.

/** Some at a time, so that many cost no more than a few promises. */
export type Batches<T> = AsyncIterable<readonly T[]> | Iterable<readonly T[]>

/** Batches one by one. */
export class Feed<T> {
  readonly #source: AsyncIterator<readonly T[]> | Iterator<readonly T[]>
  #batch: readonly T[] = []
  #at = 0
  #isEnded = false

  constructor(batches: Batches<T>) {
    this.#source =
      Symbol.asyncIterator in batches ? batches[Symbol.asyncIterator]() : batches[Symbol.iterator]()
  }

  /** The next, where it is at hand. */
  get head(): T | undefined {
    return this.#batch[this.#at]
  }

  drop(): void {
    this.#at++
  }

  /** How many are at hand. */
  get held(): number {
    return this.#batch.length - this.#at
  }

  /** What is at hand, and stays so. */
  get all(): readonly T[] {
    return this.#at === 0 ? this.#batch : this.#batch.slice(this.#at)
  }

  /** What is at hand, dropped here. */
  rest(): readonly T[] {
    const rest = this.all
    this.#at = this.#batch.length
    return rest
  }

  /** The next, fetched if need be. */
  async fill(): Promise<T | undefined> {
    while (this.#at >= this.#batch.length && !this.#isEnded) await this.#pull(false)
    return this.head
  }

  /** So many at hand, or all there are. */
  async holdTo(count: number): Promise<void> {
    while (this.held < count && !this.#isEnded) await this.#pull(true)
  }

  /** More and more at hand while that holds of it. @returns whether there may be more */
  async holdWhile(holds: (held: readonly T[]) => boolean): Promise<boolean> {
    while (!this.#isEnded) {
      if (!holds(this.all)) return true
      await this.#pull(true)
    }
    return false
  }

  async #pull(keep: boolean): Promise<void> {
    const next = await this.#source.next()
    if (next.done) {
      this.#isEnded = true
      return
    }
    this.#batch = keep && this.held > 0 ? [...this.all, ...next.value] : next.value
    this.#at = 0
  }
}
