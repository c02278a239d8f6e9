// Why a pool or a pod is not running: read from what the cluster says, and said with the next thing
// to try. Pure: the same objects give the same words.
// Invariants:
// - what hinders now comes before what happened once; the first cause found from the top is the cause;
// - a cause never quotes a value of a secret, only names of secrets and keys, as the cluster does;
// - an unknown reason of the cluster is passed on in its own words, never hidden.

import type { ContainerStatus, Deployment, Event, Pod, PodSpec, ResourceQuota } from './objects.ts'

/** One word for programs, two sentences for people. */
export interface Cause {
  readonly reason: CauseReason
  /** What is in the way, without a final period. */
  readonly cause: string
  /** What to try next. */
  readonly remedy: string
}

export type CauseReason =
  | 'Unschedulable'
  | 'ImageMissing'
  | 'ImageNameInvalid'
  | 'SecretMissing'
  | 'VolumeMissing'
  | 'RunsAsRoot'
  | 'ContainerRefused'
  | 'QuotaReached'
  | 'PodRefused'
  | 'OutOfMemory'
  | 'Evicted'
  | 'NodeLost'
  | 'Preempted'
  | 'Crashing'
  | 'Deleted'
  | 'StartingSlowly'
  | 'Starting'
  | 'CapReached'
  | 'BudgetReached'
  | 'ScalingHeld'
  | 'ClusterUnreachable'
  | 'Denied'
  | 'WorkUnknown'

export type PodState = 'waiting' | 'starting' | 'running' | 'failing' | 'ended' | 'leaving'

export interface PodCause {
  readonly state: PodState
  readonly cause: Cause | undefined
}

export interface PoolCause {
  readonly state: 'idle' | 'waiting' | 'starting' | 'running' | 'partly'
  readonly cause: Cause | undefined
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
  const went = whyGone(pod)
  if (pod.metadata.deletionTimestamp !== undefined)
    return { state: 'leaving', cause: went ?? deleted(pod, given) }
  if (status.phase === 'Failed') return { state: 'ended', cause: went ?? whyFailed(pod) }
  if (status.phase === 'Succeeded') return { state: 'ended', cause: undefined }
  const hindered = unschedulable(pod) ?? containerTrouble(pod) ?? went
  if (hindered !== undefined)
    return { state: status.phase === 'Running' ? 'failing' : 'waiting', cause: hindered }
  if (status.phase === 'Running' && (status.containerStatuses ?? []).every((one) => one.ready))
    return { state: 'running', cause: undefined }
  return { state: 'starting', cause: starting(pod, given) }
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
  told: readonly { readonly pod: Pod; readonly cause: Cause | undefined }[],
): Cause | undefined {
  const rank = (cause: Cause): number =>
    cause.reason === 'Starting' ? 2 : cause.reason === 'StartingSlowly' ? 1 : 0
  return told
    .toSorted((a, b) => createdMs(b.pod) - createdMs(a.pod))
    .map((one) => one.cause)
    .filter((cause) => cause !== undefined)
    .toSorted((a, b) => rank(a) - rank(b))[0]
}

function unschedulable(pod: Pod): Cause | undefined {
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

function containerTrouble(pod: Pod): Cause | undefined {
  const statuses = [
    ...(pod.status?.initContainerStatuses ?? []),
    ...(pod.status?.containerStatuses ?? []),
  ]
  for (const status of statuses) {
    const waiting = status.state?.waiting
    const cause = waiting && waitingCause(pod, status, waiting.reason ?? '', waiting.message ?? '')
    if (cause !== undefined) return cause
  }
  // Killed for memory and started anew: it runs, and will be killed again.
  for (const status of statuses)
    if (status.ready !== true && endedForMemory(status)) return outOfMemory(pod, status)
  return undefined
}

function waitingCause(
  pod: Pod,
  status: ContainerStatus,
  reason: string,
  message: string,
): Cause | undefined {
  const container = `container "${status.name}"`
  const image = specOf(pod.spec, status.name)?.image ?? status.image ?? ''
  switch (reason) {
    case 'ErrImagePull':
    case 'ImagePullBackOff':
    case 'ErrImageNeverPull':
      return {
        reason: 'ImageMissing',
        cause: `image "${image}" of ${container} cannot be pulled: ${firstLine(message) || reason}`,
        remedy: /unauthorized|authentication|denied|forbidden|no basic auth/i.test(message)
          ? 'name a pull secret that may read this registry in imagePullSecrets'
          : 'check the name and tag of the image, and that the nodes reach its registry',
      }
    case 'InvalidImageName':
      return {
        reason: 'ImageNameInvalid',
        cause: `image "${image}" of ${container} is no name of an image`,
        remedy: 'write it as registry/name:tag or registry/name@sha256:digest, in lower case',
      }
    case 'CreateContainerConfigError':
      return (
        missingReference(container, message) ??
        rootRefused(container, message) ??
        refusedBy(container, message)
      )
    case 'CreateContainerError':
    case 'RunContainerError':
      return refusedBy(container, message)
    case 'CrashLoopBackOff':
      return endedForMemory(status) ? outOfMemory(pod, status) : crashing(status)
    default:
      // ContainerCreating and PodInitializing are a start like any other.
      return undefined
  }
}

function missingReference(where: string, message: string): Cause | undefined {
  const key =
    /(?:couldn't find key|references non-existent (?:secret|config) key:?) "?([^\s"]+)"?(?: in (Secret|ConfigMap) ([\w.-]+)\/([\w.-]+))?/.exec(
      message,
    )
  if (key !== null) {
    const name = key[4] ?? /for volume "([^"]+)"/.exec(message)?.[1] ?? ''
    const kind = key[2] === 'ConfigMap' ? 'config map' : 'secret'
    return {
      reason: 'SecretMissing',
      cause: `${where} waits: ${kind} "${name}" has no key "${key[1]}"`,
      remedy: `add the key "${key[1]}" to it, or name another key in the spec; the pod starts by itself then`,
    }
  }
  const whole = /(secret|configmap) "([^"]+)" not found/.exec(message)
  if (whole === null) return undefined
  return {
    reason: 'SecretMissing',
    cause: `${where} waits: ${whole[1] === 'secret' ? 'secret' : 'config map'} "${whole[2]}" is not there`,
    remedy: `create it in the namespace of the pool; the pod starts by itself then`,
  }
}

