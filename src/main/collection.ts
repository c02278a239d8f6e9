// What collection asks of everybody who keeps bytes, put together: the one list of all roots.

import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import { toHex } from '../base/bytes.ts'
import { isVarveError } from '../base/errors.ts'
import { backoffMs } from '../base/retry.ts'
import type { BlobKey, BlobStore } from '../blob/blob.ts'
import { leftoverBlobs } from '../log/leftover-blobs.ts'
import type { Id } from '../model/id.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { collect, plan } from '../objects/upkeep/collect.ts'
import type { CollectOptions, CollectStep, Keeping, Stand } from '../objects/upkeep/collect.ts'
import type { Root } from '../objects/upkeep/mark.ts'
import { purgeTurn } from '../objects/upkeep/purge-turn.ts'
import { pipelineRoots, rootsOfJobFact } from '../pipelines/roots.ts'
import { WorkRows } from '../pipelines/work.ts'
import { Leases } from '../tables/lease.ts'
import type { Tables } from '../tables/tables.ts'
import { rootsOfFact, versionRoots } from '../versions/roots.ts'
import type { Versions } from '../versions/versions.ts'

export interface CollectionGuests {
  readonly versions: Versions
  readonly tables: Tables
  readonly blob: BlobStore
  readonly clock: Clock
  readonly random: Random
  readonly ids: () => Id
}

const PRINCIPAL = 'varve:collector'
const BACKOFF = { firstMs: 20, maxMs: 2_000 }
const ATTEMPTS = 20
const RAISED_AT_ONCE = 32

export class EverybodysRoots implements Keeping {
  readonly #o: CollectionGuests
  readonly #rows: WorkRows

  constructor(guests: CollectionGuests) {
    this.#o = guests
    this.#rows = new WorkRows(guests)
  }

  async stand(): Promise<Stand> {
    const stand = new Map<string, number>()
    for await (const { name } of this.#o.versions.projects())
      stand.set(name, await this.#o.versions.watermark(name))
    return stand
  }

  async *roots(): AsyncGenerator<Root> {
    const { versions, tables } = this.#o
    // Of a purge under way, whatever the log says of it by now: everybody reads its map.
    const { map } = await purgeTurn(tables)
    if (map !== '') yield { ref: map as TreeRef, chunk: true, map: true }
    for await (const { name } of versions.projects()) {
      yield* versionRoots(versions, name)
      yield* pipelineRoots({ versions, tables, rows: this.#rows }, name)
    }
  }

  /**
   * A project made after they were listed here has no session from before: of it everybody loads first
   * what is condemned (versions/sessions.ts).
   */
  async close(): Promise<Stand> {
    const { versions, ids } = this.#o
    const stand = new Map<string, number>()
    for (const { name } of await Array.fromAsync(versions.projects())) {
      const request = { id: ids(), principal: PRINCIPAL }
      const before = await this.#patiently(() => versions.closeSessions(name, request))
      await this.#patiently(() => this.#raiseChunks(name, before))
      stand.set(name, before)
    }
    return stand
  }

  async *since(from: Stand, to: Stand): AsyncGenerator<Root> {
    const { versions } = this.#o
    for (const [project, seq] of to) {
      let at = from.get(project) ?? 0
      const ended = new AbortController()
      try {
        for await (const entry of versions.follow(project, at, ended.signal)) {
          at = entry.seq
          if ('yes' in entry.decision)
            for (const fact of entry.decision.yes) {
              yield* rootsOfFact(fact)
              yield* rootsOfJobFact(versions.objects, fact)
            }
          if (at >= seq) break
        }
      } finally {
        ended.abort()
      }
    }
  }

  async *leftovers(): AsyncGenerator<BlobKey> {
    for await (const { name } of this.#o.versions.projects()) yield* leftoverBlobs(this.#o, name)
  }

  async #raiseChunks(project: string, before: number): Promise<void> {
    const { versions } = this.#o
    for await (const { name: pipeline } of versions.repos(project))
      for await (const job of versions.jobs(project, pipeline)) {
        if (job.endedAtMs !== null) continue
        const key = { project, pipeline, job: job.commit.id }
        for (let from = 0; from < job.chunks; from += RAISED_AT_ONCE) {
          const some = Math.min(RAISED_AT_ONCE, job.chunks - from)
          const raising = Array.from({ length: some }, (_, i) =>
            this.#rows.raise({ ...key, n: from + i }, before),
          )
          await Promise.all(raising)
        }
      }
  }

  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    const { clock, random } = this.#o
    for (let attempt = 0; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        if (attempt >= ATTEMPTS || !isVarveError(error) || !error.spec.retry) throw error
      }
      await clock.sleep(backoffMs(BACKOFF, attempt, random))
    }
  }
}

export interface Collecting {
  readonly plan: boolean
  /** Between condemning and closing sessions. */
  readonly waitMs: number
}

/** `store`: of an engine of its own, so that a walk over everything takes no cache from readers. */
export async function* runCollection(
  guests: CollectionGuests & Pick<CollectOptions, 'store'>,
  { plan: onlyPlan, waitMs }: Collecting,
  signal: AbortSignal,
): AsyncGenerator<CollectStep> {
  const options = { ...guests, keeping: new EverybodysRoots(guests) }
  if (onlyPlan) return yield* plan(options)
  // One at a time, while leases go well; when they do not, the rows of the round decide.
  const steps: CollectStep[] = []
  let wake = Promise.withResolvers<void>()
  let ended: { readonly error?: unknown } | undefined
  const owner = `collector-${toHex(guests.random.bytes(8))}`
  const work = async (_: number, held: AbortSignal): Promise<void> => {
    for await (const step of collect(options, { waitMs, signal: held })) {
      steps.push(step)
      wake.resolve()
    }
  }
  const leases = new Leases({ ...guests, owner })
  void leases.keep('collector', signal, work).then(
    () => {
      ended = {}
      wake.resolve()
    },
    (error: unknown) => {
      ended = { error }
      wake.resolve()
    },
  )
  for (;;) {
    const step = steps.shift()
    if (step) yield step
    else if (ended) {
      if ('error' in ended) throw ended.error
      return
    } else {
      await wake.promise
      wake = Promise.withResolvers<void>()
    }
  }
}
