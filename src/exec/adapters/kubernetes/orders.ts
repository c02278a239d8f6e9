// What the controller is told, and whom it asks: the pools as the cluster shall have them.

import type { Hindrance } from './hindrance.ts'
import type { Deployment } from './objects.ts'
import type { PipelineWork, PodSize, ScaleLimits } from './scale.ts'

export interface WantedPool {
  readonly id: string
  readonly project: string
  /** Whole, with our labels and the digest annotation; its number of replicas is the controller's to set. */
  readonly deployment: Deployment
  readonly size: PodSize
  /** Chunks one pod works on at once. */
  readonly slots: number
  readonly work: readonly PipelineWork[]
}

export interface Orders {
  readonly pools: readonly WantedPool[]
  readonly limits: ScaleLimits
  /** Names of pods that hold work. */
  readonly busy: ReadonlySet<string>
  /** Why no pod may be made now, of whatever pool; pods may still go. */
  readonly hindrance?: Hindrance | undefined
}

/** All of it may fail: then nothing is taken away. */
export interface Superior {
  orders(): Promise<Orders>
  /**
   * From now on the named pods of the pool get no work, all others of it do. Returns those of them
   * that hold none.
   */
  retire(pool: string, pods: readonly string[]): Promise<ReadonlySet<string>>
  /** Makes what the pool's pods need besides its Deployment, before that is made; every time. */
  furnish?(pool: string): Promise<void>
  /** Takes away what belongs to other pools than these. */
  clear?(kept: ReadonlySet<string>): Promise<void>
}
