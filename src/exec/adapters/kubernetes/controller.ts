// Makes the cluster's Deployments what the work asks for, and says why where they are not.
// Invariants:
// - level-triggered: each pass compares all that is wanted with all that is there and forgets the
//   rest; a lost answer, a missed event, a restart of ours only mean that the next pass does it;
// - every write is conditional on what was seen (resourceVersion, uid): a decision made on old news is
//   refused by the server and made again, never carried out;
// - nothing is taken away on missing news: when the work or the cluster cannot be read, all stays;
// - a pod goes only after whoever hands out work agreed not to give it any (`retire`), was marked as
//   cheapest, and the mark had time to reach the ReplicaSet;
// - one namespace, and in it only what carries our labels.

import type { Clock } from '../../../base/clock.ts'
import type { Random } from '../../../base/random.ts'
import { Signal } from '../../../base/async.ts'
import { backoffMs } from '../../../base/retry.ts'
import { causeOfPod, causeOfPool, causeOfRefusal } from './causes.ts'
import type { Cause, Circumstances, PodCause, PoolCause } from './causes.ts'
import type { KubernetesClient } from './client.ts'
import type { Deployment, Event, Pod, ResourceQuota } from './objects.ts'
import { COST, staying, viewsOf } from './pod-view.ts'
import { KubernetesError, isRefusal } from './refusal.ts'
import { isSettled, rolloutOf } from './rollout.ts'
import { decideAll } from './scale.ts'
import type { Decision, Peak, PipelineWork, PodSize, PoolState, ScaleLimits } from './scale.ts'
import { WATCH_BOUNDS, Watch } from './watch.ts'
import type { WatchBounds } from './watch.ts'

export interface WantedPool {
  readonly id: string
  readonly project: string
  /** Whole, with our labels and the digest annotation; its number of replicas is ours to set. */
  readonly deployment: Deployment
  readonly size: PodSize
  /** Chunks one pod works on at once. */
  readonly slots: number
  readonly work: readonly PipelineWork[]
}

export interface Demand {
  readonly pools: readonly WantedPool[]
  readonly limits: ScaleLimits
  /** Names of pods that hold work. */
  readonly busy: ReadonlySet<string>
}

/** Whoever hands out the work. Both may fail: then nothing is taken away. */
export interface Foreman {
  demand(): Promise<Demand>
  /**
   * From now on the named pods of the pool get no work, all others of it do. Returns those of them
   * that hold none.
   */
  retire(pool: string, pods: readonly string[]): Promise<ReadonlySet<string>>
}

export interface ControllerNames {
  readonly namespace: string
  /** Label selector of all that is ours, of this installation alone. */
  readonly selector: string
  /** Label with the pool's id, on Deployments and pods. */
  readonly poolLabel: string
  readonly digestAnnotation: string
}

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

export interface PodReport extends PodCause {
  readonly name: string
  readonly node: string | undefined
  readonly busy: boolean
}

/** A pod that went otherwise than by us. */
export interface PodEnd {
  readonly pod: string
  readonly cause: Cause
  readonly atMs: number
}

export interface PoolReport {
  readonly id: string
  readonly state: PoolCause['state'] | 'unknown'
  readonly running: number
  /** As the Deployment says. */
  readonly replicas: number
  /** As the work asks, caps of project and cluster not applied. */
  readonly wanted: number
  readonly cause: Cause | undefined
  /** Why it was last made, changed or taken away. */
  readonly change: string | undefined
  readonly pods: readonly PodReport[]
  /** The newest last; at most 20. */
  readonly ends: readonly PodEnd[]
}

/** What is remembered of a pool from pass to pass; losing it costs time and nothing else. */
interface Memory {
  peaks: readonly Peak[] | undefined
  wanted: number
  refused: Cause | undefined
  withheld: Cause | undefined
  change: string | undefined
  seenUid: string | undefined
  unwantedSinceMs: number | undefined
  /** Replicas asked for on an object of this version: what is seen at another version knows of it. */
  asked:
    | { readonly version: string | undefined; readonly replicas: number; readonly atMs: number }
    | undefined
  ends: PodEnd[]
}

