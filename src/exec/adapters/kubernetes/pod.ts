// The pod of a worker: the user's container beside the agent, after an init container that brings a
// shell and the runner. All of it passes the "restricted" pod security standard.
//
// Nothing in the user's container is trusted, the runner included. What keeps it from the rest:
// - The token is a file of the agent's container alone; no container has a service account's token, and
//   the agent's variables hold nothing secret. Processes are not shared, so /proc shows each only its own.
// - One volume holds the work; the agent sees all of it, the user's container two folders of it: `pfs`,
//   which it can only read, with what the agent laid out for one datum, and `out`. What is kept for other
//   datums lies beside them. Both folders are made before it starts, so that no link can stand for them.
// - The pipes it is spoken to through lie in a folder it can only read: it can write into a pipe, and put
//   nothing in a pipe's place. Links in `out` lead where they lead for whoever follows them: the agent
//   must open what lies there one name after another without following any.
// - Both run as one user, so that the agent can take and empty whatever the code left, of any mode.
// - The shell can be run and not be read, which makes the kernel forbid its tracing: the code cannot take
//   over the runner. The runner is process 1 there and ends every other between two datums.
// - What a program leaves in /tmp, HOME and /dev/shm lies in volumes of its own that the runner can empty;
//   the pod's own /dev/shm, which its containers share, is hidden.
// - They share one network: nothing of the agent may listen. The NetworkPolicy is of both. A service's port
//   is opened beside it (service-objects.ts); nothing asks the code there whether the pod is ready.

import { assert } from '../../../base/assert.ts'
import type { SecretUse } from '../../../model/spec-secrets.ts'
import { AGENT_CONTAINER, OWN_PREFIX, TOOLS_CONTAINER, USER_CONTAINER } from './names.ts'
import type { PoolShape } from './shape.ts'

/** Where things are in the containers of a worker pod. */
export const IN_USER = {
  pfs: '/pfs',
  out: '/pfs/out',
  tools: '/varve/tools',
  pipes: '/varve/pipes',
  home: '/varve/home',
} as const
export const IN_AGENT = {
  work: '/work',
  /** The folder the code sees as /pfs, and the one it sees as /pfs/out. */
  pfs: '/work/pfs',
  out: '/work/out',
  /** Seen by the agent alone; in one file system with `pfs`, so that files can be linked (kept-inputs.ts). */
  cache: '/work/cache',
  pipes: '/pipes',
  token: '/token/token',
} as const

/** Pipes made for the runner, each for one direction. */
export const PIPES = ['request', 'reply', 'stdin', 'stdout', 'stderr'] as const

/** What the agent's image has, and what the agent takes. */
export interface AgentImage {
  readonly image: string
  /** A static busybox in the image. */
  readonly shell: string
  /** The runner's script in the image. */
  readonly runner: string
  /** After the image's entrypoint. */
  readonly args: readonly string[]
  readonly requests: Readonly<Record<string, string>>
  readonly limits: Readonly<Record<string, string>>
  /** What it keeps of inputs, where the pipeline does not limit the disk; default: nothing. */
  readonly cacheBytes?: number
}

export interface PodOptions {
  readonly agent: AgentImage
  readonly apiUrl: string
  /** The Secret with the agent's token, under the key `token`. */
  readonly tokenSecret: string
  /** How long a pod that is asked to go may still work, in seconds. */
  readonly graceSeconds: number
  /** Besides those the pipeline names. */
  readonly pullSecrets?: readonly string[]
  /** A runtime with stronger walls (gVisor, Kata), when the cluster has one. */
  readonly runtimeClass?: string
}

type Texts = Readonly<Record<string, string>>

export interface EnvVar {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: { readonly secretKeyRef: { readonly name: string; readonly key: string } }
}

export interface VolumeMount {
  readonly name: string
  readonly mountPath: string
  readonly subPath?: string
  readonly readOnly?: boolean
}

export interface ContainerObject {
  readonly name: string
  readonly image: string
  readonly imagePullPolicy: string
  readonly command?: readonly string[]
  readonly args?: readonly string[]
  readonly env: readonly EnvVar[]
  readonly ports?: readonly { readonly containerPort: number; readonly protocol: 'TCP' }[]
  readonly resources: { readonly requests: Texts; readonly limits: Texts }
  readonly securityContext: {
    readonly allowPrivilegeEscalation: false
    readonly privileged: false
    readonly readOnlyRootFilesystem: boolean
    readonly capabilities: { readonly drop: readonly string[] }
  }
  readonly volumeMounts: readonly VolumeMount[]
}

