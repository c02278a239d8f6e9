// Why a pool is not at its size: what its pods say, and what the API server said when it let none be made.

import type { PoolStatus } from '../../../model/pool-status.ts'
import { firstLine } from './hindrance.ts'
import type { Hindrance } from './hindrance.ts'
import type { Deployment, Pod, ResourceQuota } from './objects.ts'
import { causeOfPod, createdMs } from './pod-causes.ts'
import type { Circumstances } from './pod-causes.ts'
import { KubernetesError, isRefusal } from './refusal.ts'

export interface PoolCause {
  readonly state: Exclude<PoolStatus['state'], 'unknown'>
  readonly cause: Hindrance | undefined
}

/**
 * What a pool does and, if it is not at its size, why: first what its newest pods say, then what
 * keeps the Deployment from making pods.
 */
export function causeOfPool(
  deployment: Deployment,
  pods: readonly Pod[],
  given: Circumstances & { readonly quotas: readonly ResourceQuota[] },
): PoolCause {
  const wanted = deployment.spec?.replicas ?? 0
  const told = pods.map((pod) => ({ pod, ...causeOfPod(pod, given) }))
  const running = told.filter((one) => one.state === 'running').length
  if (wanted === 0 && running === 0) return { state: 'idle', cause: undefined }
  if (running >= wanted) return { state: 'running', cause: undefined }
  const cause =
    replicaFailure(deployment, given.quotas) ??
    worst(told.filter((one) => one.state !== 'leaving' && one.state !== 'running')) ??
    worst(told.filter((one) => one.state === 'leaving'))
  if (running > 0) return { state: 'partly', cause }
  return { state: told.some((one) => one.state === 'starting') ? 'starting' : 'waiting', cause }
}

/** Of several the one that says most: a start is said only when nothing else is. */
function worst(
  told: readonly { readonly pod: Pod; readonly cause: Hindrance | undefined }[],
): Hindrance | undefined {
  const rank = (cause: Hindrance): number =>
    cause.reason === 'Starting' ? 2 : cause.reason === 'StartingSlowly' ? 1 : 0
  return told
    .toSorted((a, b) => createdMs(b.pod) - createdMs(a.pod))
    .map((one) => one.cause)
    .filter((cause) => cause !== undefined)
    .toSorted((a, b) => rank(a) - rank(b))[0]
}

/** What keeps the ReplicaSet from making pods at all. */
function replicaFailure(
  deployment: Deployment,
  quotas: readonly ResourceQuota[],
): Hindrance | undefined {
  const failure = deployment.status?.conditions?.find(
    (one) => one.type === 'ReplicaFailure' && one.status === 'True',
  )
  return failure === undefined ? undefined : causeOfRefusal(failure.message ?? '', quotas)
}

/** The words of the API server when it did not let an object be made. */
export function causeOfRefusal(message: string, quotas: readonly ResourceQuota[] = []): Hindrance {
  const said = firstLine(message).replace(/^.*? is forbidden: /, '')
  const quota = /(?:exceeded|failed) quota: ([^\s:,]+)/.exec(message)?.[1]
  if (quota !== undefined) {
    const must = /must specify (.*)$/.exec(said)?.[1]
    return {
      reason: 'QuotaReached',
      cause: `the namespace allows no more pods: ${said}${must === undefined ? fill(quotas, quota) : ''}`,
      remedy:
        must === undefined
          ? `wait until others end, or have the operator raise ResourceQuota "${quota}"`
          : `name ${must} in resources: the quota counts them`,
    }
  }
  if (/violates PodSecurity/.test(message))
    return {
      reason: 'PodRefused',
      cause: `the pod security standard of the namespace refuses the pod: ${said}`,
      remedy:
        'set what the message names in the spec, or have the operator allow "baseline" for this workspace',
    }
  return {
    reason: 'PodRefused',
    cause: `the cluster refuses the pod: ${said || 'no message'}`,
    remedy:
      'mend what the message names: a limit range, a priority class or an admission webhook of the cluster refuses it',
  }
}

function fill(quotas: readonly ResourceQuota[], name: string): string {
  const status = quotas.find((quota) => quota.metadata.name === name)?.status
  const full = Object.entries(status?.hard ?? {}).map(
    ([what, hard]) => `${what} ${status?.used?.[what] ?? '0'} of ${hard}`,
  )
  return full.length === 0 ? '' : ` (now ${full.join(', ')})`
}

/** What an answer of the API server, or of whoever knows the work, keeps from being done. */
export function hindranceOf(error: unknown): Hindrance {
  const cause = (error as Error).message
  if (isRefusal(error, 'quota', 'refused')) return causeOfRefusal(cause)
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
