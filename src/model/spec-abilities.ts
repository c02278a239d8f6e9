// What a server can give to pipelines, and what of a spec it cannot. A document is the same everywhere;
// what would silently not happen here is refused when the pipeline is put, by name, with what to do.

import type { Plain } from './spec-fields.ts'
import { camelCase, isPlain, pointerTo, refuseSpec } from './spec-fields.ts'
import type { PipelineSpec } from './spec-pipeline.ts'
import { userIds } from './spec-transform.ts'
import { quantity } from './spec-quantity.ts'

export type Abilities = OwnMachine | Pods

/** Code runs as a process beside a worker, with the worker's rights. */
export interface OwnMachine {
  readonly runs: 'process'
  /** As whom, if that is known: the name and the number of the user. */
  readonly user: { readonly name: string; readonly uid: number } | undefined
}

/** Code runs in pods of a Kubernetes cluster. */
export interface Pods {
  readonly runs: 'pods'
  /** The operator lets code run as root: the namespace's pod security is "baseline". */
  readonly root: boolean
  /** Keys users may set as labels and annotations: `team`, `example.com/owner`, `example.com/*`. */
  readonly labelKeys: readonly string[]
  /** Kinds of services a pipeline may have: `ClusterIP`, `NodePort`, `LoadBalancer`. */
  readonly serviceTypes: readonly string[]
  /** Whether there is a price table, so that cost per hour means something. */
  readonly prices: boolean
}

/** What users may set unless the operator says otherwise: words by which costs are told apart. */
export const DEFAULT_LABEL_KEYS: readonly string[] = [
  'app',
  'component',
  'cost-center',
  'environment',
  'owner',
  'team',
]

export interface Unsupported {
  /** Names of the fields on the way, camelCase: `['transform', 'secrets']`. */
  readonly path: readonly string[]
  /** Why, and what to do instead. */
  readonly why: string
}

/** Everything in the spec that a server of these abilities cannot give; a pure function. */
export function unsupportedHere(spec: PipelineSpec, abilities: Abilities): readonly Unsupported[] {
  return abilities.runs === 'process' ? notOnMachine(spec, abilities) : notInPods(spec, abilities)
}

/**
 * @param document as it was written, so that the refusal points where the field stands
 * @throws VarveError INVALID_SPEC for the first of them
 */
export function refuseUnsupported(spec: PipelineSpec, abilities: Abilities, document: Plain): void {
  const [first] = unsupportedHere(spec, abilities)
  if (first)
    refuseSpec(
      pointerIn(document, pathIn(document, first.path)),
      `cannot use "${first.path.join('.')}": ${first.why}`,
    )
}

/** What is accepted here and has no effect, for the warnings of a plan. */
export function withoutEffectHere(spec: PipelineSpec, abilities: Abilities): readonly string[] {
  if (abilities.runs === 'pods') return []
  const idle = (
    ['resourceRequests', 'resourceLimits', 'schedulingSpec', 'tolerations', 'metadata'] as const
  ).filter((name) => spec[name] !== undefined)
  const pull = spec.transform.imagePullSecrets ? ['transform.imagePullSecrets'] : []
  return [...idle, ...pull].map(
    (name) => `"${name}" has no effect: code runs on this machine, not in pods`,
  )
}

const NEEDS_PODS = 'run it on a server with Kubernetes pools'

function notOnMachine(spec: PipelineSpec, { user }: OwnMachine): Unsupported[] {
  const found: Unsupported[] = []
  for (const field of ['spout', 'service'] as const)
    if (spec[field])
      found.push({
        path: [field],
        why: `code that does not end runs in pods only; ${NEEDS_PODS}`,
      })
  for (const field of ['resourceLimits', 'resourceRequests'] as const)
    if (spec[field]?.gpu)
      found.push({
        path: [field, 'gpu'],
        why: `code runs on this machine and is given no GPU of its own; leave it out, or ${NEEDS_PODS}`,
      })
  if (spec.transform.secrets)
    found.push({
      path: ['transform', 'secrets'],
      why: `this server keeps no secrets; give the code a file it can read on this machine, or ${NEEDS_PODS}`,
    })
  const wanted = spec.transform.user
  if (wanted !== undefined && !isUser(wanted, user))
    found.push({
      path: ['transform', 'user'],
      why: `code runs as the user of the server${user ? `, "${user.name}" (${user.uid})` : ''}, not as "${wanted}"; leave it out, or ${NEEDS_PODS}`,
    })
  if (spec.budget)
    found.push({
      path: ['budget'],
      why: `nothing here is counted by the hour; limit it by "parallelismSpec", or ${NEEDS_PODS}`,
    })
  return found
}

