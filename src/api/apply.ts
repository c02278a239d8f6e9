import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { listOf, nullable, oneOf } from './shapes.ts'
import { BoundView, PlanView } from './pipelines.ts'

export const Applied = Type.Object({
  kind: oneOf(['pipeline', 'spout', 'egress']),
  name: Type.String(),
  action: oneOf(['create', 'update', 'none'], 'What was done, or would be with dryRun'),
  /** Pipelines on a dry run: what would run. */
  plan: nullable(PlanView),
  /** Pipelines that run in pods: the most that may run at once. */
  bound: nullable(BoundView),
})
export type Applied = Static<typeof Applied>

export const applyDocuments = defineRoute({
  method: 'POST',
  path: '/projects/:project/apply',
  permission: 'pipeline:write',
  summary: 'Put pipelines, spouts and egresses: JSON or YAML, one or many documents, kinds mixed',
  query: Type.Object({
    dryRun: Type.Optional(Type.Boolean({ description: 'Say what would change, change nothing' })),
  }),
  body: 'text',
  answer: { json: Type.Object({ items: listOf(Applied) }) },
})
