// What stands around the API server: a ReplicaSet controller that sees marks late, a kubelet that takes
// its time, and workers that claim chunks. It counts the chunks that were lost with a pod.

import type { Clock } from '../../../src/base/clock.ts'
import type { Random } from '../../../src/base/random.ts'
import type { Orders, Superior, WantedPool } from '../../../src/exec/adapters/kubernetes/orders.ts'
import type { Deployment, Pod } from '../../../src/exec/adapters/kubernetes/objects.ts'
import type { ScaleLimits } from '../../../src/exec/adapters/kubernetes/scale.ts'
import { COST } from '../../../src/exec/adapters/kubernetes/pod-view.ts'
import type { FakeApi } from './fake-api.ts'

export const NAMES = {
  namespace: 'n',
  selector: 'ours=yes',
  poolLabel: 'pool',
  digestAnnotation: 'digest',
}
const STEP_MS = 50
/** The cache of the ReplicaSet controller is this old. */
const MARKS_SEEN_AFTER_MS = 500

export function deploymentOf(pool: string, digest: string): Deployment {
  const labels = { ours: 'yes', pool }
  return {
    metadata: { name: `pool-${pool}`, labels, annotations: { digest } },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: 'user', image: `code:${digest}` }] },
      },
    },
  }
}

export class FakeCluster implements Superior {
  readonly #api: FakeApi
  readonly #clock: Clock
  readonly #random: Random
  readonly wanted = new Map<string, { digest: string; queued: number; pods?: number }>()
  limits: ScaleLimits = {
    cluster: {},
    projects: {},
    prices: { cpuHour: 1, memoryGiBHour: 0, gpuHour: 0 },
    coolDownMs: 10_000,
  }
  /** The work cannot be read now. */
  silent = false
  /** Pods that hold a chunk, and until when. */
  readonly #working = new Map<string, number>()
  readonly #retired = new Map<string, ReadonlySet<string>>()
  readonly #markedMs = new Map<string, number>()
  /** Pods somebody else killed. */
  readonly killed = new Set<string>()
  /** Pods that went while they worked, and nobody else killed them. */
  readonly robbed: string[] = []
  done = 0
  /** A chunk takes up to this long. */
  mostWorkMs = 4_000
  #made = 0
  most = 0

  readonly #poolLabel: string

  constructor(api: FakeApi, clock: Clock, random: Random, poolLabel = NAMES.poolLabel) {
    this.#poolLabel = poolLabel
    this.#api = api
    this.#clock = clock
    this.#random = random
  }

  orders(): Promise<Orders> {
    if (this.silent) return Promise.reject(new Error('the tables do not answer'))
    const pools = [...this.wanted].map(([id, { digest, queued, pods }]): WantedPool => ({
      id,
      project: 'p',
      deployment: deploymentOf(id, digest),
      size: { cpu: 1, memoryBytes: 2 ** 30, gpus: 0 },
      slots: 1,
      work: [
        {
          pipeline: id,
          queued,
          running: this.held(id),
          caps: pods === undefined ? {} : { pods },
        },
      ],
    }))
    return Promise.resolve({ pools, limits: this.limits, busy: this.busy })
  }

