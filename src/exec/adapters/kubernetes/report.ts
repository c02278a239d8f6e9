// What is told of a pool: pure, from what was seen and what is remembered.

import type { PodStatus, PoolStatus } from '../../../model/pool-status.ts'
import { containerEnds } from './container-causes.ts'
import type { ContainerEnd } from './container-causes.ts'
import type { Hindrance } from './hindrance.ts'
import { PROJECT_LABEL, USER_CONTAINER } from './names.ts'
import type { PoolMemory } from './memory.ts'
import type { Deployment, Pod, ResourceQuota } from './objects.ts'
import { causeOfPod } from './pod-causes.ts'
import type { Circumstances } from './pod-causes.ts'
import { causeOfPool } from './pool-causes.ts'
import type { PoolCause } from './pool-causes.ts'

export interface Seen {
  readonly deployment: Deployment | undefined
  readonly pods: readonly Pod[]
  readonly busy: ReadonlySet<string>
  readonly given: Circumstances & { readonly quotas: readonly ResourceQuota[] }
  /** Why what was seen may be old. */
  readonly trouble: Hindrance | undefined
  /** Why no pod may be made at all. */
  readonly hindrance: Hindrance | undefined
}

export function statusOf(id: string, memory: PoolMemory, seen: Seen): PoolStatus {
  const { deployment, given, trouble } = seen
  const pods = seen.pods.map((pod) => podStatusOf(pod, seen))
  const waits = memory.wanted > 0 ? 'waiting' : 'idle'
  const pool: PoolCause =
    deployment === undefined
      ? { state: waits, cause: undefined }
      : causeOfPool(deployment, seen.pods, given)
  // The Deployment has all it was given, and would be given more.
  const held = pool.state === 'idle' && (memory.refused ?? seen.hindrance ?? memory.withheld)
  const cause = trouble ?? seen.hindrance ?? memory.refused ?? pool.cause ?? memory.withheld
  return {
    pool: id,
    ...whose(memory, deployment),
    state: trouble !== undefined ? 'unknown' : held ? waits : pool.state,
    running: pods.filter((pod) => pod.state === 'running').length,
    replicas: deployment?.spec?.replicas ?? 0,
    wanted: memory.wanted,
    cause: cause ?? null,
    // Pools do not know of the Services before them (services.ts).
    address: null,
    change: memory.change ?? null,
    pods,
    ends: [...memory.ends],
  }
}

/** Of a leftover that was there before us, as far as its Deployment tells. */
function whose(
  { pool }: PoolMemory,
  listed: Deployment | undefined,
): Pick<PoolStatus, 'project' | 'pipelines' | 'image'> {
  const deployment = pool?.deployment ?? listed
  const containers = deployment?.spec?.template?.spec?.containers ?? []
  return {
    project: pool?.project ?? listed?.metadata.annotations?.[PROJECT_LABEL] ?? '',
    pipelines: pool?.work.map((one) => one.pipeline) ?? [],
    image: containers.find((one) => one.name === USER_CONTAINER)?.image ?? null,
  }
}

function podStatusOf(pod: Pod, { busy, given }: Seen): PodStatus {
  const { state, cause } = causeOfPod(pod, given)
  const { name } = pod.metadata
  const node = pod.spec?.nodeName ?? null
  return { name, node, state, busy: busy.has(name), cause: cause ?? null }
}

/** What went otherwise than by us: the pod itself, or containers of a pod that goes on. */
export function endsOf(pod: Pod, given: Circumstances): readonly ContainerEnd[] {
  const { state, cause, concluded } = causeOfPod(pod, given)
  if (state !== 'ended' && state !== 'leaving') return containerEnds(pod)
  const key = pod.metadata.uid ?? pod.metadata.name
  return cause === undefined ? [] : [{ key, cause, atMs: undefined, concluded }]
}
