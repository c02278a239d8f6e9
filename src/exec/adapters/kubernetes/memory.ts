// What the controller remembers from pass to pass. Losing all of it costs time and nothing else: what was
// asked for is then read from the cluster, idle pods stay for one more cool-down, causes are told anew.

import type { PodEnd } from '../../../model/pool-status.ts'
import type { Hindrance } from './hindrance.ts'
import type { Pod } from './objects.ts'
import type { WantedPool } from './orders.ts'
import type { Peak } from './scale.ts'

export interface PoolMemory {
  /** As it was wanted last; undefined: it is a leftover. */
  pool: WantedPool | undefined
  peaks: readonly Peak[] | undefined
  wanted: number
  /** Why the last try to make or change it failed. */
  refused: Hindrance | undefined
  /** The cap that keeps it from being as large as is wanted. */
  withheld: Hindrance | undefined
  change: string | undefined
  seenUid: string | undefined
  unwantedSinceMs: number | undefined
  /** Replicas asked for on an object of this version: what is seen at another version knows of it. */
  asked:
    | { readonly version: string | undefined; readonly replicas: number; readonly atMs: number }
    | undefined
  readonly ends: PodEnd[]
}

const MAX_ENDS = 20

export class Memories {
  readonly #pools = new Map<string, PoolMemory>()
  /** When a pod was marked, by our monotonic clock. */
  readonly markedMs = new Map<string, number>()
  /** When a pod was first seen to be over, by our monotonic clock. */
  readonly overMs = new Map<string, number>()
  /** Pods we took ourselves. */
  readonly taken = new Set<string>()
  readonly #endsSeen = new Map<string, PodEnd>()

  ids(): readonly string[] {
    return [...this.#pools.keys()]
  }

  /** Undefined: nothing is remembered of it. */
  known(id: string): PoolMemory | undefined {
    return this.#pools.get(id)
  }

  of(id: string): PoolMemory {
    let memory = this.#pools.get(id)
    if (memory === undefined) {
      memory = {
        pool: undefined,
        peaks: undefined,
        wanted: 0,
        refused: undefined,
        withheld: undefined,
        change: undefined,
        seenUid: undefined,
        unwantedSinceMs: undefined,
        asked: undefined,
        ends: [],
      }
      this.#pools.set(id, memory)
    }
    return memory
  }

  forget(id: string): void {
    this.#pools.delete(id)
  }

  /**
   * Keeps an end once, however often it is seen. `key` names it. Its first reason stays: what is done with
   * the pod afterwards is not why it ended. The words of that reason may become more exact, never less: what
   * is `concluded` stands only where nothing was told.
   */
  noteEnd(id: string, key: string, end: PodEnd, concluded?: true): void {
    const seen = this.#endsSeen.get(key)
    if (seen !== undefined && (concluded || seen.cause.reason !== end.cause.reason)) return
    const { ends } = this.of(id)
    const told = { ...end, atMs: seen?.atMs ?? end.atMs }
    this.#endsSeen.set(key, told)
    if (seen === undefined) ends.push(told)
    else if (ends.includes(seen)) ends[ends.indexOf(seen)] = told
    ends.splice(0, ends.length - MAX_ENDS)
  }

  /** Forgets what was remembered of pods that are gone. */
  keepPods(pods: readonly Pod[]): void {
    const names = new Set(pods.map((pod) => pod.metadata.name))
    for (const [key, { pod }] of this.#endsSeen) if (!names.has(pod)) this.#endsSeen.delete(key)
    for (const name of this.taken) if (!names.has(name)) this.taken.delete(name)
    for (const times of [this.markedMs, this.overMs])
      for (const name of times.keys()) if (!names.has(name)) times.delete(name)
  }
}
