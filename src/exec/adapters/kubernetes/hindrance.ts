// What may hinder a pod or a pool here: a closed list, so that whoever counts or translates them knows all.

import type { Hindrance as Told } from '../../../model/pool-status.ts'

export type Reason =
  | 'Unschedulable'
  | 'ImageMissing'
  | 'ImageNameInvalid'
  | 'SecretMissing'
  | 'VolumeMissing'
  | 'RunsAsRoot'
  | 'ContainerRefused'
  | 'QuotaReached'
  | 'PodRefused'
  | 'OutOfMemory'
  | 'Evicted'
  | 'NodeLost'
  | 'Preempted'
  | 'Crashing'
  | 'AgentCrashing'
  | 'Deleted'
  | 'StartingSlowly'
  | 'Starting'
  | 'CapReached'
  | 'BudgetReached'
  | 'ScalingHeld'
  | 'ClusterUnreachable'
  | 'Denied'
  | 'SpecRefused'
  | 'ServiceRefused'
  | 'NameTaken'
  | 'OwnerMissing'
  | 'Preparing'
  | 'WorkUnknown'

export interface Hindrance extends Told {
  readonly reason: Reason
}

/** Of what somebody else wrote, as much as is worth quoting. */
export function firstLine(text: string): string {
  return (text.trim().split('\n')[0] ?? '').slice(0, 500)
}

export function lastLine(text: string): string {
  return (text.trim().split('\n').at(-1) ?? '').slice(0, 500)
}