export interface SecretFiles {
  readonly secret: {
    readonly name: string
    readonly items?: readonly { readonly key: string; readonly path: string }[]
  }
}

export type VolumeObject = { readonly name: string } & (
  | { readonly emptyDir: { readonly medium?: 'Memory'; readonly sizeLimit?: string } }
  | { readonly secret: { readonly secretName: string; readonly defaultMode: number } }
  | {
      readonly projected: { readonly sources: readonly SecretFiles[]; readonly defaultMode: number }
    }
)

export interface PodObject {
  readonly automountServiceAccountToken: false
  readonly enableServiceLinks: false
  readonly shareProcessNamespace: false
  readonly hostNetwork: false
  readonly hostPID: false
  readonly hostIPC: false
  readonly restartPolicy: 'Always'
  readonly terminationGracePeriodSeconds: number
  readonly securityContext: object
  readonly initContainers: readonly ContainerObject[]
  readonly containers: readonly ContainerObject[]
  readonly volumes: readonly VolumeObject[]
  readonly nodeSelector?: Texts
  readonly tolerations?: PoolShape['tolerations']
  readonly priorityClassName?: string
  readonly imagePullSecrets?: readonly { readonly name: string }[]
  readonly runtimeClassName?: string
}

// Run by the shell with its path, the runner's, and the names of the pipes; also a second time, when a pod
// that lost its node's runtime is begun again over the same volumes.
const PREPARE = `set -eu
umask 077
rm -f /tools/busybox /tools/runner
cp "$1" /tools/busybox
cp "$2" /tools/runner
chmod 0111 /tools/busybox
chmod 0444 /tools/runner
mkdir -p /work/pfs/out /work/out /work/cache
shift 2
for pipe in "$@"; do [ -p "/pipes/$pipe" ] || mkfifo -m 0600 "/pipes/$pipe"; done`

const DISK = 'ephemeral-storage'
const SMALL = {
  requests: { cpu: '10m', memory: '16Mi' },
  limits: { memory: '64Mi' },
} as const
/** Readable by owner and the pod's group, which the files of the volume are given to. */
const SECRET_MODE = 0o440

