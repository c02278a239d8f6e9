// The Deployments and pods of one namespace that carry our labels, as far as is known, by their pools.

import type { Clock } from '../../../base/clock.ts'
import type { Random } from '../../../base/random.ts'
import type { KubernetesClient } from './client.ts'
import type { Deployment, Pod } from './objects.ts'
import { Watch } from './watch.ts'
import type { WatchBounds } from './watch.ts'

export interface ClusterNames {
  readonly namespace: string
  /** Label selector of all that is ours, of this installation alone. */
  readonly selector: string
  /** Label with the pool's id, on Deployments and pods. */
  readonly poolLabel: string
  readonly digestAnnotation: string
}

interface ByPool {
  readonly deployments: ReadonlyMap<string, readonly Deployment[]>
  readonly pods: ReadonlyMap<string, readonly Pod[]>
}

const MAX_GONE = 1_000

export class ClusterView {
  readonly #names: ClusterNames
  readonly #deployments: Watch<'deployments'>
  readonly #pods: Watch<'pods'>
  readonly #gone: Pod[] = []
  /** As of the last change: each pass asks for every pool. */
  #byPool: ByPool | undefined

  constructor(
    client: KubernetesClient,
    names: ClusterNames,
    guests: { readonly clock: Clock; readonly random: Random },
    changed: () => void,
    bounds: WatchBounds,
  ) {
    this.#names = names
    const scope = { namespace: names.namespace, labels: names.selector }
    const heard = (): void => {
      this.#byPool = undefined
      changed()
    }
    this.#deployments = new Watch(client, 'deployments', scope, guests, heard, bounds)
    const removed = (pod: Pod): void => void this.#gone.splice(0, this.#gone.push(pod) - MAX_GONE)
    this.#pods = new Watch(client, 'pods', scope, guests, heard, bounds, removed)
  }

  /** Returns when the signal is aborted; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#deployments.run(signal), this.#pods.run(signal)])
  }

  /** False before everything was seen once. */
  get known(): boolean {
    return this.#deployments.knownMs !== undefined && this.#pods.knownMs !== undefined
  }

  /** Why the cluster is not heard now. */
  get trouble(): Error | undefined {
    return this.#deployments.trouble ?? this.#pods.trouble
  }

  get deployments(): readonly Deployment[] {
    return this.#deployments.items
  }

  get pods(): readonly Pod[] {
    return this.#pods.items
  }

  /** Pods that went since this was asked last, as they were: one may come and go between two looks. */
  takeGone(): readonly Pod[] {
    return this.#gone.splice(0).map((pod) => ({
      ...pod,
      metadata: { deletionTimestamp: pod.metadata.creationTimestamp ?? '', ...pod.metadata },
    }))
  }

  poolOf({ metadata }: Deployment | Pod): string {
    return metadata.labels?.[this.#names.poolLabel] ?? metadata.name
  }

  deploymentOf(pool: string): Deployment | undefined {
    return this.#grouped().deployments.get(pool)?.[0]
  }

  podsOf(pool: string): readonly Pod[] {
    return this.#grouped().pods.get(pool) ?? []
  }

  #grouped(): ByPool {
    this.#byPool ??= {
      deployments: Map.groupBy(this.deployments, (one) => this.poolOf(one)),
      pods: Map.groupBy(this.pods, (pod) => this.poolOf(pod)),
    }
    return this.#byPool
  }
}
