// How the operator wants pools kept, and what is meant where nothing is said.

import { quantity } from '../../../model/spec-quantity.ts'
import type { ServiceSpec } from '../../../model/spec-standing.ts'
import type { Door, Peer } from './network-policy.ts'
import type { AgentImage } from './pod.ts'
import type { Caps, PriceTable, ScaleLimits } from './scale.ts'
import { POD_DEFAULTS } from './shape.ts'
import type { PodDefaults } from './shape.ts'

type Texts = Readonly<Record<string, string>>

export interface CapSettings {
  readonly pods?: number
  readonly cpu?: string
  readonly memory?: string
  readonly gpu?: number
  readonly costPerHour?: number
}

export interface PoolSettings {
  readonly namespace: string
  readonly labels?: Texts
  readonly owner?: string
  readonly image: string
  readonly pullSecrets?: readonly string[]
  readonly api: { readonly url: string; readonly to: Peer; readonly port: number }
  readonly allow?: readonly Door[]
  readonly dns?: Peer
  readonly caps?: {
    readonly cluster?: CapSettings
    readonly projects?: Readonly<Record<string, CapSettings>>
  }
  readonly prices?: PriceTable
  readonly coolDownSeconds?: number
  readonly runtimeClass?: string
  readonly graceSeconds?: number
  readonly defaults?: Partial<PodDefaults>
  readonly agent?: { readonly requests?: Texts; readonly limits?: Texts }
  readonly inputCache?: string
  readonly services?: { readonly types: readonly ServiceSpec['type'][] }
}

const LABELS: Texts = { 'app.kubernetes.io/managed-by': 'varve' }
const COOL_DOWN_SECONDS = 60
const GRACE_SECONDS = 30
const AGENT_REQUESTS: Texts = { cpu: '50m', memory: '96Mi' }
const AGENT_LIMITS: Texts = { memory: '512Mi' }
const INPUT_CACHE = '1Gi'
const SERVICE_TYPES: readonly ServiceSpec['type'][] = ['ClusterIP']
const NO_PRICES: PriceTable = { cpuHour: 0, memoryGiBHour: 0, gpuHour: 0 }

/** On all that is made, and how it is found again. */
export function labelsOf(settings: PoolSettings): Texts {
  return settings.labels ?? LABELS
}

export function agentOf({ image, agent, inputCache = INPUT_CACHE }: PoolSettings): AgentImage {
  return {
    image,
    shell: '/bin/busybox',
    runner: '/app/src/exec/adapters/kubernetes/runner.sh',
    args: ['work', '--in-pod', '--workers', '1'],
    requests: agent?.requests ?? AGENT_REQUESTS,
    limits: agent?.limits ?? AGENT_LIMITS,
    cacheBytes: Math.floor(quantity(inputCache) ?? 0),
  }
}

export function graceSecondsOf(settings: PoolSettings): number {
  return settings.graceSeconds ?? GRACE_SECONDS
}

export function podDefaultsOf(settings: PoolSettings): PodDefaults {
  return { ...POD_DEFAULTS, ...settings.defaults }
}

/** Kinds of Kubernetes Services that pipelines may have. */
export function serviceTypesOf(settings: PoolSettings): readonly ServiceSpec['type'][] {
  return settings.services?.types ?? SERVICE_TYPES
}

export function limitsOf(settings: PoolSettings): ScaleLimits {
  const { cluster, projects } = settings.caps ?? {}
  return {
    cluster: capsFrom(cluster ?? {}),
    projects: Object.fromEntries(
      Object.entries(projects ?? {}).map(([project, caps]) => [project, capsFrom(caps)]),
    ),
    prices: settings.prices ?? NO_PRICES,
    coolDownMs: (settings.coolDownSeconds ?? COOL_DOWN_SECONDS) * 1000,
  }
}

function capsFrom({ pods, cpu, memory, gpu, costPerHour }: CapSettings): Caps {
  return {
    ...(pods !== undefined && { pods }),
    ...(cpu !== undefined && { cpu: quantity(cpu) ?? 0 }),
    ...(memory !== undefined && { memoryBytes: quantity(memory) ?? 0 }),
    ...(gpu !== undefined && { gpus: gpu }),
    ...(costPerHour !== undefined && { budgetPerHour: costPerHour }),
  }
}