/** The pod's spec; a pure function. No value of a secret is in it, only names of Secrets. */
export function podOf(shape: PoolShape, options: PodOptions): PodObject {
  const { tokenSecret } = options
  assert(tokenSecret.startsWith(OWN_PREFIX), 'no pipeline can name the Secret with our token')
  const folders = secretFolders(shape.secrets)
  const pullSecrets = [...new Set([...shape.pullSecrets, ...(options.pullSecrets ?? [])])]
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    shareProcessNamespace: false,
    hostNetwork: false,
    hostPID: false,
    hostIPC: false,
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: options.graceSeconds,
    securityContext: {
      runAsNonRoot: shape.uid !== 0,
      runAsUser: shape.uid,
      runAsGroup: shape.gid,
      fsGroup: shape.gid,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
    initContainers: [toolsContainer(options)],
    containers: [userContainer(shape, folders), agentContainer(shape, options)],
    volumes: [
      { name: 'work', emptyDir: sizeLimit(shape.limits[DISK]) },
      { name: 'tools', emptyDir: { sizeLimit: '16Mi' } },
      { name: 'pipes', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
      { name: 'home', emptyDir: {} },
      { name: 'tmp', emptyDir: {} },
      { name: 'shm', emptyDir: { medium: 'Memory' } },
      { name: 'agent-tmp', emptyDir: {} },
      { name: 'token', secret: { secretName: tokenSecret, defaultMode: SECRET_MODE } },
      ...folders.map(({ volume }) => volume),
    ],
    ...(Object.keys(shape.nodeSelector).length > 0 && { nodeSelector: shape.nodeSelector }),
    ...(shape.tolerations.length > 0 && { tolerations: shape.tolerations }),
    ...(shape.priorityClassName !== undefined && { priorityClassName: shape.priorityClassName }),
    ...(pullSecrets.length > 0 && {
      imagePullSecrets: pullSecrets.map((name) => ({ name })),
    }),
    ...(options.runtimeClass !== undefined && { runtimeClassName: options.runtimeClass }),
  }
}

function toolsContainer({ agent }: PodOptions): ContainerObject {
  return {
    name: TOOLS_CONTAINER,
    image: agent.image,
    imagePullPolicy: 'IfNotPresent',
    command: [agent.shell, 'sh', '-c', PREPARE, 'prepare', agent.shell, agent.runner, ...PIPES],
    env: [],
    resources: SMALL,
    securityContext: confined(true),
    volumeMounts: [
      { name: 'work', mountPath: '/work' },
      { name: 'tools', mountPath: '/tools' },
      { name: 'pipes', mountPath: '/pipes' },
    ],
  }
}

function userContainer(shape: PoolShape, folders: readonly SecretFolder[]): ContainerObject {
  const { pfs, out, tools, pipes, home } = IN_USER
  return {
    name: USER_CONTAINER,
    image: shape.image,
    imagePullPolicy: moves(shape.image) ? 'Always' : 'IfNotPresent',
    // The image's own entrypoint is not run: the runner is, and runs the pipeline's command.
    command: [`${tools}/busybox`, 'sh', `${tools}/runner`, pipes, out],
    env: [
      { name: 'HOME', value: home },
      ...shape.secrets.flatMap(({ name, key, envVar }) =>
        envVar === undefined || key === undefined
          ? []
          : [{ name: envVar, valueFrom: { secretKeyRef: { name, key } } }],
      ),
    ],
    ...(shape.service && {
      ports: [{ containerPort: shape.service.port, protocol: 'TCP' }],
    }),
    resources: { requests: shape.requests, limits: shape.limits },
    // Images write into themselves; what they write stays in the container.
    securityContext: confined(false),
    volumeMounts: [
      { name: 'work', subPath: 'pfs', mountPath: pfs, readOnly: true },
      { name: 'work', subPath: 'out', mountPath: out },
      { name: 'tools', mountPath: tools, readOnly: true },
      { name: 'pipes', mountPath: pipes, readOnly: true },
      { name: 'home', mountPath: home },
      { name: 'tmp', mountPath: '/tmp' },
      { name: 'shm', mountPath: '/dev/shm' },
      ...folders.map(({ mount }) => mount),
    ],
  }
}

function agentContainer(shape: PoolShape, options: PodOptions): ContainerObject {
  const { agent } = options
  return {
    name: AGENT_CONTAINER,
    image: agent.image,
    imagePullPolicy: 'IfNotPresent',
    args: [...agent.args, '--pool', shape.name],
    env: [
      { name: 'HOME', value: '/tmp' },
      { name: 'VARVE_SERVER', value: options.apiUrl },
      { name: 'VARVE_WORKER_TOKEN_FILE', value: IN_AGENT.token },
      { name: 'VARVE_INPUT_CACHE_BYTES', value: String(keptBytes(shape, agent)) },
    ],
    resources: { requests: agent.requests, limits: agent.limits },
    securityContext: confined(true),
    volumeMounts: [
      { name: 'work', mountPath: IN_AGENT.work },
      { name: 'pipes', mountPath: IN_AGENT.pipes },
      { name: 'agent-tmp', mountPath: '/tmp' },
      { name: 'token', mountPath: '/token', readOnly: true },
    ],
  }
}

/** Whether an image's name may mean another image tomorrow. */
function moves(image: string): boolean {
  if (image.includes('@')) return false
  const tag = /:([^:/]+)$/.exec(image)?.[1]
  return tag === undefined || tag === 'latest'
}

function confined(readOnlyRootFilesystem: boolean): ContainerObject['securityContext'] {
  return {
    allowPrivilegeEscalation: false,
    privileged: false,
    readOnlyRootFilesystem,
    capabilities: { drop: ['ALL'] },
  }
}

/** A limit of the pipeline is of all on the disk, and means what it says: beside it nothing is kept. */
function keptBytes(shape: PoolShape, { cacheBytes = 0 }: AgentImage): number {
  return shape.limits[DISK] === undefined ? cacheBytes : 0
}

function sizeLimit(limit: string | undefined): { readonly sizeLimit?: string } {
  return limit === undefined ? {} : { sizeLimit: limit }
}

interface SecretFolder {
  readonly volume: VolumeObject
  readonly mount: VolumeMount
}

/** One volume a folder, of all Secrets with files in it. */
function secretFolders(secrets: readonly SecretUse[]): readonly SecretFolder[] {
  const folders = new Map<string, SecretFiles[]>()
  for (const { name, key, mountPath } of secrets) {
    if (mountPath === undefined) continue
    const items = key === undefined ? {} : { items: [{ key, path: key }] }
    folders.set(mountPath, [...(folders.get(mountPath) ?? []), { secret: { name, ...items } }])
  }
  return [...folders].map(([mountPath, sources], i) => ({
    volume: { name: `secret-${i}`, projected: { sources, defaultMode: SECRET_MODE } },
    mount: { name: `secret-${i}`, mountPath, readOnly: true },
  }))
}