function rootRefused(container: string, message: string): Cause | undefined {
  if (!/runAsNonRoot/.test(message)) return undefined
  return {
    reason: 'RunsAsRoot',
    cause: `${container} may not start: ${firstLine(message)}`,
    remedy: 'give the transform a numeric user other than 0, or build the image with one',
  }
}

function refusedBy(container: string, message: string): Cause {
  return {
    reason: 'ContainerRefused',
    cause: `${container} cannot be started: ${firstLine(message)}`,
    remedy: /executable file not found|no such file/.test(message)
      ? 'check that the command is in the image, with its whole path'
      : 'mend what the message names in the spec of the pipeline or in the image',
  }
}

function endedForMemory(status: ContainerStatus): boolean {
  return [status.state, status.lastState].some((one) => one?.terminated?.reason === 'OOMKilled')
}

function outOfMemory(pod: Pod, status: ContainerStatus): Cause {
  const limit = specOf(pod.spec, status.name)?.resources?.limits?.['memory']
  return {
    reason: 'OutOfMemory',
    cause: `container "${status.name}" was killed at its memory limit${limit === undefined ? '' : ` of ${limit}`}`,
    remedy: 'raise resources.memory, or give each datum less to hold at once',
  }
}

function crashing(status: ContainerStatus): Cause {
  const ended = status.lastState?.terminated
  const last = ended?.message === undefined ? '' : `: ${lastLine(ended.message)}`
  return {
    reason: 'Crashing',
    cause: `container "${status.name}" ended ${status.restartCount ?? 0} times, last with exit code ${ended?.exitCode ?? 'unknown'}${last}`,
    remedy: 'read the log of the pod; a new start is tried at growing intervals',
  }
}

/** What made a pod go or fail that is no matter of its containers. */
function whyGone(pod: Pod): Cause | undefined {
  const status = pod.status ?? {}
  const message = firstLine(status.message ?? '')
  const disruption = status.conditions?.find(
    (one) => one.type === 'DisruptionTarget' && one.status === 'True',
  )
  const node = `node "${pod.spec?.nodeName ?? ''}"`
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
  return undefined
}

function evicted(node: string, message: string): Cause {
  const said = message.replace(/[.\s]+$/, '')
  const cause = `${node} put the pod out: ${said || 'no message'}`
  if (/ephemeral|DiskPressure|disk|storage/i.test(said))
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

function whyFailed(pod: Pod): Cause | undefined {
  const killed = pod.status?.containerStatuses?.find(endedForMemory)
  if (killed !== undefined) return outOfMemory(pod, killed)
  const ended = pod.status?.containerStatuses?.find(
    (one) => (one.state?.terminated?.exitCode ?? 0) !== 0,
  )
  if (ended !== undefined)
    return crashing({ ...ended, ...(ended.state === undefined ? {} : { lastState: ended.state }) })
  const { reason, message } = pod.status ?? {}
  return {
    reason: 'PodRefused',
    cause: `the node refused the pod: ${firstLine(message ?? reason ?? 'no reason')}`,
    remedy: 'nothing to do: another is made; if it comes back, look at the resources of the node',
  }
}

function deleted(pod: Pod, given: Circumstances): Cause | undefined {
  if (given.retired?.has(pod.metadata.name) === true) return undefined
  return {
    reason: 'Deleted',
    cause: `somebody deleted pod "${pod.metadata.name}"`,
    remedy: 'nothing to do: another is made and its datums are tried again',
  }
}

function starting(pod: Pod, given: Circumstances): Cause {
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

/** What keeps the ReplicaSet from making pods at all. */
function replicaFailure(
  deployment: Deployment,
  quotas: readonly ResourceQuota[],
): Cause | undefined {
  const failure = deployment.status?.conditions?.find(
    (one) => one.type === 'ReplicaFailure' && one.status === 'True',
  )
  return failure === undefined ? undefined : causeOfRefusal(failure.message ?? '', quotas)
}

/** The words of the API server when it did not let an object be made. */
export function causeOfRefusal(message: string, quotas: readonly ResourceQuota[] = []): Cause {
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

function specOf(
  spec: PodSpec | undefined,
  name: string,
): PodSpec['containers'][number] | undefined {
  return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].find(
    (one) => one.name === name,
  )
}

function createdMs(pod: Pod): number {
  return Date.parse(pod.metadata.creationTimestamp ?? '') || 0
}

function eventMs(event: Event): number {
  return Date.parse(event.lastTimestamp ?? event.eventTime ?? '') || 0
}

function firstLine(text: string): string {
  return (text.trim().split('\n')[0] ?? '').slice(0, 500)
}

function lastLine(text: string): string {
  return (text.trim().split('\n').at(-1) ?? '').slice(0, 500)
}
