// What one worker of a pipeline asks for and may use at most, and what the whole pipeline may cost.

import { CPU, BYTES, parseQuantity, quantity } from './spec-quantity.ts'
import type { Fields } from './spec-fields.ts'
import { compact } from './spec-fields.ts'
import { brief, isLabelKey, reservedPrefix } from './spec-word.ts'

export interface GpuSpec {
  /** The resource's name, as `nvidia.com/gpu`. */
  readonly type: string
  readonly number: number
}

/** Of one worker. */
export interface ResourceSpec {
  /** Processors: `500m`, `2`. */
  readonly cpu?: string
  /** Bytes: `256Mi`. */
  readonly memory?: string
  /** Bytes on the node's disk: `10Gi`. */
  readonly disk?: string
  readonly gpu?: GpuSpec
}

/** The most that all workers of a pipeline together may take; what would pass it waits and says so. */
export interface BudgetSpec {
  readonly pods?: number
  readonly cpu?: string
  readonly memory?: string
  readonly gpu?: number
  /** In the currency of the operator's price table. */
  readonly costPerHour?: number
}

const MAX_GPUS = 64
const MAX_PODS = 10_000
const MAX_COST = 1e9

function parseGpu(fields: Fields): GpuSpec | undefined {
  const type = fields.requiredString('type')
  if (!isLabelKey(type) || !type.includes('/') || type.startsWith('requests.'))
    fields.refuse('type', `expected a resource such as "nvidia.com/gpu", found ${brief(type)}`)
  const owner = reservedPrefix(type)
  if (owner !== undefined)
    fields.refuse('type', `names under "${owner}" are no GPUs; write one such as "nvidia.com/gpu"`)
  const number = fields.int('number', 0)
  if (number === undefined) fields.missing('number', 'say how many')
  if (number > MAX_GPUS) fields.refuse('number', `at most ${MAX_GPUS} a worker, found ${number}`)
  fields.end()
  return number === 0 ? undefined : { type, number }
}

function parseResources(fields: Fields): ResourceSpec | undefined {
  const gpu = fields.object('gpu', 'the GPU')
  const parsed = compact<ResourceSpec>({
    cpu: parseQuantity(fields, 'cpu', CPU),
    memory: parseQuantity(fields, 'memory', BYTES),
    disk: parseQuantity(fields, 'disk', BYTES),
    gpu: gpu && parseGpu(gpu),
  })
  fields.end()
  return Object.keys(parsed).length === 0 ? undefined : parsed
}

export interface ResourcePair {
  readonly resourceRequests: ResourceSpec | undefined
  readonly resourceLimits: ResourceSpec | undefined
}

/** @throws VarveError INVALID_SPEC, also when more is asked for than may be used */
export function parseResourcePair(fields: Fields): ResourcePair {
  const requests = fields.object('resourceRequests', 'the resource requests')
  const limits = fields.object('resourceLimits', 'the resource limits')
  const asked = requests && parseResources(requests)
  const most = limits && parseResources(limits)
  for (const name of ['cpu', 'memory', 'disk'] as const) {
    const [low, high] = [asked?.[name], most?.[name]]
    if (low === undefined || high === undefined) continue
    if ((quantity(low) ?? 0) > (quantity(high) ?? 0))
      requests?.refuse(name, `${low} is more than the limit of ${high}`)
  }
  // A cluster gives a GPU whole or not at all.
  const [low, high] = [asked?.gpu, most?.gpu]
  if (low && high && (low.type !== high.type || low.number !== high.number))
    requests?.refuse('gpu', 'it differs from the limit; give it once, in "resourceLimits"')
  return { resourceRequests: asked, resourceLimits: most }
}

/** @throws VarveError INVALID_SPEC */
export function parseBudget(fields: Fields): BudgetSpec | undefined {
  const count = (name: string, most: number): number | undefined => {
    const n = fields.int(name, 1)
    if (n !== undefined && n > most) fields.refuse(name, `at most ${most}, found ${n}`)
    return n
  }
  const cost = fields.raw('costPerHour')
  if (cost !== undefined && !(typeof cost === 'number' && cost > 0 && cost <= MAX_COST))
    fields.refuse('costPerHour', `expected a number above 0, found ${brief(JSON.stringify(cost))}`)
  const budget = compact<BudgetSpec>({
    pods: count('pods', MAX_PODS),
    cpu: parseQuantity(fields, 'cpu', { ...CPU, most: CPU.most * MAX_PODS }),
    memory: parseQuantity(fields, 'memory', { ...BYTES, most: BYTES.most * MAX_PODS }),
    gpu: count('gpu', MAX_PODS * MAX_GPUS),
    costPerHour: cost as number | undefined,
  })
  fields.end()
  return Object.keys(budget).length === 0 ? undefined : budget
}
