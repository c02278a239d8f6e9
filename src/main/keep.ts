// Parts that run beside each other until they are closed. What ends one before that is the failure of
// the whole: the process had better end.

import { deferred } from '../base/async.ts'

export class Keeper {
  readonly #failure = deferred<never>()
  readonly #running: { readonly stop: AbortController; readonly done: Promise<void> }[] = []

  constructor() {
    this.#failure.promise.catch(() => {}) // whoever cares races it
  }

  /** Rejects when a part of it cannot go on. */
  get failed(): Promise<never> {
    return this.#failure.promise
  }

  run(part: (signal: AbortSignal) => Promise<void>): void {
    const stop = new AbortController()
    const done = part(stop.signal).catch((error: unknown) => this.#failure.reject(error))
    this.#running.push({ stop, done })
  }

  /** Tells all of them to end, and waits until they did. Harmless when repeated. */
  async close(): Promise<void> {
    for (const { stop } of this.#running) stop.abort()
    await Promise.all(this.#running.map(({ done }) => done))
  }
}
