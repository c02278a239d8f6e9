// What a pipeline may come to at most: told before it is put.

import type { PipelineSpec } from '../../../model/spec-pipeline.ts'
import { podCostPerHour, upperBound } from './scale.ts'
import { agentOf, limitsOf, podDefaultsOf } from './settings.ts'
import type { PoolSettings } from './settings.ts'
import { capsOf, resourcesOf, sizeOf } from './shape.ts'

export interface Bound {
  /** Null: nothing bounds them. */
  readonly pods: number | null
  /** In the currency of the prices; null: nothing bounds it, or there are no prices. */
  readonly costPerHour: number | null
  /** Null: there are no prices. */
  readonly hourlyPodCost: number | null
}

/** By its own caps and those of its project and the cluster, as if it were alone there. */
export function boundOf(project: string, spec: PipelineSpec, settings: PoolSettings): Bound {
  const { cluster, projects, prices } = limitsOf(settings)
  const { resourceRequests = {}, resourceLimits = {} } = spec
  const asked = resourcesOf(resourceRequests, resourceLimits, podDefaultsOf(settings))
  const size = sizeOf(asked, agentOf(settings).requests)
  const bound = upperBound(size, [capsOf(spec), projects[project] ?? {}, cluster], prices)
  const priced = settings.prices !== undefined
  return {
    pods: finite(bound.pods),
    costPerHour: priced ? finite(bound.costPerHour) : null,
    hourlyPodCost: priced ? podCostPerHour(size, prices) : null,
  }
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null
}
