import { Type } from 'typebox'
import type { CommitView } from './commits.ts'
import { DatumInfo } from './datums.ts'
import { JobView } from './jobs.ts'
import { defineRoute } from './route.ts'
import { CommitRef, Json, listOf, mapOf, nullable } from './shapes.ts'

/** From a file back to where it came from; the same shape for every file among its inputs. */
export interface Explanation {
  readonly path: string
  readonly commit: { readonly repo: string; readonly branch: string; readonly id: string }
  readonly digest: string
  /** Null for a file a person or a spout put. */
  readonly datum: DatumInfo | null
  readonly job: JobView | null
  readonly code: {
    readonly key: string
    readonly cmd: readonly string[]
    readonly pipelineVersion: number
  } | null
  readonly inputs: readonly Explanation[]
  /** The commit that brought what a person or a spout put; null when that lies too far back. */
  readonly brought: Explanation['commit'] | null
  readonly feed: NonNullable<CommitView['feed']>['ranges'] | null
  /** The commit set: what one proposal caused. */
  readonly set: string
}

const ExplanationShape = Type.Unsafe<Explanation>(
  Type.Object({
    path: Type.String(),
    commit: CommitRef,
    digest: Type.String(),
    datum: nullable(DatumInfo),
    job: nullable(JobView),
    code: nullable(
      Type.Object({
        key: Type.String(),
        cmd: listOf(Type.String()),
        pipelineVersion: Type.Integer(),
      }),
    ),
    inputs: Type.Array(Json, { description: 'Of the same shape' }),
    brought: nullable(CommitRef),
    feed: nullable(mapOf(Type.Object({ from: nullable(Type.String()), to: Type.String() }))),
    set: Type.String(),
  }),
)

export const explainFile = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos/:repo/commits/:ref/explain',
  permission: 'repo:read',
  summary: 'Where a file came from: datum, code, inputs, and so back to the feed',
  query: Type.Object({ path: Type.String({ maxLength: 4096 }) }),
  answer: { json: ExplanationShape },
})
