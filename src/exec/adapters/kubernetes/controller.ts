// Makes the cluster's Deployments what the work asks for, and says why where they are not.
// Invariants:
// - level-triggered: each pass compares all that is wanted with all that is there and forgets the
//   rest; a lost answer, a missed event, a restart of ours only mean that the next pass does it;
// - every write is conditional on what was seen (resourceVersion, uid): a decision made on old news is
//   refused by the server and made again, never carried out;
// - nothing is taken away on missing news: when the work or the cluster cannot be read, all stays;
// - no pod is made before what it needs is there (`hindrance`, `furnish`);
// - how pods go: resize.ts;
// - one namespace, and in it only what carries our labels.

import { Signal } from '../../../base/async.ts'
import type { Clock } from '../../../base/clock.ts'
import type { Random } from '../../../base/random.ts'
import { backoffMs } from '../../../base/retry.ts'
import type { PoolStatus } from '../../../model/pool-status.ts'
import type { KubernetesClient } from './client.ts'
import { ClusterView } from './cluster-view.ts'
import type { ClusterNames } from './cluster-view.ts'
import type { Hindrance } from './hindrance.ts'
import { Memories } from './memory.ts'
import type { PoolMemory } from './memory.ts'
import { News } from './news.ts'
import type { Deployment } from './objects.ts'
import type { Orders, Superior, WantedPool } from './orders.ts'
import type { Circumstances } from './pod-causes.ts'
import { isOver, staying, viewsOf } from './pod-view.ts'
import { hindranceOf } from './pool-causes.ts'
import { KubernetesError, isRefusal } from './refusal.ts'
import { endsOf, statusOf } from './report.ts'
import { Resize } from './resize.ts'
import { isSettled, rolloutOf } from './rollout.ts'
import { decideAll } from './scale.ts'
import type { Decision, PoolState } from './scale.ts'
import { WATCH_BOUNDS } from './watch.ts'
import type { WatchBounds } from './watch.ts'

export interface ControllerBounds {
  /** A pass at least this often. */
  readonly resyncMs: number
  /** Two passes are this far apart at least, so that a burst of events is one pass. */
  readonly gapMs: number
  /** From a mark on a pod until the ReplicaSet has surely seen it. */
  readonly markMs: number
  /** What nobody wants is left alone for this time, so that a start with half the news harms nothing. */
  readonly leftoverMs: number
  readonly slowStartMs: number
  readonly watch: WatchBounds
}

export const CONTROLLER_BOUNDS: ControllerBounds = {
  resyncMs: 10_000,
  gapMs: 100,
  markMs: 1_000,
  leftoverMs: 60_000,
  slowStartMs: 30_000,
  watch: WATCH_BOUNDS,
}

/** An event may be written this much later than what it tells of. */
const EVENT_LAG_MS = 2_000
/** An answer that was lost is known by then, or was never carried out. */
const ASKED_MS = 60_000
const RETRY = { firstMs: 100, maxMs: 5_000 }

export class PoolController {
  readonly #client: KubernetesClient
  readonly #superior: Superior
  readonly #names: ClusterNames
  readonly #clock: Clock
  readonly #random: Random
  readonly #bounds: ControllerBounds
  readonly #bell = new Signal()
  readonly #cluster: ClusterView
  readonly #news: News
  readonly #resize: Resize
  readonly #memories = new Memories()
  /** The last there were. */
  #orders: Orders | undefined
  #trouble: Hindrance | undefined
  #statuses: readonly PoolStatus[] | undefined

  constructor(options: {
    readonly client: KubernetesClient
    readonly superior: Superior
    readonly names: ClusterNames
    readonly clock: Clock
    readonly random: Random
    readonly bounds?: ControllerBounds
  }) {
    const { client, superior, names, clock, random, bounds = CONTROLLER_BOUNDS } = options
    this.#client = client
    this.#superior = superior
    this.#names = names
    this.#clock = clock
    this.#random = random
    this.#bounds = bounds
    const { namespace } = names
    this.#cluster = new ClusterView(client, names, options, () => this.ring(), bounds.watch)
    this.#news = new News(client, namespace, clock)
    const { markMs } = bounds
    const memories = this.#memories
    this.#resize = new Resize({ client, superior, namespace, clock, memories, markMs })
  }

  /** What each pool does and why, as the last pass saw it. */
  status(): readonly PoolStatus[] {
    return this.#statuses ?? []
  }

  /** False before it knows what is wanted, and what is there or why that cannot be seen. */
  get isInformed(): boolean {
    return this.#statuses !== undefined
  }

  /** Work changed: do not wait for the next pass. */
  ring(): void {
    this.#bell.ring()
  }

