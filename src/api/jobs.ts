import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import {
  AtMs,
  CauseView,
  CommitId,
  CommitRef,
  HindranceView,
  nullable,
  oneOf,
  PageQuery,
  pageOf,
  WaitQuery,
} from './shapes.ts'

export const JobView = Type.Object({
  pipeline: Type.String(),
  pipelineVersion: Type.Integer(),
  id: CommitId,
  commit: CommitRef,
  state: oneOf(['running', 'stopping', 'finished', 'failed', 'stopped']),
  standing: Type.Boolean({ description: 'Its code does not end: it is good as it runs' }),
  planned: Type.Object({ run: Type.Integer(), reuse: Type.Integer(), total: Type.Integer() }),
  counts: nullable(
    Type.Object({
      total: Type.Integer(),
      ran: Type.Integer(),
      reused: Type.Integer(),
      failed: Type.Integer(),
      recovered: Type.Integer(),
      codeChanged: Type.Integer(),
    }),
  ),
  progress: nullable(
    Type.Object({ done: Type.Integer(), failed: Type.Integer(), toRun: Type.Integer() }),
  ),
  /** What keeps its datums from being run by anybody; null when somebody runs them, or needs not. */
  waiting: nullable(HindranceView),
  codeKey: Type.String(),
  cause: nullable(CauseView),
  startedSeq: Type.Integer(),
  startedAtMs: AtMs,
  endedAtMs: nullable(AtMs),
})
export type JobView = Static<typeof JobView>

export const listJobs = defineRoute({
  method: 'GET',
  path: '/projects/:project/jobs',
  permission: 'pipeline:read',
  summary: 'Jobs, newest first, of one pipeline or of all',
  query: Type.Object({ ...PageQuery, pipeline: Type.Optional(Type.String()) }),
  answer: { json: pageOf(JobView) },
})

export const getJob = defineRoute({
  method: 'GET',
  path: '/projects/:project/pipelines/:pipeline/jobs/:job',
  permission: 'pipeline:read',
  summary: 'One job, by its id or the last characters of it',
  answer: { json: JobView },
})

export const waitJob = defineRoute({
  method: 'GET',
  path: '/projects/:project/pipelines/:pipeline/jobs/:job/wait',
  permission: 'pipeline:read',
  summary: 'Answer when the job has ended, or after the timeout',
  query: WaitQuery,
  answer: { json: JobView },
})

export const stopJob = defineRoute({
  method: 'POST',
  path: '/projects/:project/pipelines/:pipeline/jobs/:job/stop',
  permission: 'pipeline:write',
  summary: 'Stop a job; what is done stays done',
  answer: { json: JobView },
})
