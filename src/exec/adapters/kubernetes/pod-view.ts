// Pods as the scaling sees them, and the mark that tells a ReplicaSet which of them to take first.

import type { Pod } from './objects.ts'
import type { PodView } from './scale.ts'

/** Among pods that are ready alike a ReplicaSet takes the one with the lowest cost; without it is 0. */
export const COST = {
  annotation: 'controller.kubernetes.io/pod-deletion-cost',
  going: '-1000',
} as const

/** Pods a ReplicaSet counts: neither over nor asked to go. */
export function staying(pods: readonly Pod[]): readonly Pod[] {
  return pods.filter((pod) => pod.metadata.deletionTimestamp === undefined && !isOver(pod))
}

/**
 * The pods that take a place. Where the Deployment was told to have fewer than there are, those
 * that are marked count as leaving already: the ReplicaSet is about to take them.
 */
export function viewsOf(
  pods: readonly Pod[],
  busy: ReadonlySet<string>,
  replicas: number,
): readonly PodView[] {
  const surplus = Math.max(0, staying(pods).length - replicas)
  const marked = staying(pods)
    .filter((pod) => pod.metadata.annotations?.[COST.annotation] === COST.going)
    .map((pod) => pod.metadata.name)
    .toSorted()
    .slice(0, surplus)
  return pods
    .filter((pod) => !isOver(pod))
    .map(({ metadata, status }) => ({
      name: metadata.name,
      busy: busy.has(metadata.name),
      leaving: metadata.deletionTimestamp !== undefined || marked.includes(metadata.name),
      stage: stageOf(status),
      createdMs: Date.parse(metadata.creationTimestamp ?? '') || 0,
    }))
}

function stageOf(status: Pod['status']): PodView['stage'] {
  if (status?.phase !== 'Running') return 'pending'
  const ready = status.conditions?.find((one) => one.type === 'Ready')
  return ready?.status === 'True' ? 'ready' : 'unready'
}

export function isOver(pod: Pod): boolean {
  return pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded'
}
