// Why a container of a pod does not run: read from its status, in the order the kubelet sets it.

import { firstLine, lastLine } from './hindrance.ts'
import type { Hindrance } from './hindrance.ts'
import { AGENT_CONTAINER } from './names.ts'
import type { ContainerStatus, Ended, Pod, PodSpec } from './objects.ts'

export function containerTrouble(pod: Pod): Hindrance | undefined {
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
): Hindrance | undefined {
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
      return endedForMemory(status)
        ? outOfMemory(pod, status)
        : crashing(pod, status, status.lastState?.terminated)
    default:
      // ContainerCreating and PodInitializing are a start like any other.
      return undefined
  }
}

export function missingReference(where: string, message: string): Hindrance | undefined {
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

function rootRefused(container: string, message: string): Hindrance | undefined {
  if (!/runAsNonRoot/.test(message)) return undefined
  return {
    reason: 'RunsAsRoot',
    cause: `${container} may not start: ${firstLine(message)}`,
    remedy: 'give the transform a numeric user other than 0, or build the image with one',
  }
}

function refusedBy(container: string, message: string): Hindrance {
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

function outOfMemory(pod: Pod, status: ContainerStatus): Hindrance {
  const limit = specOf(pod.spec, status.name)?.resources?.limits?.['memory']
  return {
    reason: 'OutOfMemory',
    cause: `container "${status.name}" was killed at its memory limit${limit === undefined ? '' : ` of ${limit}`}`,
    remedy: 'raise resources.memory, or give each datum less to hold at once',
  }
}

function crashing(pod: Pod, status: ContainerStatus, ended: Ended | undefined): Hindrance {
  const last = ended?.message === undefined ? '' : `: ${lastLine(ended.message)}`
  const how = `ended ${status.restartCount ?? 0} times, last with exit code ${ended?.exitCode ?? 'unknown'}${last}`
  const log = `kubectl logs ${pod.metadata.name} -c ${status.name} --previous`
  if (status.name === AGENT_CONTAINER)
    return {
      reason: 'AgentCrashing',
      cause: `our own container "${status.name}" ${how}`,
      remedy: `${log} shows why; look whether pods reach the API at the address in the settings of pools`,
    }
  return {
    reason: 'Crashing',
    cause: `container "${status.name}" ${how}`,
    remedy: `read the log of the pod (${log}); a new start is tried at growing intervals`,
  }
}

/** Why the containers of a pod that is over ended. */
export function whyContainersFailed(pod: Pod): Hindrance | undefined {
  for (const status of pod.status?.containerStatuses ?? []) {
    const ended = status.state?.terminated
    if (ended !== undefined && ended.exitCode !== 0) return whyEnded(pod, status, ended)
  }
  return undefined
}

export interface ContainerEnd {
  /** One end, however often it is seen. */
  readonly key: string
  readonly cause: Hindrance
  readonly atMs: number | undefined
  /** Nobody said so: it follows from how things stand. */
  readonly concluded?: true | undefined
}

/** The last end of each container of a pod that goes on: out of memory, or with an exit code. */
export function containerEnds(pod: Pod): readonly ContainerEnd[] {
  const ends: ContainerEnd[] = []
  for (const status of pod.status?.containerStatuses ?? []) {
    const ended = status.state?.terminated ?? status.lastState?.terminated
    if (ended === undefined || ended.exitCode === 0) continue
    const at = ended.finishedAt ?? `${status.restartCount ?? 0}`
    ends.push({
      key: `${pod.metadata.uid ?? pod.metadata.name}/${status.name}/${at}`,
      cause: whyEnded(pod, status, ended),
      atMs: Date.parse(ended.finishedAt ?? '') || undefined,
    })
  }
  return ends
}

function whyEnded(pod: Pod, status: ContainerStatus, ended: Ended): Hindrance {
  return ended.reason === 'OOMKilled' ? outOfMemory(pod, status) : crashing(pod, status, ended)
}

function specOf(
  spec: PodSpec | undefined,
  name: string,
): PodSpec['containers'][number] | undefined {
  return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].find(
    (one) => one.name === name,
  )
}
