import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { AtMs, BranchRef, Json, listOf, nullable, oneOf, PageQuery, pageOf } from './shapes.ts'
import { JobView } from './jobs.ts'
import { PipelinePool } from './pools.ts'

export const PipelineView = Type.Object({
  name: Type.String(),
  version: Type.Integer(),
  state: oneOf(['running', 'stopped']),
  output: BranchRef,
  inputs: listOf(BranchRef),
  backlog: oneOf(['every', 'latest']),
  waitingFor: nullable(Type.String({ description: 'What a queued commit waits for, in words' })),
  pool: nullable(PipelinePool),
  lastJob: nullable(JobView),
  updatedAtMs: AtMs,
})
export type PipelineView = Static<typeof PipelineView>

export const PipelineDetail = Type.Object({ ...PipelineView.properties, spec: Json })
export type PipelineDetail = Static<typeof PipelineDetail>

/** The most that may run at once, by the spec and the caps of project and cluster; null: not bounded. */
export const BoundView = Type.Object({
  pods: nullable(Type.Integer()),
  costPerHour: nullable(Type.Number({ description: 'In the currency of the price table' })),
})
export type BoundView = Static<typeof BoundView>

export const PlanView = Type.Object({
  total: Type.Integer(),
  run: Type.Integer(),
  reuse: Type.Integer(),
  warnings: listOf(Type.String()),
  bound: nullable(BoundView),
})
export type PlanView = Static<typeof PlanView>

export const listPipelines = defineRoute({
  method: 'GET',
  path: '/projects/:project/pipelines',
  permission: 'pipeline:read',
  summary: 'Pipelines, by name',
  query: Type.Object(PageQuery),
  answer: { json: pageOf(PipelineView) },
})

export const getPipeline = defineRoute({
  method: 'GET',
  path: '/projects/:project/pipelines/:pipeline',
  permission: 'pipeline:read',
  summary: 'One pipeline with its spec',
  answer: { json: PipelineDetail },
})

export const planPipeline = defineRoute({
  method: 'GET',
  path: '/projects/:project/pipelines/:pipeline/plan',
  permission: 'pipeline:read',
  summary: 'What a put of the pipeline as it is would run and reuse now',
  answer: { json: PlanView },
})

export const stopPipeline = defineRoute({
  method: 'POST',
  path: '/projects/:project/pipelines/:pipeline/stop',
  permission: 'pipeline:write',
  summary: 'Open no more commits for it',
  answer: { json: PipelineView },
})

export const startPipeline = defineRoute({
  method: 'POST',
  path: '/projects/:project/pipelines/:pipeline/start',
  permission: 'pipeline:write',
  summary: 'Go on at the current tips of its inputs',
  answer: { json: PipelineView },
})

export const deletePipeline = defineRoute({
  method: 'DELETE',
  path: '/projects/:project/pipelines/:pipeline',
  permission: 'pipeline:write',
  summary: 'Delete a pipeline; its output repo stays',
  answer: 'none',
})
