// Which projects this process plans and records. Two processes may hold one project for a while: work
// is then done twice, and nothing breaks.

import { aborted } from '../base/async.ts'
import { shardOf } from '../log/wire.ts'
import type { Own } from '../versions/row-runners.ts'

export interface Share {
  has(project: string): boolean
  /** Called when `has` may answer otherwise. @returns how to stop that */
  listen(listener: () => void): () => void
}

export const ALL_PROJECTS: Share = { has: () => true, listen: () => () => undefined }

/** Fixed for ever: processes of two releases must mean the same by a number. */
const SHARES = 8

/** The eight shares of all projects, each owned by itself. */
export class OwnedShare implements Share {
  readonly #own: Own
  readonly #held = new Set<number>()
  readonly #listeners = new Set<() => void>()

  constructor(own: Own) {
    this.#own = own
  }

  has(project: string): boolean {
    return this.#held.has(shardOf(project) % SHARES)
  }

  listen(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Holds what it can get until the signal, then gives it up. */
  async run(signal: AbortSignal): Promise<void> {
    const hold = (n: number): Promise<void> =>
      this.#own(String(n), signal, async (ours) => {
        this.#held.add(n)
        this.#tell()
        await aborted(ours)
        this.#held.delete(n)
        this.#tell()
      })
    await Promise.all(Array.from({ length: SHARES }, (_, n) => hold(n)))
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}

/** Owns what is named `<project>/…` while its project is in the share: no lease of its own. */
export function ownIn(share: Share): Own {
  return async (name, signal, work) => {
    const project = name.slice(0, name.indexOf('/'))
    while (!signal.aborted) {
      const turn = new AbortController()
      const hadIt = share.has(project)
      const stop = share.listen(() => {
        if (share.has(project) !== hadIt) turn.abort()
      })
      const until = AbortSignal.any([signal, turn.signal])
      try {
        await (hadIt ? work(until) : aborted(until))
      } finally {
        stop()
      }
      // Work that ended by itself is done.
      if (hadIt && !until.aborted) return
    }
  }
}
