// What nodes do to pods, and what is done to pods because of their nodes: read from their status and, where
// that says nothing, from an event.

import { firstLine } from './hindrance.ts'
import type { Hindrance } from './hindrance.ts'
import type { Event, Pod } from './objects.ts'

/** What made a pod go or fail that is no matter of its containers. `told`: the event of its eviction. */
export function whyGone(pod: Pod, told: Event | undefined): Hindrance | undefined {
  const status = pod.status ?? {}
  const message = firstLine(status.message ?? '')
  const disruption = status.conditions?.find(
    (one) => one.type === 'DisruptionTarget' && one.status === 'True',
  )
  const node = nodeOf(pod)
  if (status.reason === 'Evicted') return evicted(node, message)
  if (
    status.reason === 'NodeLost' ||
    disruption?.reason === 'DeletionByTaintManager' ||
    disruption?.reason === 'DeletionByPodGC'
  )
    return {
      reason: 'NodeLost',
      cause: `${node} is lost or was taken away`,
      remedy:
        'nothing to do: its datums are tried again elsewhere; look at the node if it should be there',
    }
  if (disruption?.reason === 'PreemptionByScheduler')
    return {
      reason: 'Preempted',
      cause: `a pod of higher priority took its place on ${node}`,
      remedy: 'give the pipeline a priority class, or add nodes',
    }
  if (disruption?.reason === 'EvictionByEvictionAPI')
    return {
      reason: 'Evicted',
      cause: `${node} is being drained`,
      remedy: 'nothing to do: its datums are tried again on another node',
    }
  if (
    disruption?.reason === 'TerminationByKubelet' ||
    /NodeShutdown|Terminated/.test(status.reason ?? '')
  )
    return evicted(node, message || firstLine(disruption?.message ?? ''))
  // Where all containers then end with code 0 the kubelet writes "Succeeded" over its reason.
  return told && evicted(node, firstLine(told.message ?? ''))
}

/** When a node is not heard of any more, its pods are called unready by others, and all else stays as it was. */
export function nodeSilent(pod: Pod): Hindrance | undefined {
  const { phase, conditions = [], containerStatuses = [] } = pod.status ?? {}
  const unready = conditions.some((one) => one.type === 'Ready' && one.status === 'False')
  if (phase !== 'Running' || !unready || containerStatuses.some((one) => one.ready !== true))
    return undefined
  return {
    reason: 'NodeLost',
    cause: `nothing is heard of ${nodeOf(pod)}`,
    remedy:
      'nothing to do: its datums are tried again elsewhere, after some minutes its pods too; look at the node',
  }
}

/** Containers of ours that end are started again: when all ended for good, the node stopped the pod. */
export function stopped(pod: Pod): Hindrance {
  return evicted(nodeOf(pod), '')
}

function evicted(node: string, message: string): Hindrance {
  const said = message.replace(/[.\s]+$/, '')
  const cause = `${node} put the pod out: ${said || 'no message'}`
  if (/ephemeral|EmptyDir|DiskPressure|disk|storage/i.test(said))
    return {
      reason: 'Evicted',
      cause,
      remedy: 'ask for more disk in resources.disk, or write less beside /pfs/out',
    }
  if (/memory/i.test(said))
    return {
      reason: 'Evicted',
      cause,
      remedy: 'ask for the memory the code really needs in resources.memory',
    }
  return { reason: 'Evicted', cause, remedy: 'nothing to do: its datums are tried again elsewhere' }
}

function nodeOf(pod: Pod): string {
  return `node "${pod.spec?.nodeName ?? ''}"`
}
