// Pipelines, their jobs, datums and logs, and where a file came from.

import type { Explanation } from '../../api/explain.ts'
import type { JobView } from '../../api/jobs.ts'
import type { DatumInfo } from '../../api/datums.ts'
import type { PipelinePool } from '../../api/pools.ts'
import type { PipelineView } from '../../api/pipelines.ts'
import { must } from '../../base/assert.ts'
import type { Job, Pipeline } from '../../model/entities.ts'
import type { Op } from '../../model/ops.ts'
import { parseFilePath } from '../../model/path.ts'
import { parsePipelineDocument } from '../../model/spec-pipeline.ts'
import type { DatumView, FileExplanation } from '../../pipelines/service.ts'
import type { Request } from '../../versions/versions.ts'
import type { Handlers } from '../call.ts'
import type { Context } from '../context.ts'
import { pageByName, pageBySeq, refOf, requireJob, requirePipeline } from '../find.ts'
import { datumHindrance, jobHindrance, poolOf } from '../hindrances.ts'
import { jobView } from '../views.ts'
import { concernsCommit, DEFAULT_WAIT_MS } from './commits.ts'

type PipelineRoutes = Pick<
  Handlers,
  | 'GET /projects/:project/pipelines'
  | 'GET /projects/:project/pipelines/:pipeline'
  | 'GET /projects/:project/pipelines/:pipeline/plan'
  | 'POST /projects/:project/pipelines/:pipeline/stop'
  | 'POST /projects/:project/pipelines/:pipeline/start'
  | 'DELETE /projects/:project/pipelines/:pipeline'
  | 'GET /projects/:project/jobs'
  | 'GET /projects/:project/pipelines/:pipeline/jobs/:job'
  | 'GET /projects/:project/pipelines/:pipeline/jobs/:job/wait'
  | 'POST /projects/:project/pipelines/:pipeline/jobs/:job/stop'
  | 'GET /projects/:project/pipelines/:pipeline/jobs/:job/datums'
  | 'GET /projects/:project/pipelines/:pipeline/jobs/:job/datums/:datum'
  | 'GET /projects/:project/repos/:repo/commits/:ref/explain'
  | 'GET /projects/:project/pipelines/:pipeline/logs'
>

