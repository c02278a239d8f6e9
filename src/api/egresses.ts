import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { AtMs, CommitId, Json, nullable, oneOf, PageQuery, pageOf } from './shapes.ts'

export const EgressView = Type.Object({
  name: Type.String(),
  repo: Type.String(),
  branch: Type.String(),
  state: oneOf(['running', 'paused']),
  cause: nullable(Type.String()),
  epoch: Type.Integer(),
  base: nullable(Type.String({ description: 'The last commit delivered whole' })),
  progress: nullable(
    Type.Object({ commit: CommitId, records: Type.Number(), done: Type.Boolean() }),
  ),
  deliveredRecords: Type.Number(),
  updatedAtMs: AtMs,
  spec: Json,
  /** What its host knows now; null while no host runs it. */
  live: nullable(
    Type.Object({
      state: Type.String(),
      cause: nullable(Type.String()),
      lagCommits: Type.Number(),
      recordsPerSecond: Type.Number(),
      lastDeliveredId: nullable(Type.String()),
    }),
  ),
})
export type EgressView = Static<typeof EgressView>

export const listEgresses = defineRoute({
  method: 'GET',
  path: '/projects/:project/egresses',
  permission: 'egress:read',
  summary: 'Egresses, by name, with their progress',
  query: Type.Object(PageQuery),
  answer: { json: pageOf(EgressView) },
})

export const getEgress = defineRoute({
  method: 'GET',
  path: '/projects/:project/egresses/:egress',
  permission: 'egress:read',
  summary: 'One egress, with its progress',
  answer: { json: EgressView },
})

export const pauseEgress = defineRoute({
  method: 'POST',
  path: '/projects/:project/egresses/:egress/pause',
  permission: 'egress:write',
  summary: 'Stop sending; progress stays',
  answer: { json: EgressView },
})

export const resumeEgress = defineRoute({
  method: 'POST',
  path: '/projects/:project/egresses/:egress/resume',
  permission: 'egress:write',
  summary: 'Send on from the stored progress',
  answer: { json: EgressView },
})

export const deleteEgress = defineRoute({
  method: 'DELETE',
  path: '/projects/:project/egresses/:egress',
  permission: 'egress:write',
  summary: 'Delete an egress; what it delivered stays',
  answer: 'none',
})
