// What the handlers of all nouns stand on.

import type { Clock } from '../base/clock.ts'
import type { Egresses } from '../egress/status.ts'
import type { EgressPut, SpoutPut } from '../model/ops.ts'
import type { Id } from '../model/id.ts'
import type { PipelineSpec } from '../model/spec-pipeline.ts'
import type { Pipelines } from '../pipelines/service.ts'
import type { Spouts } from '../spouts/status.ts'
import type { VersionEntry, Versions } from '../versions/versions.ts'
import type { EventView } from '../api/events.ts'
import type { BoundView } from '../api/pipelines.ts'
import type { WorkerToken } from '../api/worker-tokens.ts'
import type { PoolBoard } from './hindrances.ts'
import type { CollectStep } from '../objects/upkeep/collect.ts'
import type { Purging, PurgeStep } from '../versions/purge-scope.ts'
import type { NamedRoot } from '../objects/upkeep/verify.ts'
import type { Tails } from './tail.ts'

/** Reads the documents of streams; the registry of connectors is behind it. */
export interface StreamDocuments {
  /** @throws VarveError INVALID_SPEC, INVALID_OPTION, INVALID_REF */
  spoutPut(document: Readonly<Record<string, unknown>>): SpoutPut
  /** @throws VarveError INVALID_SPEC, INVALID_OPTION, INVALID_REF */
  egressPut(document: Readonly<Record<string, unknown>>): EgressPut
}

/** The public events of one entry, in order; a pure function. */
export type EventsOf = (project: string, entry: VersionEntry) => readonly EventView[]

export interface Services {
  readonly versions: Versions
  readonly pipelines: Pipelines
  readonly spouts: Spouts
  readonly egresses: Egresses
  /** Pools of workers; absent where there are none to tell of. */
  readonly pools?: PoolBoard
  /** The most a pipeline may have running at once; absent, or null: nothing is counted here. */
  readonly boundOf?: (project: string, spec: PipelineSpec) => BoundView | null
  readonly documents: StreamDocuments
  readonly eventsOf: EventsOf
  readonly clock: Clock
  readonly ids: () => Id
  readonly version: string
  /** Throws what keeps the process from reacting. */
  readonly live?: () => void
  /** Throws what is in the way of serving. */
  readonly ready?: () => void
  /** Throws why no new work may begin now. */
  readonly acceptWork?: () => void
  /** The text of /metrics. */
  readonly metrics?: () => Promise<string>
  /** Makes tokens for workers; without it there is no cluster secret, and no worker from outside. */
  readonly issueWorkerToken?: (pool: string, ttlSeconds: number) => WorkerToken
  /** Deletes what nothing names, or says what that is; absent where the store cannot be reached. */
  readonly collectGarbage?: (
    how: { readonly plan: boolean; readonly waitMs: number },
    signal: AbortSignal,
  ) => AsyncIterable<CollectStep>
  /** Takes files out of all commits of a repo; absent where the store cannot be reached. */
  readonly purge?: (how: Purging, signal: AbortSignal) => AsyncIterable<PurgeStep>
  /** What is kept beside trees of commits (of jobs, uploads), of one project or all: to be verified too. */
  readonly otherRoots?: (project: string | undefined) => AsyncIterable<NamedRoot>
  /** Largest content of one file or archive, in bytes; default 1 TiB. */
  readonly maxUploadBytes?: number
}

export interface Context extends Services {
  readonly tails: Tails
}