function isUser(wanted: string, user: OwnMachine['user']): boolean {
  if (!user) return false
  const ids = userIds(wanted)
  // Of a group we know nothing: only the bare number is certainly us.
  return ids ? ids.uid === user.uid && ids.gid === undefined : wanted === user.name
}

function notInPods(spec: PipelineSpec, pods: Pods): Unsupported[] {
  const found: Unsupported[] = []
  const { image, user, code } = spec.transform
  if (image === undefined)
    found.push({
      path: ['transform', 'image'],
      why: 'it is missing: in a pod the image is what the code runs in',
    })
  if (code !== undefined && code.length > 0)
    found.push({
      path: ['transform', 'code'],
      why: 'the image is the code here; build the files into it, or read them from an input',
    })
  if (user !== undefined) {
    const ids = userIds(user)
    if (!ids && user !== 'root')
      found.push({
        path: ['transform', 'user'],
        why: `only the image knows who "${user}" is; give the number`,
      })
    else if ((ids?.uid ?? 0) === 0 && !pods.root)
      found.push({
        path: ['transform', 'user'],
        why: 'code may not be root here; give another number, or ask the operator to allow "baseline" pods',
      })
    else if (ids?.gid === 0 && !pods.root)
      found.push({ path: ['transform', 'user'], why: "code may not be in root's group here" })
  }
  const listed = pods.labelKeys.join(', ') || 'none'
  for (const [path, map] of keysOf(spec))
    for (const key of Object.keys(map ?? {}))
      if (!pods.labelKeys.some((allowed) => allows(allowed, key)))
        found.push({
          path: [...path, key],
          why: `the operator does not list it; leave it out, or ask for it (listed: ${listed})`,
        })
  const type = spec.service?.type
  if (type !== undefined && !pods.serviceTypes.includes(type))
    found.push({
      path: ['service', 'type'],
      why: `the operator does not allow "${type}" (allowed: ${pods.serviceTypes.join(', ') || 'none'})`,
    })
  return [...found, ...pastBudget(spec, pods)]
}

type Keys = Readonly<Record<string, string>> | undefined

function keysOf({
  metadata,
  service,
}: PipelineSpec): readonly (readonly [readonly string[], Keys])[] {
  return [
    [['metadata', 'labels'], metadata?.labels],
    [['metadata', 'annotations'], metadata?.annotations],
    [['service', 'annotations'], service?.annotations],
  ]
}

/** A budget that not even one worker fits into would wait for ever. */
function pastBudget({ budget, ...spec }: PipelineSpec, pods: Pods): Unsupported[] {
  if (!budget) return []
  const found: Unsupported[] = []
  if (budget.costPerHour !== undefined && !pods.prices)
    found.push({
      path: ['budget', 'costPerHour'],
      why: 'there is no price table; limit it by pods, cpu, memory or gpu, or ask the operator for prices',
    })
  const one = { ...spec.resourceLimits, ...spec.resourceRequests }
  for (const name of ['cpu', 'memory'] as const)
    if ((quantity(one[name] ?? '') ?? 0) > (quantity(budget[name] ?? '') ?? Infinity))
      found.push({
        path: ['budget', name],
        why: `one worker alone asks for ${one[name]}, more than ${budget[name]}`,
      })
  if ((one.gpu?.number ?? 0) > (budget.gpu ?? Infinity))
    found.push({
      path: ['budget', 'gpu'],
      why: `one worker alone asks for ${one.gpu?.number}, more than ${budget.gpu}`,
    })
  return found
}

function allows(allowed: string, key: string): boolean {
  return allowed.endsWith('/*') ? key.startsWith(allowed.slice(0, -1)) : allowed === key
}

/** What a spout serves may be written inside of it. */
function pathIn(document: Plain, path: readonly string[]): readonly string[] {
  return path[0] === 'service' && !('service' in document) ? ['spout', ...path] : path
}

/** The pointer of a field in a document whose keys may be written either way. */
function pointerIn(document: Plain, path: readonly string[]): string {
  let pointer = ''
  let value: unknown = document
  for (const name of path) {
    const keys = isPlain(value) ? Object.keys(value) : []
    const key = keys.find((each) => each === name) ?? keys.find((each) => camelCase(each) === name)
    if (key === undefined) break
    pointer = pointerTo(pointer, key)
    value = (value as Plain)[key]
  }
  return pointer
}