  retire(pool: string, pods: readonly string[]): Promise<ReadonlySet<string>> {
    if (this.silent) return Promise.reject(new Error('the tables do not answer'))
    this.#retired.set(pool, new Set(pods))
    return Promise.resolve(new Set(pods.filter((pod) => !this.#working.has(pod))))
  }

  /** Chunks that pods of the pool hold. */
  held(pool: string): number {
    return this.#api
      .all('pods')
      .filter(({ metadata }) => metadata.labels?.[this.#poolLabel] === pool)
      .filter(({ metadata }) => this.#working.has(metadata.name)).length
  }

  get busy(): ReadonlySet<string> {
    return new Set(this.#working.keys())
  }

  kill(pod: string): void {
    this.killed.add(pod)
    this.#ask(pod)
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const deployment of this.#api.all('deployments')) this.#replicaSet(deployment)
      for (const pod of this.#api.all('pods')) this.#kubelet(pod)
      this.#work()
      // A ReplicaSet replaces a pod that somebody killed before it is gone: nobody here can help that.
      const ours = this.#api.all('pods').filter((pod) => !this.killed.has(pod.metadata.name))
      this.most = Math.max(this.most, ours.length)
      await this.#clock.sleep(STEP_MS, signal)
    }
  }

  podsOf(deployment: Deployment): Pod[] {
    const pool = deployment.metadata.labels?.[this.#poolLabel]
    return this.#api
      .all('pods')
      .filter(
        ({ metadata }) => metadata.ownerReferences && metadata.labels?.[this.#poolLabel] === pool,
      )
  }

  #replicaSet(deployment: Deployment): void {
    const pods = this.podsOf(deployment)
    const name = deployment.metadata.name
    if (deployment.metadata.deletionTimestamp !== undefined) {
      // In the foreground: what it owns goes first.
      for (const pod of pods) this.#ask(pod.metadata.name)
      if (pods.length === 0) this.#api.remove('deployments', name)
      return
    }
    const staying = pods.filter((pod) => pod.metadata.deletionTimestamp === undefined)
    const wanted = deployment.spec?.replicas ?? 0
    const labels = deployment.metadata.labels ?? {}
    for (let n = staying.length; n < wanted; n++)
      this.#api.put('pods', {
        metadata: {
          name: `${name}-${++this.#made}`,
          labels,
          ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name, uid: 'r' }],
        },
        spec: { containers: [] },
        status: { phase: 'Pending' },
      })
    const order = staying.toSorted(
      (a, b) =>
        rank(a) - rank(b) || this.#cost(a) - this.#cost(b) || (created(a) < created(b) ? 1 : -1),
    )
    for (const pod of order.slice(0, Math.max(0, staying.length - wanted)))
      this.#ask(pod.metadata.name)
    const ready = staying.filter((pod) => rank(pod) === 2).length
    const status = {
      replicas: staying.length,
      updatedReplicas: staying.length,
      readyReplicas: ready,
    }
    if (JSON.stringify(deployment.status) !== JSON.stringify(status))
      this.#api.put('deployments', { ...deployment, status })
  }

  #cost(pod: Pod): number {
    const { name, annotations } = pod.metadata
    if (annotations?.[COST.annotation] === undefined) {
      this.#markedMs.delete(name)
      return 0
    }
    const sinceMs = this.#markedMs.get(name) ?? this.#clock.nowMs()
    this.#markedMs.set(name, sinceMs)
    return this.#clock.nowMs() - sinceMs < MARKS_SEEN_AFTER_MS
      ? 0
      : Number(annotations[COST.annotation])
  }

  #ask(name: string): void {
    const pod = this.#api.all('pods').find((one) => one.metadata.name === name)
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) return
    if (this.#working.delete(name)) {
      if (!this.killed.has(name)) this.robbed.push(name)
      const pool = this.wanted.get(pod.metadata.labels?.[this.#poolLabel] ?? '')
      if (pool !== undefined) pool.queued++
    }
    const deletionTimestamp = new Date(this.#clock.nowMs()).toISOString()
    this.#api.put('pods', { ...pod, metadata: { ...pod.metadata, deletionTimestamp } })
  }

  #kubelet(pod: Pod): void {
    if (this.#random.next() > 0.1) return
    if (pod.metadata.deletionTimestamp !== undefined)
      return this.#api.remove('pods', pod.metadata.name)
    if (pod.status?.phase !== 'Pending') return
    const conditions = [{ type: 'Ready', status: 'True' }]
    const containerStatuses = [{ name: 'user', ready: true }]
    this.#api.put('pods', { ...pod, status: { phase: 'Running', conditions, containerStatuses } })
  }

  #work(): void {
    for (const [pod, untilMs] of this.#working)
      if (this.#clock.nowMs() >= untilMs) {
        this.#working.delete(pod)
        this.done++
      }
    for (const pod of this.#api.all('pods')) {
      const { name, labels, deletionTimestamp } = pod.metadata
      const id = labels?.[this.#poolLabel] ?? ''
      const pool = this.wanted.get(id)
      if (pool === undefined || pool.queued === 0 || deletionTimestamp !== undefined) continue
      if (rank(pod) !== 2 || this.#working.has(name) || this.#retired.get(id)?.has(name)) continue
      pool.queued--
      this.#working.set(name, this.#clock.nowMs() + 200 + this.mostWorkMs * this.#random.next())
    }
  }
}

function rank(pod: Pod): number {
  return pod.status?.phase === 'Running' ? 2 : 0
}

function created(pod: Pod): string {
  return pod.metadata.creationTimestamp ?? ''
}
