// Small tools for concurrent work. All are deterministic given the order of their callers.

/** A promise with its two ends in hand. */
export interface Deferred<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: unknown): void
}

export function deferred<T>(): Deferred<T> {
  return Promise.withResolvers<T>()
}

/** Counts permits; waiters are served in order. */
export class Semaphore {
  #free: number
  readonly #waiting: { size: number; resolve: () => void }[] = []

  constructor(permits: number) {
    this.#free = permits
  }

  async acquire(size = 1): Promise<void> {
    if (this.#waiting.length === 0 && this.#free >= size) {
      this.#free -= size
      return
    }
    const { promise, resolve } = deferred<void>()
    this.#waiting.push({ size, resolve })
    await promise
  }

  release(size = 1): void {
    this.#free += size
    while (this.#waiting.length > 0 && this.#free >= (this.#waiting[0]?.size ?? 0)) {
      const next = this.#waiting.shift()
      if (!next) return
      this.#free -= next.size
      next.resolve()
    }
  }

  async with<T>(work: () => Promise<T>): Promise<T> {
    await this.acquire()
    try {
      return await work()
    } finally {
      this.release()
    }
  }
}

/** Something happened: wakes everyone who waits now or, if nobody does, the next who will. */
export class Signal {
  #waiting: (() => void)[] = []
  #rung = false

  ring(): void {
    if (this.#waiting.length === 0) this.#rung = true
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }

  wait(): Promise<void> {
    if (this.#rung) {
      this.#rung = false
      return Promise.resolve()
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

/** A bounded hand-over between one or many writers and one reader; `push` waits while it is full. */
export class Channel<T> implements AsyncIterable<T> {
  readonly #items: T[] = []
  readonly #readable = new Signal()
  readonly #writable = new Signal()
  readonly #limit: number
  #closed = false
  #error: Error | undefined

  constructor(limit: number) {
    this.#limit = limit
  }

  async push(item: T): Promise<void> {
    while (this.#items.length >= this.#limit && !this.#closed) await this.#writable.wait()
    if (this.#closed) return
    this.#items.push(item)
    this.#readable.ring()
  }

  /** The reader meets the error after what was pushed. */
  close(error?: Error): void {
    this.#closed = true
    this.#error = error
    this.#readable.ring()
    this.#writable.ring()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (;;) {
        if (this.#items.length > 0) {
          const item = this.#items.shift() as T
          this.#writable.ring()
          yield item
        } else if (this.#closed) {
          if (this.#error !== undefined) throw this.#error
          return
        } else {
          await this.#readable.wait()
        }
      }
    } finally {
      this.close()
    }
  }
}

/** Runs `work` over the items, at most `limit` at once; the first error ends it. */
export async function forEachLimit<T>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const gate = new Semaphore(limit)
  const running = new Set<Promise<void>>()
  let failed: { error: unknown } | undefined
  for await (const item of items) {
    await gate.acquire()
    if (failed) break
    const one: Promise<void> = work(item)
      .catch((error: unknown) => {
        failed ??= { error }
      })
      .finally(() => {
        running.delete(one)
        gate.release()
      })
    running.add(one)
  }
  await Promise.all(running)
  if (failed) throw failed.error
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
