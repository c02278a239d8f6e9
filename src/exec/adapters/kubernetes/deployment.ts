// The Deployment of a pool, as it is sent to the cluster. How many pods it has is set elsewhere.

import { assert } from '../../../base/assert.ts'
import { isDnsLabel } from '../../../model/spec-word.ts'
import { DIGEST_ANNOTATION, POOL_LABEL, PROJECT_LABEL, labelValue } from './names.ts'
import type { OwnerReference } from './objects.ts'
import { podOf } from './pod.ts'
import type { PodObject, PodOptions } from './pod.ts'
import type { PoolShape } from './shape.ts'

type Texts = Readonly<Record<string, string>>

export interface DeploymentOptions extends PodOptions {
  readonly namespace: string
  readonly replicas: number
  /** Of this installation: on all it makes, and over what users say. */
  readonly labels: Texts
  /** What is gone takes the Deployment with it. */
  readonly owner?: OwnerReference
  /** SHA-256 of a text, as 64 hex digits. */
  readonly digest: (text: string) => string
}

export interface DeploymentObject {
  readonly apiVersion: 'apps/v1'
  readonly kind: 'Deployment'
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly labels: Texts
    readonly annotations: Texts
    readonly ownerReferences?: readonly OwnerReference[]
  }
  readonly spec: {
    readonly replicas: number
    readonly revisionHistoryLimit: number
    readonly strategy: object
    readonly selector: { readonly matchLabels: Texts }
    readonly template: {
      readonly metadata: { readonly labels: Texts; readonly annotations: Texts }
      readonly spec: PodObject
    }
  }
}

/** A pure function; equal but for `replicas` when all but `replicas` is equal. */
export function deploymentOf(shape: PoolShape, options: DeploymentOptions): DeploymentObject {
  assert(isDnsLabel(options.namespace), 'a namespace is a DNS label')
  const labels = {
    ...shape.labels,
    ...options.labels,
    [PROJECT_LABEL]: labelValue(shape.project),
    [POOL_LABEL]: shape.name,
  }
  const annotations = { ...shape.annotations, [PROJECT_LABEL]: shape.project }
  const template = { metadata: { labels, annotations }, spec: podOf(shape, options) }
  const ownerReferences = options.owner === undefined ? {} : { ownerReferences: [options.owner] }
  const digest = options.digest(JSON.stringify([template, ownerReferences]))
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: shape.name,
      namespace: options.namespace,
      labels,
      annotations: { ...annotations, [DIGEST_ANNOTATION]: digest },
      ...ownerReferences,
    },
    spec: {
      replicas: options.replicas,
      // Nobody rolls a pool back: an older shape is another pool.
      revisionHistoryLimit: 0,
      // Never more pods than there were: a cap is not passed.
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } },
      selector: { matchLabels: { [POOL_LABEL]: shape.name } },
      template,
    },
  }
}
