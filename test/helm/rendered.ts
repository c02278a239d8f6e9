// What the chart gives: `helm template`, read back as objects.

import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { CHART, helm } from '../services/helm.ts'

export type Labels = Readonly<Record<string, string>>

export interface Variable {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: {
    readonly secretKeyRef?: { readonly name: string; readonly key: string }
    readonly fieldRef?: { readonly fieldPath: string }
  }
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
  readonly periodSeconds: number
  readonly failureThreshold: number
}

export interface Container {
  readonly name: string
  readonly image: string
  readonly command?: readonly string[]
  readonly args: readonly string[]
  readonly workingDir?: string
  readonly env: readonly Variable[]
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[]
  readonly startupProbe?: Probe
  readonly livenessProbe?: Probe
  readonly readinessProbe?: Probe
  readonly resources: { readonly requests: Labels; readonly limits: Labels }
  readonly securityContext: unknown
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
}

interface PodSpec {
  readonly serviceAccountName: string
  readonly automountServiceAccountToken: boolean
  readonly enableServiceLinks: boolean
  readonly terminationGracePeriodSeconds?: number
  readonly securityContext: unknown
  readonly containers: readonly Container[]
  readonly volumes: readonly {
    readonly name: string
    readonly secret?: { readonly secretName: string }
    readonly emptyDir?: object
    readonly configMap?: { readonly name: string }
  }[]
}

interface Metadata {
  readonly name: string
  readonly namespace?: string
  readonly labels: Labels
  readonly annotations?: Labels
}

export interface Rendered {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Metadata
  readonly spec: Readonly<Record<string, unknown>>
  readonly [field: string]: unknown
}

export interface RenderedPod {
  readonly of: string
  readonly labels: Labels
  readonly spec: PodSpec
}

export const profile = (name: string): string => join(CHART, 'ci', `${name}-values.yaml`)

/** @throws Error with what Helm says */
export async function render(name: string, ...sets: readonly string[]): Promise<Rendered[]> {
  const { ok, stdout, stderr } = await template(name, ...sets)
  if (!ok) throw new Error(stderr)
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as Rendered | null)
    .filter((object) => object !== null)
}

export function template(name: string, ...sets: readonly string[]): ReturnType<typeof helm> {
  const given = sets.flatMap((set) => ['--set', set])
  return helm(['template', 'varve', CHART, '-n', 'streams', '-f', profile(name), ...given])
}

/** Every pod that the objects would make. */
export function podsOf(objects: readonly Rendered[]): RenderedPod[] {
  return objects.flatMap(({ kind, metadata, spec }) => {
    const of = `${kind} ${metadata.name}`
    if (kind === 'Pod') return [{ of, labels: metadata.labels, spec: spec as unknown as PodSpec }]
    if (kind !== 'Deployment' && kind !== 'Job') return []
    const { template: pod } = spec as unknown as {
      template: { metadata: Metadata; spec: PodSpec }
    }
    return [{ of, labels: pod.metadata.labels, spec: pod.spec }]
  })
}

export function named(objects: readonly Rendered[], kind: string, name: string): Rendered {
  const found = objects.filter((one) => one.kind === kind && one.metadata.name === name)
  if (found.length !== 1 || !found[0])
    throw new Error(
      `there are ${found.length} ${kind} ${name} among ${objects.map((one) => `${one.kind} ${one.metadata.name}`).join(', ')}`,
    )
  return found[0]
}
