import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { AtMs, Json, mapOf, nullable, oneOf, PageQuery, pageOf } from './shapes.ts'

export const SpoutView = Type.Object({
  name: Type.String(),
  repo: Type.String(),
  branch: Type.String(),
  state: oneOf(['running', 'paused']),
  cause: nullable(Type.String()),
  epoch: Type.Integer(),
  positions: mapOf(Type.String()),
  updatedAtMs: AtMs,
  spec: Json,
  /** What its host knows now; null while no host runs it. */
  live: nullable(
    Type.Object({
      state: Type.String({ description: '`running`, `paused` or `waiting: <cause>`' }),
      cause: nullable(Type.String()),
      parts: mapOf(
        Type.Object({
          position: nullable(Type.String()),
          end: nullable(Type.String()),
          lagRecords: nullable(Type.Number()),
        }),
      ),
      lagRecords: nullable(Type.Number()),
      openRecords: Type.Number(),
      openBytes: Type.Number(),
      nextFlush: nullable(Type.String()),
      recordsPerSecond: Type.Number(),
      lastCommitId: nullable(Type.String()),
    }),
  ),
})
export type SpoutView = Static<typeof SpoutView>

export const listSpouts = defineRoute({
  method: 'GET',
  path: '/projects/:project/spouts',
  permission: 'spout:read',
  summary: 'Spouts, by name, with their positions and lag',
  query: Type.Object(PageQuery),
  answer: { json: pageOf(SpoutView) },
})

export const getSpout = defineRoute({
  method: 'GET',
  path: '/projects/:project/spouts/:spout',
  permission: 'spout:read',
  summary: 'One spout, with its position and lag',
  answer: { json: SpoutView },
})

export const pauseSpout = defineRoute({
  method: 'POST',
  path: '/projects/:project/spouts/:spout/pause',
  permission: 'spout:write',
  summary: 'Stop reading; positions stay',
  answer: { json: SpoutView },
})

export const resumeSpout = defineRoute({
  method: 'POST',
  path: '/projects/:project/spouts/:spout/resume',
  permission: 'spout:write',
  summary: 'Read on from the stored positions',
  answer: { json: SpoutView },
})

export const deleteSpout = defineRoute({
  method: 'DELETE',
  path: '/projects/:project/spouts/:spout',
  permission: 'spout:write',
  summary: 'Delete a spout; what it committed stays',
  answer: 'none',
})