const MAX_ENDS = 20
/** An answer that was lost is known by then, or was never carried out. */
const ASKED_MS = 60_000
const NEWS_MS = 3_000
const RETRY = { firstMs: 100, maxMs: 5_000 }

export class PoolController {
  readonly #client: KubernetesClient
  readonly #foreman: Foreman
  readonly #names: ControllerNames
  readonly #clock: Clock
  readonly #random: Random
  readonly #bounds: ControllerBounds
  readonly #bell = new Signal()
  readonly #deployments: Watch<'deployments'>
  readonly #pods: Watch<'pods'>
  readonly #memories = new Map<string, Memory>()
  /** When a pod was marked, by our clock. */
  readonly #markedMs = new Map<string, number>()
  readonly #endsSeen = new Set<string>()
  /** Pods we took ourselves. */
  readonly #taken = new Set<string>()
  #busy: ReadonlySet<string> = new Set()
  #reports: readonly PoolReport[] = []
  #news: { events: readonly Event[]; quotas: readonly ResourceQuota[]; atMs: number } | undefined
  #trouble: Cause | undefined

  constructor(options: {
    readonly client: KubernetesClient
    readonly foreman: Foreman
    readonly names: ControllerNames
    readonly clock: Clock
    readonly random: Random
    readonly bounds?: ControllerBounds
  }) {
    this.#client = options.client
    this.#foreman = options.foreman
    this.#names = options.names
    this.#clock = options.clock
    this.#random = options.random
    this.#bounds = options.bounds ?? CONTROLLER_BOUNDS
    const scope = { namespace: options.names.namespace, labels: options.names.selector }
    const ring = (): void => this.#bell.ring()
    const { client, bounds = CONTROLLER_BOUNDS } = options
    this.#deployments = new Watch(client, 'deployments', scope, options, ring, bounds.watch)
    this.#pods = new Watch(client, 'pods', scope, options, ring, bounds.watch)
  }

  /** What each pool does and why, as the last pass saw it. */
  reports(): readonly PoolReport[] {
    return this.#reports
  }

  /** Work changed: do not wait for the next pass. */
  ring(): void {
    this.#bell.ring()
  }

