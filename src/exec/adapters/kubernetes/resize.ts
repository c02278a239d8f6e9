// Gives a Deployment the size that was decided, so that no pod goes with work in hand: a pod goes only after
// whoever hands out work agreed not to give it any (`retire`), was marked as cheapest, and the mark had time
// to reach the ReplicaSet.

import type { Clock } from '../../../base/clock.ts'
import type { KubernetesClient } from './client.ts'
import type { Memories } from './memory.ts'
import type { Deployment, Pod } from './objects.ts'
import type { Superior } from './orders.ts'
import { COST, staying, viewsOf } from './pod-view.ts'
import type { Decision } from './scale.ts'

export interface ResizeOptions {
  readonly client: KubernetesClient
  readonly superior: Pick<Superior, 'retire'>
  readonly namespace: string
  readonly clock: Clock
  readonly memories: Memories
  /** From a mark on a pod until the ReplicaSet has surely seen it. */
  readonly markMs: number
}

export class Resize {
  readonly #options: ResizeOptions

  constructor(options: ResizeOptions) {
    this.#options = options
  }

  /** True when the Deployment has the size that was decided and nobody is on the way out. */
  async apply(
    pool: string,
    listed: Deployment,
    pods: readonly Pod[],
    decision: Decision,
  ): Promise<boolean> {
    const { client, superior, namespace, memories } = this.#options
    const { name, resourceVersion } = listed.metadata
    const replicas = listed.spec?.replicas ?? 0
    const going = viewsOf(pods, new Set(), replicas).filter((pod) => pod.leaving)
    const retiring = [...going.map((pod) => pod.name), ...decision.remove]
    const agreed = await superior.retire(pool, retiring)
    await this.#unmark(pods, new Set(retiring))
    if (decision.replicas > replicas) {
      this.note(pool, listed, decision.replicas)
      await client.scale(namespace, name, decision.replicas, resourceVersion)
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
    for (const pod of decision.remove) memories.taken.add(pod)
    await client.scale(namespace, name, decision.replicas, resourceVersion)
    return false
  }

  /** Before a request that may be carried out without an answer. */
  note(pool: string, listed: Deployment | undefined, replicas: number): void {
    const { memories, clock } = this.#options
    const version = listed?.metadata.resourceVersion
    memories.of(pool).asked = { version, replicas, atMs: clock.monotonicMs() }
  }

  /** True when the mark stands long enough. */
  async #mark(pod: Pod | undefined): Promise<boolean> {
    if (pod === undefined) return false
    const { client, namespace, clock, markMs, memories } = this.#options
    const { name, annotations, uid } = pod.metadata
    const sinceMs = memories.markedMs.get(name)
    if (annotations?.[COST.annotation] === COST.going && sinceMs !== undefined)
      return clock.monotonicMs() - sinceMs >= markMs
    await client.patch('pods', namespace, name, {
      metadata: {
        ...(uid === undefined ? {} : { uid }),
        annotations: { [COST.annotation]: COST.going },
      },
    })
    memories.markedMs.set(name, sinceMs ?? clock.monotonicMs())
    return false
  }

  async #unmark(pods: readonly Pod[], retiring: ReadonlySet<string>): Promise<void> {
    const { client, namespace, memories } = this.#options
    for (const { metadata } of staying(pods)) {
      if (retiring.has(metadata.name)) continue
      memories.markedMs.delete(metadata.name)
      if (metadata.annotations?.[COST.annotation] !== COST.going) continue
      await client.patch('pods', namespace, metadata.name, {
        metadata: { annotations: { [COST.annotation]: null } },
      })
    }
  }
}
