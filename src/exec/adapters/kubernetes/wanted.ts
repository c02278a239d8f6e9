// The pools that a demand asks for: pipelines of one shape share one. Pure.

import type { PipelineSpec } from '../../../model/spec-pipeline.ts'
import type { PoolStatus } from '../../../model/pool-status.ts'
import type { PipelineDemand } from '../../pools.ts'
import { deploymentOf } from './deployment.ts'
import type { Hindrance } from './hindrance.ts'
import { poolName, serviceName } from './names.ts'
import type { Deployment, OwnerReference } from './objects.ts'
import type { WantedPool } from './orders.ts'
import type { PipelineWork } from './scale.ts'
import type { WantedService } from './service-objects.ts'
import { agentOf, graceSecondsOf, labelsOf, podDefaultsOf } from './settings.ts'
import type { PoolSettings } from './settings.ts'
import { capsOf, shapeOf, sizeOf } from './shape.ts'
import type { PoolShape } from './shape.ts'

export interface Wanted {
  readonly pools: readonly WantedPool[]
  readonly services: readonly WantedService[]
  /** Of pipelines no pod can be made for. */
  readonly unmade: readonly PoolStatus[]
}

export interface WantedOptions {
  readonly settings: PoolSettings
  readonly owner: OwnerReference | undefined
  readonly digest: (text: string) => string
}

/**
 * A pipeline may be named more than once, by each of its jobs: its caps hold for all of them together, and
 * its service is the one of the pipeline as it stands.
 */
export function wantedOf(pipelines: readonly PipelineDemand[], options: WantedOptions): Wanted {
  const pools = new Map<string, { pool: WantedPool; work: Map<string, PipelineWork> }>()
  const unmade = new Map<string, PoolStatus>()
  const services = new Map<string, WantedService | undefined>()
  for (const one of pipelines) {
    const { project, spec, queued, running } = one
    const { name } = spec.pipeline
    try {
      const shape = shapeOf(project, spec, {
        digest: options.digest,
        defaults: podDefaultsOf(options.settings),
      })
      const { pool, work } = pools.get(shape.name) ?? {
        pool: poolFor(shape, options),
        work: new Map<string, PipelineWork>(),
      }
      const more = work.get(name) ?? { queued: 0, running: 0 }
      work.set(name, {
        pipeline: name,
        queued: more.queued + queued,
        running: more.running + running,
        caps: capsOf(spec),
      })
      pools.set(shape.name, { pool, work })
      const key = JSON.stringify([project, name])
      if (!services.has(key)) services.set(key, serviceFor(shape, spec, options))
    } catch (error) {
      const status = unmadeStatus(one, error, options)
      if ((unmade.get(status.pool)?.wanted ?? 0) <= status.wanted) unmade.set(status.pool, status)
    }
  }
  return {
    pools: [...pools.values()].map(({ pool, work }) => ({ ...pool, work: [...work.values()] })),
    services: [...services.values()].filter((one) => one !== undefined),
    unmade: [...unmade.values()],
  }
}

function poolFor(shape: PoolShape, { settings, owner, digest }: WantedOptions): WantedPool {
  const agent = agentOf(settings)
  const deployment = deploymentOf(shape, {
    namespace: settings.namespace,
    replicas: 0,
    labels: labelsOf(settings),
    ...(owner !== undefined && { owner }),
    digest,
    agent,
    apiUrl: settings.api.url,
    tokenSecret: shape.name,
    graceSeconds: graceSecondsOf(settings),
    pullSecrets: settings.pullSecrets ?? [],
    ...(settings.runtimeClass !== undefined && { runtimeClass: settings.runtimeClass }),
  })
  return {
    id: shape.name,
    project: shape.project,
    // What is sent says more than what is read of it.
    deployment: deployment satisfies object as Deployment,
    size: sizeOf(shape, agent.requests),
    slots: 1,
    work: [],
  }
}

function serviceFor(
  { name: pool, project }: PoolShape,
  spec: PipelineSpec,
  { digest }: WantedOptions,
): WantedService | undefined {
  if (spec.service === undefined) return undefined
  const pipeline = spec.pipeline.name
  const name = serviceName(pipeline, digest(JSON.stringify([project, pipeline])))
  return { name, project, pipeline, pool, spec: spec.service }
}

function unmadeStatus(
  { project, spec, queued, running }: PipelineDemand,
  error: unknown,
  { digest }: WantedOptions,
): PoolStatus {
  const cause: Hindrance = {
    reason: 'SpecRefused',
    cause: (error as Error).message,
    remedy: 'mend what it names in the spec of the pipeline and put it again',
  }
  return {
    pool: poolName(project, digest(JSON.stringify([project, spec.pipeline.name]))),
    project,
    pipelines: [spec.pipeline.name],
    image: imageOf(spec),
    state: queued + running > 0 ? 'waiting' : 'idle',
    running: 0,
    replicas: 0,
    wanted: queued + running,
    cause,
    address: null,
    change: null,
    pods: [],
    ends: [],
  }
}

function imageOf({ transform }: PipelineSpec): string | null {
  return transform.image ?? null
}
