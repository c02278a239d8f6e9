import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { AtMs, CommitId, oneOf } from './shapes.ts'

export const LogLineView = Type.Object({
  atMs: AtMs,
  job: CommitId,
  datum: Type.String(),
  attempt: Type.Integer(),
  stream: oneOf(['stdout', 'stderr', 'varve']),
  text: Type.String(),
})
export type LogLineView = Static<typeof LogLineView>

export const getLogs = defineRoute({
  method: 'GET',
  path: '/projects/:project/pipelines/:pipeline/logs',
  permission: 'pipeline:read',
  summary: 'What the code of a pipeline wrote, oldest first',
  query: Type.Object({
    job: Type.Optional(Type.String({ description: 'Default: every job still kept' })),
    datum: Type.Optional(Type.String()),
    follow: Type.Optional(Type.Boolean({ description: 'Stay for new lines' })),
    tail: Type.Optional(Type.Integer({ minimum: 0, description: 'Only the last so many' })),
  }),
  answer: { lines: LogLineView },
})
