// The Kubernetes Service of a pipeline that serves a port, and the NetworkPolicy that opens this port of its
// pods. Pure. Clusters write into a Service (addresses, ports of nodes, annotations of load balancers), so
// only what is decided here is compared and changed.

import { isDeepStrictEqual } from 'node:util'
import type { ServiceSpec } from '../../../model/spec-standing.ts'
import { POOL_LABEL, PROJECT_LABEL, SERVICE_LABEL, labelValue } from './names.ts'
import type { Metadata, NetworkPolicy, OwnerReference, Service } from './objects.ts'

type Texts = Readonly<Record<string, string>>

export interface WantedService {
  /** The same for as long as the pipeline is there, whatever becomes of its spec. */
  readonly name: string
  readonly project: string
  readonly pipeline: string
  /** The one whose pods it leads to. */
  readonly pool: string
  readonly spec: ServiceSpec
}

export interface ServiceOptions {
  readonly namespace: string
  /** Of this installation. */
  readonly labels: Texts
  readonly owner: OwnerReference | undefined
}

const PIPELINE_ANNOTATION = 'varve.dev/pipeline'
/** Keys of the annotations that the pipeline gave: those it no longer gives are taken away. */
const KEYS_ANNOTATION = 'varve.dev/annotations'

export function serviceOf(wanted: WantedService, options: ServiceOptions) {
  const { project, pipeline, pool, spec } = wanted
  const given = spec.annotations ?? {}
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      ...metadataOf(wanted, options),
      annotations: {
        ...given,
        [PROJECT_LABEL]: project,
        [PIPELINE_ANNOTATION]: pipeline,
        [KEYS_ANNOTATION]: Object.keys(given).toSorted().join(' '),
      },
    },
    spec: {
      type: spec.type,
      selector: { [POOL_LABEL]: pool, ...options.labels },
      ports: [{ protocol: 'TCP', port: spec.externalPort, targetPort: spec.internalPort }],
    },
  } as const satisfies Service
}

export function policyOf(wanted: WantedService, options: ServiceOptions) {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadataOf(wanted, options),
    spec: {
      podSelector: { matchLabels: { [POOL_LABEL]: wanted.pool, ...options.labels } },
      policyTypes: ['Ingress'],
      // From everywhere: who may reach a service is decided where it is called from.
      ingress: [{ ports: [{ protocol: 'TCP', port: wanted.spec.internalPort }] }],
    },
  } as const satisfies NetworkPolicy
}

/** The merge patch that makes a Service as decided, or undefined when it is so. */
export function serviceChange(listed: Service, wanted: ReturnType<typeof serviceOf>) {
  const { uid = '', annotations = {} } = listed.metadata
  const { type, selector = {}, ports } = listed.spec ?? {}
  const same =
    type === wanted.spec.type &&
    isDeepStrictEqual(selector, wanted.spec.selector) &&
    isDeepStrictEqual(
      ports?.map(({ protocol, port, targetPort }) => ({ protocol, port, targetPort })),
      wanted.spec.ports,
    ) &&
    annotations[KEYS_ANNOTATION] === wanted.metadata.annotations[KEYS_ANNOTATION] &&
    holds(annotations, wanted.metadata.annotations) &&
    isMarked(listed.metadata, wanted.metadata)
  if (same) return undefined
  const before = (annotations[KEYS_ANNOTATION] ?? '').split(' ').filter((key) => key !== '')
  const { name: _, namespace: __, ownerReferences = null, ...metadata } = wanted.metadata
  return {
    metadata: {
      ...metadata,
      uid,
      ownerReferences,
      annotations: { ...nothing(before), ...wanted.metadata.annotations },
    },
    spec: {
      ...wanted.spec,
      selector: { ...nothing(Object.keys(selector)), ...wanted.spec.selector },
    },
  }
}

/** Whether the policy is as decided; the API server leaves out what is empty. */
export function isPolicyRight(
  { metadata, spec }: NetworkPolicy,
  wanted: ReturnType<typeof policyOf>,
): boolean {
  const { podSelector, policyTypes, ingress, egress = [] } = spec ?? {}
  return (
    isDeepStrictEqual({ podSelector, policyTypes, ingress }, wanted.spec) &&
    egress.length === 0 &&
    isMarked(metadata, wanted.metadata)
  )
}

/** Whether an object of that name is this installation's. */
export function isOurs({ name, labels }: Metadata, installation: Texts): boolean {
  return labels?.[SERVICE_LABEL] === name && holds(labels, installation)
}

function metadataOf(wanted: WantedService, { namespace, labels, owner }: ServiceOptions) {
  return {
    name: wanted.name,
    namespace,
    labels: {
      ...labels,
      [PROJECT_LABEL]: labelValue(wanted.project),
      [POOL_LABEL]: wanted.pool,
      [SERVICE_LABEL]: wanted.name,
    },
    ...(owner !== undefined && { ownerReferences: [owner] }),
  }
}

function isMarked(listed: Metadata, wanted: ReturnType<typeof metadataOf>): boolean {
  return (
    holds(listed.labels ?? {}, wanted.labels) &&
    listed.ownerReferences?.[0]?.uid === wanted.ownerReferences?.[0]?.uid
  )
}

function holds(all: Texts, some: Texts): boolean {
  return Object.entries(some).every(([key, value]) => all[key] === value)
}

/** In a merge patch null takes away. */
function nothing(keys: readonly string[]): Readonly<Record<string, null>> {
  return Object.fromEntries(keys.map((key) => [key, null]))
}
