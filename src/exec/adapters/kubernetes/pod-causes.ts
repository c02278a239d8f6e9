// Why a pod is not running: read from what the cluster says, and said with the next thing to try.
// Pure: the same objects give the same words.
// Invariants:
// - what hinders now comes before what happened once; the first cause found from the top is the cause;
// - a cause never quotes a value of a secret, only names of secrets and keys, as the cluster does;
// - an unknown reason of the cluster is passed on in its own words, never hidden.

import type { PodStatus } from '../../../model/pool-status.ts'
import { containerTrouble, whyContainersFailed, missingReference } from './container-causes.ts'
import { firstLine } from './hindrance.ts'
import type { Hindrance } from './hindrance.ts'
import { nodeSilent, stopped, whyGone } from './node-causes.ts'
import type { Event, Pod } from './objects.ts'

export type PodState = PodStatus['state']

export interface PodCause {
  readonly state: PodState
  readonly cause: Hindrance | undefined
  /** Nobody said so: it follows from how things stand. */
  readonly concluded?: true
}

export interface Circumstances {
  /** Events of the namespace, in any order; those of other objects are passed over. */
  readonly events: readonly Event[]
  readonly nowMs: number
  /** A start that takes longer is called slow. */
  readonly slowMs: number
  /** Names of pods we ask to go ourselves: their leaving needs no cause. */
  readonly retired?: ReadonlySet<string>
}

/** What a pod does and, if it does not run, why. */
export function causeOfPod(pod: Pod, given: Circumstances): PodCause {
  const status = pod.status ?? {}
  const went = whyGone(pod, lastEvent(pod, given.events, 'Evicted'))
  if (pod.metadata.deletionTimestamp !== undefined)
    return { state: 'leaving', cause: went ?? deleted(pod, given) }
  if (status.phase === 'Failed') return { state: 'ended', cause: went ?? whyFailed(pod) }
  if (status.phase === 'Succeeded') {
    if (went !== undefined || isRetired(pod, given)) return { state: 'ended', cause: went }
    return { state: 'ended', cause: stopped(pod), concluded: true }
  }
  const hindered = unschedulable(pod) ?? containerTrouble(pod) ?? went ?? nodeSilent(pod)
  if (hindered !== undefined)
    return { state: status.phase === 'Running' ? 'failing' : 'waiting', cause: hindered }
  if (status.phase === 'Running' && (status.containerStatuses ?? []).every((one) => one.ready))
    return { state: 'running', cause: undefined }
  return { state: 'starting', cause: starting(pod, given) }
}

function unschedulable(pod: Pod): Hindrance | undefined {
  const condition = pod.status?.conditions?.find((one) => one.type === 'PodScheduled')
  if (condition?.status !== 'False') return undefined
  // After the first sentence follows what preemption would help: no news for a reader.
  const text = (condition.message ?? condition.reason ?? 'no node').split(
    /\. (?=preemption|no new)/,
  )[0]
  const said = (text ?? '').replace(/[.\s]+$/, '')
  return { reason: 'Unschedulable', cause: `no node takes the pod: ${said}`, remedy: place(said) }
}

function place(said: string): string {
  const lacking = [...said.matchAll(/Insufficient ([\w./-]+)/g)].map((match) => match[1] ?? '')
  const device = lacking.find((name) => name.includes('/'))
  if (device !== undefined)
    return `add nodes that offer ${device}, or ask for fewer in resources.gpu; kubectl describe nodes shows what each has left`
  if (lacking.length > 0)
    return `ask for less ${[...new Set(lacking)].join(' and ')} in resources, or add nodes; kubectl describe nodes shows what each has left`
  const taint = /untolerated taint(?:\(s\))? \{([^}]*)\}/.exec(said)?.[1]
  if (taint !== undefined)
    return `name the taint "${taint.trim()}" in tolerations, or take it from the node`
  if (/node affinity\/selector|node selector/.test(said))
    return 'mend nodeSelector so that a node has all its labels; kubectl get nodes --show-labels lists them'
  if (/Too many pods/.test(said)) return 'add nodes: those there run as many pods as they may'
  if (/cordon|unschedulable/.test(said)) return 'kubectl uncordon the node, or add nodes'
  return 'kubectl describe nodes shows what each node has left and refuses'
}

function whyFailed(pod: Pod): Hindrance | undefined {
  const ended = whyContainersFailed(pod)
  if (ended !== undefined) return ended
  const { reason, message } = pod.status ?? {}
  return {
    reason: 'PodRefused',
    cause: `the node refused the pod: ${firstLine(message ?? reason ?? 'no reason')}`,
    remedy: 'nothing to do: another is made; if it comes back, look at the resources of the node',
  }
}

function deleted(pod: Pod, given: Circumstances): Hindrance | undefined {
  if (isRetired(pod, given)) return undefined
  return {
    reason: 'Deleted',
    cause: `somebody deleted pod "${pod.metadata.name}"`,
    remedy: 'nothing to do: another is made and its datums are tried again',
  }
}

function starting(pod: Pod, given: Circumstances): Hindrance {
  // A volume that cannot be mounted is told by events alone; the container just stays "creating".
  const mount = lastEvent(
    pod,
    given.events,
    'FailedMount',
    'FailedAttachVolume',
    'FailedCreatePodSandBox',
  )
  const said = firstLine(mount?.message ?? '')
  const missing = mount && missingReference(`pod "${pod.metadata.name}"`, mount.message ?? '')
  if (missing !== undefined) return missing
  const seconds = Math.max(0, Math.round((given.nowMs - createdMs(pod)) / 1000))
  if (mount !== undefined)
    return {
      reason: 'VolumeMissing',
      cause: `pod "${pod.metadata.name}" waits ${seconds} s for its volumes or network: ${said}`,
      remedy: 'mend what the message names; the pod starts by itself then',
    }
  if (seconds * 1000 < given.slowMs)
    return { reason: 'Starting', cause: `starting since ${seconds} s`, remedy: 'wait a moment' }
  const pulling = lastEvent(pod, given.events, 'Pulling', 'Pulled')
  return {
    reason: 'StartingSlowly',
    cause: `pod "${pod.metadata.name}" has been starting for ${seconds} s${pulling?.reason === 'Pulling' ? `: ${firstLine(pulling.message ?? '')}` : ''}`,
    remedy:
      pulling?.reason === 'Pulling'
        ? 'wait for the image; a smaller one, or one the nodes already hold, starts faster'
        : `kubectl describe pod ${pod.metadata.name} shows what it waits for`,
  }
}

function isRetired(pod: Pod, given: Circumstances): boolean {
  return given.retired?.has(pod.metadata.name) === true
}

function lastEvent(pod: Pod, events: readonly Event[], ...reasons: string[]): Event | undefined {
  return events
    .filter(
      (event) =>
        reasons.includes(event.reason ?? '') &&
        event.involvedObject.name === pod.metadata.name &&
        (event.involvedObject.uid ?? pod.metadata.uid) === pod.metadata.uid,
    )
    .toSorted((a, b) => eventMs(a) - eventMs(b))
    .at(-1)
}

export function createdMs(pod: Pod): number {
  return Date.parse(pod.metadata.creationTimestamp ?? '') || 0
}

function eventMs(event: Event): number {
  return Date.parse(event.lastTimestamp ?? event.eventTime ?? '') || 0
}