export function pipelineHandlers(context: Context): PipelineRoutes {
  const { versions, pipelines, pools, tails } = context
  const viewJob = (project: string, row: Job): JobView => {
    const progress = pipelines.progress(project, row.pipeline)
    return jobView(row, progress, jobHindrance(row, poolOf(pools, project, row.pipeline), progress))
  }

  async function view(project: string, row: Pipeline): Promise<PipelineView> {
    let lastJob: JobView | null = null
    for await (const job of versions.jobs(project, row.name, { limit: 1 }))
      lastJob = viewJob(project, job)
    return {
      name: row.name,
      version: row.version,
      state: row.state,
      output: row.output,
      inputs: row.inputs,
      backlog: row.backlog,
      waitingFor: (await pipelines.waitingFor(project, row.name)) ?? null,
      pool: poolOf(pools, project, row.name),
      lastJob,
      updatedAtMs: row.updatedAtMs,
    }
  }

  async function propose(project: string, name: string, op: Op, request: Request): Promise<void> {
    await requirePipeline(versions, project, name)
    await versions.propose(project, [op], request)
  }

  async function* newestJobs(
    project: string,
    names: readonly string[],
    options: { limit: number; beforeSeq?: number },
  ): AsyncGenerator<Job> {
    const jobs: Job[] = []
    for (const name of names)
      for await (const job of versions.jobs(project, name, options)) jobs.push(job)
    yield* jobs.sort((a, b) => b.startedSeq - a.startedSeq)
  }

  return {
    'GET /projects/:project/pipelines': ({ params: { project }, query }) =>
      pageByName(
        versions.pipelines(project),
        query,
        (row) => row.name,
        (row) => view(project, row),
      ),

    'GET /projects/:project/pipelines/:pipeline': async ({ params: { project, pipeline } }) => {
      const row = await requirePipeline(versions, project, pipeline)
      return { ...(await view(project, row)), spec: row.spec }
    },

    'GET /projects/:project/pipelines/:pipeline/plan': async ({
      params: { project, pipeline },
    }) => {
      const row = await requirePipeline(versions, project, pipeline)
      const bound = context.boundOf?.(project, parsePipelineDocument(row.spec)) ?? null
      return { ...(await pipelines.plan(project, row.spec)), bound }
    },

    'POST /projects/:project/pipelines/:pipeline/stop': async ({ params, request }) => {
      const { project, pipeline: name } = params
      await propose(project, name, { op: 'pipeline.stop', name }, request)
      return view(project, await requirePipeline(versions, project, name))
    },

    'POST /projects/:project/pipelines/:pipeline/start': async ({ params, request }) => {
      const { project, pipeline: name } = params
      await propose(project, name, { op: 'pipeline.start', name }, request)
      return view(project, await requirePipeline(versions, project, name))
    },

    'DELETE /projects/:project/pipelines/:pipeline': ({ params, request }) => {
      const { project, pipeline: name } = params
      return propose(project, name, { op: 'pipeline.delete', name }, request)
    },

    'GET /projects/:project/jobs': async ({ params: { project }, query }) => {
      const names: string[] = []
      if (query.pipeline !== undefined)
        names.push((await requirePipeline(versions, project, query.pipeline)).name)
      else for await (const { name } of versions.pipelines(project)) names.push(name)
      return pageBySeq(
        (limit, beforeSeq) =>
          newestJobs(project, names, { limit, ...(beforeSeq === undefined ? {} : { beforeSeq }) }),
        query,
        (row) => row.startedSeq,
        (row) => viewJob(project, row),
      )
    },

    'GET /projects/:project/pipelines/:pipeline/jobs/:job': async ({ params }) => {
      const { project, pipeline, job } = params
      return viewJob(project, await requireJob(versions, project, pipeline, job))
    },

    'GET /projects/:project/pipelines/:pipeline/jobs/:job/wait': async (call) => {
      const { project, pipeline, job } = call.params
      const row = await requireJob(versions, project, pipeline, job)
      const ended = await tails.until(project, {
        read: async () => (await versions.job(project, pipeline, row.commit.id)) ?? row,
        done: ({ endedAtMs, standing, state }) =>
          endedAtMs !== null || (standing === true && state === 'running'),
        concerns: (entry) =>
          concernsCommit(entry, row.commit) ||
          ('yes' in entry.decision &&
            entry.decision.yes.some(
              (fact) => 'job' in fact && fact.job.commit.id === row.commit.id,
            )),
        timeoutMs: call.query.timeoutMs ?? DEFAULT_WAIT_MS,
        signal: call.signal,
      })
      return viewJob(project, ended)
    },

    'POST /projects/:project/pipelines/:pipeline/jobs/:job/stop': async ({ params, request }) => {
      const { project, pipeline, job } = params
      const row = await requireJob(versions, project, pipeline, job)
      await versions.propose(project, [{ op: 'job.stop', commit: row.commit }], request)
      const now = await versions.job(project, pipeline, row.commit.id)
      return viewJob(project, must(now, `job "${row.commit.id}"`))
    },

    'GET /projects/:project/pipelines/:pipeline/jobs/:job/datums': async function* (call) {
      const { project, pipeline, job } = call.params
      const row = await requireJob(versions, project, pipeline, job)
      const pool = poolOf(pools, project, pipeline)
      for await (const datum of pipelines.datums(project, pipeline, row.commit.id, call.query))
        yield datumView(datum, row.state === 'running' ? pool : null)
    },

    'GET /projects/:project/pipelines/:pipeline/jobs/:job/datums/:datum': async ({ params }) => {
      const { project, pipeline, job, datum } = params
      const row = await requireJob(versions, project, pipeline, job)
      const found = await pipelines.explainDatum(project, pipeline, row.commit.id, datum)
      return datumView(found, row.state === 'running' ? poolOf(pools, project, pipeline) : null)
    },

    'GET /projects/:project/repos/:repo/commits/:ref/explain': async ({ params, query }) => {
      const { project, repo, ref } = params
      const commit = await versions.resolve(project, refOf(repo, ref))
      const path = parseFilePath(query.path)
      return explanation(await pipelines.explainFile(project, commit, path))
    },

    'GET /projects/:project/pipelines/:pipeline/logs': async function* (call) {
      const { project, pipeline } = call.params
      await requirePipeline(versions, project, pipeline)
      const { job, datum, follow, tail } = call.query
      const id =
        job === undefined
          ? undefined
          : (await requireJob(versions, project, pipeline, job)).commit.id
      yield* pipelines.logs(project, pipeline, {
        signal: call.signal,
        ...(id === undefined ? {} : { job: id }),
        ...(datum === undefined ? {} : { datum }),
        ...(follow === undefined ? {} : { follow }),
        ...(tail === undefined ? {} : { tail }),
      })
    },
  }
}

function datumView(datum: DatumView, pool: PipelinePool | null): DatumInfo {
  return { ...datum, waiting: datumHindrance(datum, pool) }
}

function explanation(found: FileExplanation): Explanation {
  const { repo, branch, id } = found.commit
  return {
    path: found.path,
    commit: { repo, branch, id },
    digest: found.digest,
    datum: found.datum && datumView(found.datum, null),
    job: found.job && jobView(found.job),
    code: found.code,
    inputs: found.inputs.map(explanation),
    brought: found.brought,
    feed: found.feed,
    set: found.set,
  }
}