  /** Returns when the signal is aborted and nothing of it runs any more; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const watches = [this.#deployments.run(signal), this.#pods.run(signal)]
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
        this.#trouble = troubleOf(error)
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
    await Promise.all(watches)
  }

  /** One comparison of all with all. False: something is under way, look again soon. */
  async #pass(): Promise<boolean> {
    const trouble = this.#deployments.trouble ?? this.#pods.trouble
    if (trouble !== undefined) throw trouble
    if (this.#deployments.knownMs === undefined || this.#pods.knownMs === undefined) return false
    const demand = await this.#foreman.demand()
    this.#busy = demand.busy
    const views = demand.pools.map((pool) => this.#state(pool, demand))
    const decisions = decideAll(views, demand.limits, this.#clock.nowMs())
    let settled = true
    for (const pool of demand.pools) {
      const decision = decisions.get(pool.id)
      if (decision === undefined) continue
      const memory = this.#memory(pool.id)
      memory.peaks = decision.peaks
      memory.wanted = decision.wanted
      memory.withheld = decision.cause
      memory.unwantedSinceMs = undefined
      settled = (await this.#attempt(memory, () => this.#make(pool, decision, demand))) && settled
    }
    settled = (await this.#collect(demand)) && settled
    this.#noteEnds(demand)
    await this.#readNews()
    return settled
  }

  #state(pool: WantedPool, demand: Demand): PoolState {
    const listed = this.#listed(pool.id)
    const replicas = listed?.spec?.replicas ?? 0
    const asked = this.#memories.get(pool.id)?.asked
    const open =
      asked !== undefined &&
      asked.version === listed?.metadata.resourceVersion &&
      this.#clock.monotonicMs() - asked.atMs < ASKED_MS
    return {
      ...pool,
      replicas,
      ...(open ? { asked: asked.replicas } : {}),
      settled: isSettled(listed),
      pods: viewsOf(this.#podsOf(pool.id), demand.busy, replicas),
      peaks: this.#memories.get(pool.id)?.peaks,
    }
  }

  async #make(pool: WantedPool, decision: Decision, demand: Demand): Promise<boolean> {
    const memory = this.#memory(pool.id)
    const listed = this.#listed(pool.id)
    const pods = this.#podsOf(pool.id)
    if (listed === undefined && memory.seenUid !== undefined) {
      memory.change = 'somebody deleted its Deployment; it was made anew'
      memory.seenUid = undefined
    }
    const rollout = rolloutOf(pool.deployment, listed, {
      digest: this.#names.digestAnnotation,
      busyPods: staying(pods).filter((pod) => demand.busy.has(pod.metadata.name)).length,
      replicas: decision.replicas,
    })
    const { namespace } = this.#names
    switch (rollout.step) {
      case 'create':
        this.#ask(pool.id, listed, decision.replicas)
        await this.#client.create('deployments', namespace, rollout.object)
        memory.change ??= rollout.why
        return false
      case 'replace':
        for (const pod of pods) this.#taken.add(pod.metadata.name)
        await this.#client.replace('deployments', namespace, rollout.object)
        memory.change = rollout.why
        return false
      case 'remake':
        memory.change = rollout.why
        return this.#remove(listed as Deployment)
      case 'none':
        memory.seenUid = listed?.metadata.uid
        return listed === undefined || this.#scale(pool, listed, pods, decision)
    }
  }

  /** True when the Deployment has the size that was decided and nobody is on the way out. */
  async #scale(
    pool: WantedPool,
    listed: Deployment,
    pods: readonly Pod[],
    decision: Decision,
  ): Promise<boolean> {
    const { namespace } = this.#names
    const { name, resourceVersion } = listed.metadata
    const replicas = listed.spec?.replicas ?? 0
    const going = viewsOf(pods, new Set(), replicas).filter((pod) => pod.leaving)
    const retiring = [...going.map((pod) => pod.name), ...decision.remove]
    const agreed = await this.#foreman.retire(pool.id, retiring)
    await this.#unmark(pods, new Set(retiring))
    if (decision.replicas > replicas) {
      this.#ask(pool.id, listed, decision.replicas)
      await this.#client.scale(namespace, name, decision.replicas, resourceVersion)
      return false
    }
    if (decision.replicas === replicas) return true
    // One that took work in the meantime is busy in the next pass, which decides anew.
    if (decision.remove.some((pod) => !agreed.has(pod))) return false
    const ready = await Promise.all(
      decision.remove.map((pod) => this.#mark(pods.find((one) => one.metadata.name === pod))),
    )
    if (ready.includes(false)) return false
    // Before it is asked: the answer may be lost and the pods go all the same.
    for (const pod of decision.remove) this.#taken.add(pod)
    await this.#client.scale(namespace, name, decision.replicas, resourceVersion)
    return false
  }

  /** Before a request that may be carried out without an answer. */
  #ask(id: string, listed: Deployment | undefined, replicas: number): void {
    const version = listed?.metadata.resourceVersion
    this.#memory(id).asked = { version, replicas, atMs: this.#clock.monotonicMs() }
  }

  /** True when the mark stands long enough. */
  async #mark(pod: Pod | undefined): Promise<boolean> {
    if (pod === undefined) return false
    const { name, annotations, uid } = pod.metadata
    const sinceMs = this.#markedMs.get(name)
    if (annotations?.[COST.annotation] === COST.going && sinceMs !== undefined)
      return this.#clock.monotonicMs() - sinceMs >= this.#bounds.markMs
    await this.#client.patch('pods', this.#names.namespace, name, {
      metadata: {
        ...(uid === undefined ? {} : { uid }),
        annotations: { [COST.annotation]: COST.going },
      },
    })
    this.#markedMs.set(name, sinceMs ?? this.#clock.monotonicMs())
    return false
  }

  async #unmark(pods: readonly Pod[], retiring: ReadonlySet<string>): Promise<void> {
    for (const { metadata } of staying(pods)) {
      if (retiring.has(metadata.name)) continue
      this.#markedMs.delete(metadata.name)
      if (metadata.annotations?.[COST.annotation] !== COST.going) continue
      await this.#client.patch('pods', this.#names.namespace, metadata.name, {
        metadata: { annotations: { [COST.annotation]: null } },
      })
    }
  }

  /** Takes away what carries our labels and nobody wants: pools of the past, pods without an owner. */
  async #collect(demand: Demand): Promise<boolean> {
    const wanted = new Set(demand.pools.map((pool) => pool.id))
    let settled = true
    for (const deployment of this.#deployments.items) {
      const id = this.#poolOf(deployment)
      if (wanted.has(id) || deployment.metadata.deletionTimestamp !== undefined) continue
      const memory = this.#memory(id)
      memory.unwantedSinceMs ??= this.#clock.monotonicMs()
      memory.wanted = 0
      memory.withheld = undefined
      if (this.#clock.monotonicMs() - memory.unwantedSinceMs < this.#bounds.leftoverMs) continue
      if (this.#podsOf(id).some((pod) => demand.busy.has(pod.metadata.name))) continue
      memory.change = 'nothing wants it any more'
      settled = (await this.#attempt(memory, () => this.#remove(deployment))) && settled
    }
    for (const pod of this.#pods.items) {
      const orphan = (pod.metadata.ownerReferences ?? []).length === 0
      if (!(orphan || isOver(pod)) || pod.metadata.deletionTimestamp !== undefined) continue
      const ageMs = this.#clock.nowMs() - (Date.parse(pod.metadata.creationTimestamp ?? '') || 0)
      if (demand.busy.has(pod.metadata.name) || ageMs < this.#bounds.leftoverMs) continue
      this.#taken.add(pod.metadata.name)
      const { name, uid } = pod.metadata
      const remove = async (): Promise<boolean> => {
        await this.#client.delete('pods', this.#names.namespace, name, uid)
        return true
      }
      await this.#attempt(this.#memory(this.#poolOf(pod)), remove)
    }
    for (const id of this.#memories.keys())
      if (!wanted.has(id) && this.#listed(id) === undefined) this.#memories.delete(id)
    return settled
  }

  async #remove(deployment: Deployment): Promise<boolean> {
    const { name, uid } = deployment.metadata
    for (const pod of this.#podsOf(this.#poolOf(deployment))) this.#taken.add(pod.metadata.name)
    this.#memory(this.#poolOf(deployment)).seenUid = undefined
    await this.#client.delete('deployments', this.#names.namespace, name, uid)
    return false
  }

  /** One pool's refusal stops no other. @throws what concerns all: the server is lost, the work unknown */
  async #attempt(memory: Memory, work: () => Promise<boolean>): Promise<boolean> {
    try {
      const settled = await work()
      memory.refused = undefined
      return settled
    } catch (error) {
      // Old news: the next pass knows more.
      if (isRefusal(error, 'conflict', 'gone', 'exists', 'expired')) return false
      if (isRefusal(error, 'denied')) memory.refused = troubleOf(error)
      else if (isRefusal(error, 'quota', 'refused')) memory.refused = causeOfRefusal(error.message)
      else throw error
      return false
    }
  }

  /** Keeps why a pod went, because the pod itself is gone soon. */
  #noteEnds(demand: Demand): void {
    const given = this.#circumstances()
    for (const pod of this.#pods.items) {
      const uid = pod.metadata.uid ?? pod.metadata.name
      if (this.#endsSeen.has(uid)) continue
      const { state, cause } = causeOfPod(pod, given)
      if ((state !== 'ended' && state !== 'leaving') || cause === undefined) continue
      if (!demand.pools.some((pool) => pool.id === this.#poolOf(pod))) continue
      this.#endsSeen.add(uid)
      const { ends } = this.#memory(this.#poolOf(pod))
      ends.push({ pod: pod.metadata.name, cause, atMs: this.#clock.nowMs() })
      ends.splice(0, ends.length - MAX_ENDS)
    }
    const there = new Set(this.#pods.items.map((pod) => pod.metadata.uid ?? pod.metadata.name))
    for (const uid of this.#endsSeen) if (!there.has(uid)) this.#endsSeen.delete(uid)
    const names = new Set(this.#pods.items.map((pod) => pod.metadata.name))
    for (const name of this.#taken) if (!names.has(name)) this.#taken.delete(name)
    for (const name of this.#markedMs.keys()) if (!names.has(name)) this.#markedMs.delete(name)
  }

  /** Events and quotas are read only while something is not running, and not at every pass. */
  async #readNews(): Promise<void> {
    const nowMs = this.#clock.monotonicMs()
    const short = this.#deployments.items.some(
      (one) => (one.status?.readyReplicas ?? 0) < (one.spec?.replicas ?? 0),
    )
    if (!short || (this.#news !== undefined && nowMs - this.#news.atMs < NEWS_MS)) return
    const scope = { namespace: this.#names.namespace }
    // Without the right to read them the causes are told less exactly, and that is all.
    const [events, quotas] = await Promise.all([
      this.#client.list('events', { ...scope, fields: 'involvedObject.kind=Pod' }).catch(nothing),
      this.#client.list('resourcequotas', scope).catch(nothing),
    ])
    this.#news = { events: events.items, quotas: quotas.items, atMs: nowMs }
  }

  #report(): void {
    const ids = new Set([
      ...this.#memories.keys(),
      ...this.#deployments.items.map((one) => this.#poolOf(one)),
    ])
    this.#reports = [...ids].toSorted().map((id) => this.#reportOf(id))
  }

  #reportOf(id: string): PoolReport {
    const memory = this.#memory(id)
    const listed = this.#listed(id)
    const given = this.#circumstances()
    const pods = this.#podsOf(id).map((pod) => ({
      name: pod.metadata.name,
      node: pod.spec?.nodeName,
      busy: this.#busy.has(pod.metadata.name),
      ...causeOfPod(pod, given),
    }))
    const pool: PoolCause =
      listed === undefined
        ? { state: memory.wanted > 0 ? 'waiting' : 'idle', cause: undefined }
        : causeOfPool(listed, this.#podsOf(id), { ...given, quotas: this.#news?.quotas ?? [] })
    return {
      id,
      state: this.#trouble === undefined ? pool.state : 'unknown',
      running: pods.filter((pod) => pod.state === 'running').length,
      replicas: listed?.spec?.replicas ?? 0,
      wanted: memory.wanted,
      cause: this.#trouble ?? memory.refused ?? pool.cause ?? memory.withheld,
      change: memory.change,
      pods,
      ends: [...memory.ends],
    }
  }

  #circumstances(): Circumstances {
    return {
      events: this.#news?.events ?? [],
      nowMs: this.#clock.nowMs(),
      slowMs: this.#bounds.slowStartMs,
      retired: this.#taken,
    }
  }

  #memory(id: string): Memory {
    let memory = this.#memories.get(id)
    if (memory === undefined) {
      memory = {
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
      this.#memories.set(id, memory)
    }
    return memory
  }

  #poolOf(object: Deployment | Pod): string {
    return object.metadata.labels?.[this.#names.poolLabel] ?? object.metadata.name
  }

  #listed(id: string): Deployment | undefined {
    return this.#deployments.items.find((one) => this.#poolOf(one) === id)
  }

  #podsOf(id: string): readonly Pod[] {
    return this.#pods.items.filter((pod) => this.#poolOf(pod) === id)
  }
}

function isOver(pod: Pod): boolean {
  return pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded'
}

function nothing(): { items: readonly never[] } {
  return { items: [] }
}

function troubleOf(error: unknown): Cause {
  const cause = (error as Error).message
  if (isRefusal(error, 'denied'))
    return {
      reason: 'Denied',
      cause,
      remedy: 'the chart makes a Role with all that is needed; compare it with yours',
    }
  if (error instanceof KubernetesError)
    return {
      reason: 'ClusterUnreachable',
      cause,
      remedy: 'nothing is lost: it goes on when the API server answers; look whether it runs',
    }
  return {
    reason: 'WorkUnknown',
    cause: `cannot read what is to be done: ${cause}`,
    remedy: 'nothing is taken away meanwhile; look at the log of this server',
  }
}
