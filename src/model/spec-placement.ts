// Where the workers of a pipeline may run, and what their pods are labelled with.

import type { Fields } from './spec-fields.ts'
import { compact, pointerTo, refuseSpec } from './spec-fields.ts'
import { brief, isDnsSubdomain, isLabelKey, isLabelValue, reservedPrefix } from './spec-word.ts'

export interface TolerationSpec {
  readonly key: string
  readonly operator: 'Exists' | 'Equal'
  readonly value?: string
  /** Absent: all effects. */
  readonly effect?: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute'
  readonly tolerationSeconds?: number
}

export interface SchedulingSpec {
  readonly nodeSelector?: Readonly<Record<string, string>>
  readonly priorityClassName?: string
}

/** Of the pods. Which keys may be used is the operator's to say. */
export interface MetadataSpec {
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

const MAX_ENTRIES = 32
const MAX_TOLERATIONS = 16
const MAX_ANNOTATION_CHARS = 4096

/** Text to text with keys of labels, none of them the cluster's own or ours. */
function parseMap(
  fields: Fields,
  field: string,
  options: {
    /** The owner of a key that is not for users, if it is none. */
    readonly keptFor?: (key: string) => string | undefined
    readonly value: (value: string) => string | undefined
  },
): Readonly<Record<string, string>> | undefined {
  const given = fields.map(field)
  if (given === undefined) return undefined
  const entries = Object.entries(given)
  if (entries.length > MAX_ENTRIES)
    fields.refuse(field, `at most ${MAX_ENTRIES} of them, found ${entries.length}`)
  for (const [key, value] of entries) {
    const pointer = pointerTo(fields.at(field), key)
    if (!isLabelKey(key))
      refuseSpec(
        pointer,
        `cannot use ${brief(key)} in "${field}": letters, digits, "-", "_" and "." only, at most 63, with a domain and "/" before it or not`,
      )
    const owner = options.keptFor?.(key)
    if (owner !== undefined)
      refuseSpec(pointer, `cannot use "${key}" in "${field}": names under "${owner}" are kept`)
    const trouble = options.value(value)
    if (trouble !== undefined)
      refuseSpec(pointer, `cannot use ${brief(value)} for "${key}" in "${field}": ${trouble}`)
  }
  return entries.length === 0 ? undefined : given
}

function labelValueTrouble(value: string): string | undefined {
  return isLabelValue(value)
    ? undefined
    : 'a value has letters, digits, "-", "_" and "." only, at most 63, no sign first or last'
}

function annotationTrouble(value: string): string | undefined {
  if (value.length > MAX_ANNOTATION_CHARS) return `it is over ${MAX_ANNOTATION_CHARS} characters`
  if (value.includes('\0') || !value.isWellFormed()) return 'it is not plain text'
  return undefined
}

/** @throws VarveError INVALID_SPEC */
export function parseMetadata(fields: Fields): MetadataSpec | undefined {
  const metadata = compact<MetadataSpec>({
    labels: parseMap(fields, 'labels', { keptFor: reservedPrefix, value: labelValueTrouble }),
    annotations: parseMap(fields, 'annotations', {
      keptFor: reservedPrefix,
      value: annotationTrouble,
    }),
  })
  fields.end()
  return Object.keys(metadata).length === 0 ? undefined : metadata
}

/**
 * Makers of load balancers are told what to make by keys of the cluster, so those are the operator's to
 * list; only ours are kept. @throws VarveError INVALID_SPEC
 */
export function parseServiceAnnotations(
  fields: Fields,
): Readonly<Record<string, string>> | undefined {
  const keptFor = (key: string): string | undefined => {
    const owner = reservedPrefix(key)
    return owner === 'varve.dev' ? owner : undefined
  }
  return parseMap(fields, 'annotations', { keptFor, value: annotationTrouble })
}

/** @throws VarveError INVALID_SPEC */
export function parseScheduling(fields: Fields): SchedulingSpec | undefined {
  // Nodes carry the cluster's own labels (zone, machine type): choosing by them is what they are for.
  const nodeSelector = parseMap(fields, 'nodeSelector', { value: labelValueTrouble })
  const role = Object.keys(nodeSelector ?? {}).find((key) =>
    key.startsWith('node-role.kubernetes.io/'),
  )
  if (role !== undefined)
    refuseSpec(
      pointerTo(fields.at('nodeSelector'), role),
      `cannot use "${role}" in "nodeSelector": nodes with a role of the cluster run no pipelines`,
    )
  const priorityClassName = fields.string('priorityClassName') || undefined
  if (priorityClassName !== undefined) {
    if (!isDnsSubdomain(priorityClassName))
      fields.refuse('priorityClassName', `${brief(priorityClassName)} is no name of one`)
    if (priorityClassName.startsWith('system-'))
      fields.refuse('priorityClassName', 'classes under "system-" are kept for the cluster')
  }
  fields.end({ tolerations: 'write "tolerations" beside "schedulingSpec"' })
  const scheduling = compact<SchedulingSpec>({ nodeSelector, priorityClassName })
  return Object.keys(scheduling).length === 0 ? undefined : scheduling
}

// As Kubernetes and as Pachyderm write them.
const OPERATORS = { Exists: 'Exists', EXISTS: 'Exists', Equal: 'Equal', EQUAL: 'Equal' } as const
const EFFECTS = {
  NoSchedule: 'NoSchedule',
  NO_SCHEDULE: 'NoSchedule',
  PreferNoSchedule: 'PreferNoSchedule',
  PREFER_NO_SCHEDULE: 'PreferNoSchedule',
  NoExecute: 'NoExecute',
  NO_EXECUTE: 'NoExecute',
  ALL_EFFECTS: undefined,
  '': undefined,
} as const

function parseToleration(fields: Fields): TolerationSpec {
  const key = fields.string('key') ?? ''
  if (key === '')
    fields.refuse('key', 'it is missing: name the taint; tolerating every taint is not allowed')
  if (!isLabelKey(key)) fields.refuse('key', `${brief(key)} is not the key of a taint`)
  if (reservedPrefix(key) !== undefined)
    fields.refuse('key', `the taint "${key}" is the cluster's own: it keeps pods away for a reason`)
  const operator = fields.oneOf('operator', Object.keys(OPERATORS) as (keyof typeof OPERATORS)[])
  if (operator === undefined) fields.missing('operator', '"Exists" or "Equal"')
  const value = fields.string('value') || undefined
  if (value !== undefined && OPERATORS[operator] === 'Exists')
    fields.refuse('value', 'with the operator "Exists" there is none')
  if (value !== undefined && !isLabelValue(value))
    fields.refuse('value', `${brief(value)} is not the value of a taint`)
  const effect = fields.oneOf('effect', Object.keys(EFFECTS) as (keyof typeof EFFECTS)[])
  const tolerationSeconds = fields.int('tolerationSeconds', 0)
  const parsed = compact<TolerationSpec>({
    key,
    operator: OPERATORS[operator],
    value,
    effect: effect === undefined ? undefined : EFFECTS[effect],
    tolerationSeconds,
  })
  if (tolerationSeconds !== undefined && parsed.effect !== 'NoExecute')
    fields.refuse('tolerationSeconds', 'it needs the effect "NoExecute"')
  fields.end()
  return parsed
}

/** @throws VarveError INVALID_SPEC */
export function parseTolerations(fields: Fields): readonly TolerationSpec[] | undefined {
  const list = fields.objects('tolerations', 'a toleration', MAX_TOLERATIONS)
  return list === undefined || list.length === 0 ? undefined : list.map(parseToleration)
}
