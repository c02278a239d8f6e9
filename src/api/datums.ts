import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { CommitId, HindranceView, listOf, nullable, oneOf } from './shapes.ts'

export const DATUM_STATES = [
  'queued',
  'running',
  'success',
  'failed',
  'recovered',
  'skipped',
] as const

export const DatumInfo = Type.Object({
  id: Type.String(),
  key: Type.String(),
  state: oneOf(DATUM_STATES),
  why: Type.String({ description: 'Why it ran, or why it did not' }),
  /** Of one that has not run yet: what it waits for, where that is known. */
  waiting: nullable(HindranceView),
  job: CommitId,
  inputs: listOf(Type.Object({ name: Type.String(), path: Type.String(), digest: Type.String() })),
  attempts: Type.Integer(),
  exit: nullable(
    Type.Object({
      code: nullable(Type.Integer()),
      signal: nullable(Type.String()),
      timedOut: Type.Boolean(),
    }),
  ),
  lastLines: listOf(Type.String()),
  times: nullable(
    Type.Object({ layoutMs: Type.Number(), runMs: Type.Number(), uploadMs: Type.Number() }),
  ),
})
export type DatumInfo = Static<typeof DatumInfo>

export const listDatums = defineRoute({
  method: 'GET',
  path: '/projects/:project/pipelines/:pipeline/jobs/:job/datums',
  permission: 'pipeline:read',
  summary: 'Datums of a job',
  query: Type.Object({
    state: Type.Optional(oneOf(DATUM_STATES)),
    limit: Type.Optional(Type.Integer({ minimum: 1 })),
  }),
  answer: { lines: DatumInfo },
})

export const getDatum = defineRoute({
  method: 'GET',
  path: '/projects/:project/pipelines/:pipeline/jobs/:job/datums/:datum',
  permission: 'pipeline:read',
  summary: 'One datum: why it ran or did not, how it ended',
  answer: { json: DatumInfo },
})