  /** Returns when the signal is aborted and nothing of it runs any more; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const watching = this.#cluster.run(signal)
    signal.addEventListener('abort', () => this.#bell.ring(), { once: true })
    // A ring during a pass is kept for after it.
    let rung = false
    const listen = async (): Promise<void> => {
      await this.#bell.wait()
      rung = true
    }
    let bell = listen()
    for (let failures = 0; !signal.aborted;) {
      if (rung) {
        rung = false
        bell = listen()
      }
      try {
        const settled = await this.#pass()
        this.#trouble = undefined
        failures = settled ? 0 : failures + 1
      } catch (error) {
        failures++
        this.#trouble = hindranceOf(error)
      }
      this.#report()
      await this.#clock.sleep(this.#bounds.gapMs, signal)
      if (signal.aborted) break
      const wake = new AbortController()
      const waitMs =
        failures === 0 ? this.#bounds.resyncMs : backoffMs(RETRY, failures, this.#random)
      await Promise.race([bell, this.#clock.sleep(waitMs, wake.signal)])
      wake.abort()
    }
    await watching
  }

  /** One comparison of all with all. False: something is under way, look again soon. */
  async #pass(): Promise<boolean> {
    const orders = await this.#superior.orders()
    this.#orders = orders
    // Told of before anything is seen, so that trouble has somebody to trouble.
    for (const pool of orders.pools) this.#memories.of(pool.id).pool = pool
    if (this.#cluster.trouble !== undefined) throw this.#cluster.trouble
    if (!this.#cluster.known) return false
    const states = orders.pools.map((pool) => this.#state(pool, orders))
    const decisions = decideAll(states, orders.limits, this.#clock.monotonicMs())
    let settled = orders.hindrance === undefined
    for (const pool of orders.pools) {
      const decision = decisions.get(pool.id)
      if (decision === undefined) continue
      const memory = this.#memories.of(pool.id)
      memory.peaks = decision.peaks
      memory.wanted = decision.wanted
      memory.withheld = decision.cause
      memory.unwantedSinceMs = undefined
      settled = (await this.#attempt(memory, () => this.#make(pool, decision, orders))) && settled
    }
    const { deployments, pods } = this.#cluster
    if (deployments.some(isShort) || pods.some(isOver)) await this.#news.read()
    // Before pods that are over are taken away.
    this.#noteEnds(orders)
    return (await this.#collect(orders)) && settled
  }

  #state(pool: WantedPool, orders: Orders): PoolState {
    const listed = this.#cluster.deploymentOf(pool.id)
    const replicas = listed?.spec?.replicas ?? 0
    const { asked, peaks } = this.#memories.of(pool.id)
    const open =
      asked !== undefined &&
      asked.version === listed?.metadata.resourceVersion &&
      this.#clock.monotonicMs() - asked.atMs < ASKED_MS
    return {
      ...pool,
      replicas,
      ...(open ? { asked: asked.replicas } : {}),
      settled: isSettled(listed),
      pods: viewsOf(this.#cluster.podsOf(pool.id), orders.busy, replicas),
      peaks,
    }
  }

  async #make(pool: WantedPool, decision: Decision, orders: Orders): Promise<boolean> {
    const memory = this.#memories.of(pool.id)
    const listed = this.#cluster.deploymentOf(pool.id)
    const pods = this.#cluster.podsOf(pool.id)
    if (orders.hindrance !== undefined) {
      if (listed === undefined) return false
      const replicas = Math.min(decision.replicas, listed.spec?.replicas ?? 0)
      return this.#resize.apply(pool.id, listed, pods, { ...decision, replicas })
    }
    await this.#superior.furnish?.(pool.id)
    if (listed === undefined && memory.seenUid !== undefined) {
      memory.change = 'somebody deleted its Deployment; it was made anew'
      memory.seenUid = undefined
    }
    const rollout = rolloutOf(pool.deployment, listed, {
      digest: this.#names.digestAnnotation,
      busyPods: staying(pods).filter((pod) => orders.busy.has(pod.metadata.name)).length,
      replicas: decision.replicas,
    })
    const { namespace } = this.#names
    switch (rollout.step) {
      case 'create':
        this.#resize.note(pool.id, listed, decision.replicas)
        await this.#client.create('deployments', namespace, rollout.object)
        memory.change ??= rollout.why
        return false
      case 'replace':
        for (const pod of pods) this.#memories.taken.add(pod.metadata.name)
        await this.#client.replace('deployments', namespace, rollout.object)
        memory.change = rollout.why
        return false
      case 'remake':
        memory.change = rollout.why
        return this.#remove(listed as Deployment)
      case 'none':
        memory.seenUid = listed?.metadata.uid
        return listed === undefined || this.#resize.apply(pool.id, listed, pods, decision)
    }
  }

  /** Takes away what carries our labels and nobody wants: pools of the past, pods without an owner. */
  async #collect(orders: Orders): Promise<boolean> {
    const wanted = new Set(orders.pools.map((pool) => pool.id))
    const nowMs = this.#clock.monotonicMs()
    let settled = true
    for (const deployment of this.#cluster.deployments) {
      const id = this.#cluster.poolOf(deployment)
      if (wanted.has(id) || deployment.metadata.deletionTimestamp !== undefined) continue
      const memory = this.#memories.of(id)
      memory.unwantedSinceMs ??= nowMs
      Object.assign(memory, { pool: undefined, wanted: 0, withheld: undefined })
      if (nowMs - memory.unwantedSinceMs < this.#bounds.leftoverMs) continue
      if (this.#cluster.podsOf(id).some((pod) => orders.busy.has(pod.metadata.name))) continue
      memory.change = 'nothing wants it any more'
      settled = (await this.#attempt(memory, () => this.#remove(deployment))) && settled
    }
    await this.#removePods(orders)
    const kept = new Set([
      ...wanted,
      ...this.#cluster.deployments.map((one) => this.#cluster.poolOf(one)),
    ])
    for (const id of this.#memories.ids()) if (!kept.has(id)) this.#memories.forget(id)
    for (const pod of this.#cluster.pods) kept.add(this.#cluster.poolOf(pod))
    return (await this.#clear(kept)) && settled
  }

  /** Pods that are over, and pods of nobody. */
  async #removePods(orders: Orders): Promise<void> {
    for (const pod of this.#cluster.pods) {
      const { name, uid, ownerReferences = [], deletionTimestamp } = pod.metadata
      if (!(ownerReferences.length === 0 || isOver(pod)) || deletionTimestamp !== undefined)
        continue
      const ageMs = this.#clock.nowMs() - (Date.parse(pod.metadata.creationTimestamp ?? '') || 0)
      if (orders.busy.has(name) || ageMs < this.#bounds.leftoverMs) continue
      if (isOver(pod) && !this.#isToldOf(name)) continue
      this.#memories.taken.add(name)
      await this.#attempt(this.#memories.of(this.#cluster.poolOf(pod)), async () => {
        await this.#client.delete('pods', this.#names.namespace, name, uid)
        return true
      })
    }
  }

  /** Whether events were read since that would say why a pod that is over ended. */
  #isToldOf(name: string): boolean {
    const { overMs } = this.#memories
    const sinceMs = overMs.get(name) ?? this.#clock.monotonicMs()
    overMs.set(name, sinceMs)
    return this.#news.readMs >= sinceMs + EVENT_LAG_MS
  }

  async #clear(kept: ReadonlySet<string>): Promise<boolean> {
    try {
      await this.#superior.clear?.(kept)
      return true
    } catch (error) {
      // Old news, or a right that lacks: whoever reads next says so.
      if (error instanceof KubernetesError && error.reason !== 'lost') return false
      throw error
    }
  }

  async #remove(deployment: Deployment): Promise<boolean> {
    const { name, uid } = deployment.metadata
    const id = this.#cluster.poolOf(deployment)
    for (const pod of this.#cluster.podsOf(id)) this.#memories.taken.add(pod.metadata.name)
    this.#memories.of(id).seenUid = undefined
    await this.#client.delete('deployments', this.#names.namespace, name, uid)
    return false
  }

  /** One pool's refusal stops no other. @throws what concerns all: the server is lost, the work unknown */
  async #attempt(memory: PoolMemory, work: () => Promise<boolean>): Promise<boolean> {
    try {
      const settled = await work()
      memory.refused = undefined
      return settled
    } catch (error) {
      // Old news: the next pass knows more.
      if (isRefusal(error, 'conflict', 'gone', 'exists', 'expired')) return false
      if (!isRefusal(error, 'denied', 'quota', 'refused')) throw error
      memory.refused = hindranceOf(error)
      return false
    }
  }

  /** Keeps why a pod went, because the pod itself is gone soon. */
  #noteEnds(orders: Orders): void {
    const given = this.#circumstances()
    const wanted = new Set(orders.pools.map((pool) => pool.id))
    for (const pod of [...this.#cluster.takeGone(), ...this.#cluster.pods]) {
      const id = this.#cluster.poolOf(pod)
      if (!wanted.has(id)) continue
      for (const { key, cause, atMs = given.nowMs, concluded } of endsOf(pod, given))
        this.#memories.noteEnd(id, key, { pod: pod.metadata.name, cause, atMs }, concluded)
    }
    this.#memories.keepPods(this.#cluster.pods)
  }

  #report(): void {
    if (this.#orders === undefined) return
    if (!this.#cluster.known && this.#trouble === undefined) return
    const { busy, hindrance } = this.#orders
    const given = { ...this.#circumstances(), quotas: this.#news.quotas }
    const deployments = this.#cluster.deployments.map((one) => this.#cluster.poolOf(one))
    const ids = new Set([...this.#memories.ids(), ...deployments])
    this.#statuses = [...ids].toSorted().map((id) =>
      statusOf(id, this.#memories.of(id), {
        deployment: this.#cluster.deploymentOf(id),
        pods: this.#cluster.podsOf(id),
        busy,
        given,
        trouble: this.#trouble,
        hindrance,
      }),
    )
  }

  #circumstances(): Circumstances {
    return {
      events: this.#news.events,
      nowMs: this.#clock.nowMs(),
      slowMs: this.#bounds.slowStartMs,
      retired: this.#memories.taken,
    }
  }
}

function isShort({ spec, status }: Deployment): boolean {
  return (status?.readyReplicas ?? 0) < (spec?.replicas ?? 0)
}
