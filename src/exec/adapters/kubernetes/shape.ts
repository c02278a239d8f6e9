// What pipelines must have in common to share the pods of a pool. Everything that becomes part of a pod
// is here and nothing else: the command, its variables and its folder go with each datum.
// Invariants: equal shapes have equal names; shapes that differ in anything have different names (the
// digest is of all of it, the project too, so nobody gets into pods that hold another's secrets).

import type { PipelineSpec } from '../../../model/spec-pipeline.ts'
import type { TolerationSpec } from '../../../model/spec-placement.ts'
import { quantity } from '../../../model/spec-quantity.ts'
import type { ResourceSpec } from '../../../model/spec-resources.ts'
import type { SecretUse } from '../../../model/spec-secrets.ts'
import { userIds } from '../../../model/spec-transform.ts'
import { VarveError } from '../../../base/errors.ts'
import { poolName } from './names.ts'
import type { Caps, PodSize } from './scale.ts'

type Texts = Readonly<Record<string, string>>

export interface PoolShape {
  /** Also the pool's id. */
  readonly name: string
  readonly project: string
  readonly image: string
  /** Of the user's container, in the one way we write each amount. */
  readonly requests: Texts
  readonly limits: Texts
  readonly nodeSelector: Texts
  readonly tolerations: readonly TolerationSpec[]
  readonly priorityClassName: string | undefined
  readonly pullSecrets: readonly string[]
  readonly secrets: readonly SecretUse[]
  readonly uid: number
  readonly gid: number
  readonly labels: Texts
  readonly annotations: Texts
  /** Whose port its pods have open; a service shares its pods with nobody. */
  readonly service?: { readonly pipeline: string; readonly port: number }
}

/** What a worker asks for when its pipeline says nothing of it. */
export interface PodDefaults {
  readonly cpu: string
  readonly memory: string
  /** As whom code runs. */
  readonly uid: number
}

export const POD_DEFAULTS: PodDefaults = { cpu: '250m', memory: '256Mi', uid: 1000 }

export interface ShapeOptions {
  /** SHA-256 of a text, as 64 hex digits. */
  readonly digest: (text: string) => string
  readonly defaults?: PodDefaults
}

/**
 * The spec must have passed `refuseUnsupported` for pods.
 * @throws VarveError INVALID_SPEC when it has no image, or names a user only the image knows
 */
export function shapeOf(project: string, spec: PipelineSpec, options: ShapeOptions): PoolShape {
  const defaults = options.defaults ?? POD_DEFAULTS
  const { transform, schedulingSpec, metadata } = spec
  if (transform.image === undefined)
    throw new VarveError('INVALID_SPEC', `cannot make pods for "${spec.pipeline.name}": no image`)
  const shape = {
    project,
    image: transform.image,
    ...resourcesOf(spec.resourceRequests ?? {}, spec.resourceLimits ?? {}, defaults),
    nodeSelector: sorted(schedulingSpec?.nodeSelector),
    tolerations: byText(spec.tolerations ?? []),
    priorityClassName: schedulingSpec?.priorityClassName,
    // Tried in this order when the image is fetched.
    pullSecrets: transform.imagePullSecrets ?? [],
    secrets: byText(transform.secrets ?? []),
    ...idsOf(spec, defaults),
    labels: sorted(metadata?.labels),
    annotations: sorted(metadata?.annotations),
    // Absent where there is none: pools of others keep the names they had.
    ...(spec.service && {
      service: { pipeline: spec.pipeline.name, port: spec.service.internalPort },
    }),
  }
  return { name: poolName(project, options.digest(JSON.stringify(shape))), ...shape }
}

/** What a pod of the shape asks the cluster for, `agent` included. */
export function sizeOf(shape: Pick<PoolShape, 'requests' | 'limits'>, agent: Texts): PodSize {
  const sum = (name: string): number =>
    (quantity(shape.requests[name] ?? '') ?? 0) + (quantity(agent[name] ?? '') ?? 0)
  const gpus = Object.entries(shape.limits).find(([name]) => name.includes('/'))?.[1]
  return { cpu: sum('cpu'), memoryBytes: sum('memory'), gpus: Number(gpus ?? 0) }
}

/** The most a pipeline may hold at once, by its own words. */
export function capsOf({ parallelismSpec, budget }: PipelineSpec): Caps {
  const pods = Math.min(parallelismSpec?.constant ?? Infinity, budget?.pods ?? Infinity)
  const caps: { -readonly [K in keyof Caps]: Caps[K] } = {}
  if (Number.isFinite(pods)) caps.pods = pods
  if (budget?.cpu !== undefined) caps.cpu = quantity(budget.cpu) ?? 0
  if (budget?.memory !== undefined) caps.memoryBytes = quantity(budget.memory) ?? 0
  if (budget?.gpu !== undefined) caps.gpus = budget.gpu
  if (budget?.costPerHour !== undefined) caps.budgetPerHour = budget.costPerHour
  return caps
}

/** What the user's container asks for and may use. */
export function resourcesOf(
  asked: ResourceSpec,
  most: ResourceSpec,
  defaults: PodDefaults,
): { readonly requests: Texts; readonly limits: Texts } {
  const requests: Record<string, string> = {}
  const limits: Record<string, string> = {}
  const put = (to: Record<string, string>, name: string, amount: string | undefined): void => {
    if (amount === undefined) return
    const value = quantity(amount) ?? 0
    to[name] = name === 'cpu' ? cpuText(value) : bytesText(value)
  }
  put(requests, 'cpu', asked.cpu ?? most.cpu ?? defaults.cpu)
  put(requests, 'memory', asked.memory ?? most.memory ?? defaults.memory)
  put(requests, 'ephemeral-storage', asked.disk ?? most.disk)
  put(limits, 'cpu', most.cpu)
  put(limits, 'memory', most.memory)
  put(limits, 'ephemeral-storage', most.disk)
  // Kubernetes takes a GPU as a limit; the request follows from it.
  const gpu = most.gpu ?? asked.gpu
  if (gpu) limits[gpu.type] = String(gpu.number)
  return { requests, limits }
}

function idsOf(
  { transform: { user }, pipeline }: PipelineSpec,
  defaults: PodDefaults,
): { readonly uid: number; readonly gid: number } {
  if (user === undefined) return { uid: defaults.uid, gid: defaults.uid }
  const ids = user === 'root' ? { uid: 0, gid: undefined } : userIds(user)
  if (!ids)
    throw new VarveError(
      'INVALID_SPEC',
      `cannot make pods for "${pipeline.name}": only the image knows who "${user}" is`,
    )
  return { uid: ids.uid, gid: ids.gid ?? ids.uid }
}

function cpuText(cores: number): string {
  const milli = Math.ceil(Number((cores * 1000).toFixed(6)))
  return milli % 1000 === 0 ? String(milli / 1000) : `${milli}m`
}

function bytesText(bytes: number): string {
  const whole = Math.ceil(bytes)
  const units = [
    ['Gi', 2 ** 30],
    ['Mi', 2 ** 20],
    ['Ki', 2 ** 10],
  ] as const
  const unit = units.find(([, factor]) => whole % factor === 0)
  return unit ? `${whole / unit[1]}${unit[0]}` : String(whole)
}

function sorted(texts: Texts | undefined): Texts {
  const entries = Object.entries(texts ?? {})
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** In one order, each with its fields in one order. */
function byText<T extends object>(list: readonly T[]): readonly T[] {
  const keyed = list.map((each) => {
    const fields = Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1))
    return Object.fromEntries(fields) as T
  })
  return keyed
    .map((each) => [JSON.stringify(each), each] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, each]) => each)
}
