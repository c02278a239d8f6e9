// Pools of workers as Deployments of a Kubernetes namespace, for the work there is. What pipelines want
// becomes pools here (wanted.ts); the controller makes the cluster so; belongings.ts has what pods need,
// services.ts what leads to those that serve a port.

import type { Clock } from '../../../base/clock.ts'
import type { Random } from '../../../base/random.ts'
import type { PoolStatus } from '../../../model/pool-status.ts'
import type { Foreman, Pools } from '../../pools.ts'
import { Belongings } from './belongings.ts'
import type { KubernetesClient } from './client.ts'
import { PoolController } from './controller.ts'
import type { ControllerBounds } from './controller.ts'
import { DIGEST_ANNOTATION, POOL_LABEL, labelSelector } from './names.ts'
import type { Orders } from './orders.ts'
import { Services } from './services.ts'
import { labelsOf, limitsOf } from './settings.ts'
import type { PoolSettings } from './settings.ts'
import { wantedOf } from './wanted.ts'

export interface KubernetesPoolsOptions {
  readonly client: KubernetesClient
  readonly foreman: Foreman
  readonly settings: PoolSettings
  readonly clock: Clock
  readonly random: Random
  /** SHA-256 of a text, as 64 hex digits. */
  readonly digest: (text: string) => string
  readonly bounds?: ControllerBounds
}

export class KubernetesPools implements Pools {
  readonly #options: KubernetesPoolsOptions
  readonly #belongings: Belongings
  readonly #services: Services
  readonly #controller: PoolController
  #unmade: readonly PoolStatus[] = []

  /** @throws VarveError INVALID_OPTION: the settings name doors that are none */
  constructor(options: KubernetesPoolsOptions) {
    const { client, foreman, settings, clock, random, bounds } = options
    this.#options = options
    this.#belongings = new Belongings(options)
    this.#services = new Services(options)
    this.#controller = new PoolController({
      client,
      superior: {
        orders: () => this.#orders(),
        retire: (pool, pods) => foreman.retire(pool, pods),
        furnish: (pool) => this.#belongings.furnish(pool),
        clear: async (kept) => {
          await this.#belongings.clear(kept)
          await this.#services.clear(kept)
        },
      },
      names: {
        namespace: settings.namespace,
        // A pool's objects alone: others may carry the labels of the installation.
        selector: `${labelSelector(labelsOf(settings))},${POOL_LABEL}`,
        poolLabel: POOL_LABEL,
        digestAnnotation: DIGEST_ANNOTATION,
      },
      clock,
      random,
      ...(bounds !== undefined && { bounds }),
    })
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#controller.run(signal)
  }

  ring(): void {
    this.#controller.ring()
  }

  /** False: not even which pools there are is known yet, so `status` tells nothing. */
  get isInformed(): boolean {
    return this.#controller.isInformed
  }

  status(): readonly PoolStatus[] {
    const made = this.#controller.status().map((one) => this.#services.tell(one))
    return [...made, ...this.#unmade]
  }

  async #orders(): Promise<Orders> {
    const { foreman, settings, digest } = this.#options
    const { pipelines, busy } = await foreman.demand()
    const hindrance = await this.#belongings.lay()
    const { owner } = this.#belongings
    const { pools, services, unmade } = wantedOf(pipelines, { settings, owner, digest })
    this.#unmade = unmade
    if (hindrance === undefined) await this.#services.lay(services, owner)
    return { pools, limits: limitsOf(settings), busy, hindrance }
  }
}
