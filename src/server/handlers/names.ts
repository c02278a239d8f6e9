// Projects, repos, branches.

import type { RepoView } from '../../api/repos.ts'
import { VarveError } from '../../base/errors.ts'
import { must } from '../../base/assert.ts'
import type { Branch, Repo } from '../../model/entities.ts'
import { DEFAULT_BRANCH, DEFAULT_PROJECT, parseName, SYSTEM_PROJECT } from '../../model/name.ts'
import type { Op } from '../../model/ops.ts'
import type { Handlers } from '../call.ts'
import type { Context } from '../context.ts'
import { missing, pageByName, refOf, requireBranch, requireProject, requireRepo } from '../find.ts'
import { branchView } from '../views.ts'

type Names = Pick<
  Handlers,
  | 'GET /projects'
  | 'POST /projects'
  | 'GET /projects/:project'
  | 'GET /projects/:project/repos'
  | 'POST /projects/:project/repos'
  | 'GET /projects/:project/repos/:repo'
  | 'PUT /projects/:project/repos/:repo/retention'
  | 'DELETE /projects/:project/repos/:repo'
  | 'GET /projects/:project/repos/:repo/branches'
  | 'GET /projects/:project/repos/:repo/branches/:branch'
  | 'PUT /projects/:project/repos/:repo/branches/:branch'
  | 'PUT /projects/:project/repos/:repo/branches/:branch/retention'
  | 'DELETE /projects/:project/repos/:repo/branches/:branch'
>

export function nameHandlers({ versions }: Context): Names {
  async function repoView(project: string, row: Repo): Promise<RepoView> {
    const branches: Branch[] = []
    for await (const branch of versions.branches(project, row.name)) branches.push(branch)
    const shown = branches.find((one) => one.branch === DEFAULT_BRANCH) ?? branches[0]
    const head = shown?.head
      ? await versions.commit(project, { repo: row.name, branch: shown.branch, id: shown.head.id })
      : undefined
    return {
      name: row.name,
      pipeline: row.pipeline,
      createdAtMs: row.createdAtMs,
      branches: branches.length,
      files: head?.stats?.files ?? 0,
      bytes: head?.stats?.bytes ?? 0,
      keep: row.keep ?? null,
    }
  }

  return {
    'GET /projects': ({ query }) =>
      pageByName(
        versions.projects(),
        query,
        (row) => row.name,
        ({ name, createdAtMs }) => ({ name, createdAtMs }),
      ),

    'POST /projects': async ({ body, request }) => {
      const name = parseName('project', body.name)
      await versions.propose(SYSTEM_PROJECT, [{ op: 'project.create', name }], request)
      for await (const row of versions.projects())
        if (row.name === name) return { name, createdAtMs: row.createdAtMs }
      throw missing('NOT_FOUND_PROJECT', 'project', name, [])
    },

    'GET /projects/:project': async ({ params: { project } }) => {
      for await (const { name, createdAtMs } of versions.projects())
        if (name === project) return { name, createdAtMs }
      if (project !== DEFAULT_PROJECT) await requireProject(versions, project)
      return { name: project, createdAtMs: 0 }
    },

    'GET /projects/:project/repos': async ({ params: { project }, query }) => {
      const page = await pageByName(
        versions.repos(project),
        query,
        (row) => row.name,
        (row) => repoView(project, row),
      )
      if (page.items.length === 0) await requireProject(versions, project)
      return page
    },

    'POST /projects/:project/repos': async ({ params: { project }, body, request }) => {
      const name = parseName('repo', body.name)
      await versions.propose(project, [{ op: 'repo.create', name }], request)
      return repoView(project, must(await versions.repo(project, name), `repo "${name}"`))
    },

    'GET /projects/:project/repos/:repo': async ({ params: { project, repo } }) =>
      repoView(project, await requireRepo(versions, project, repo)),

    'PUT /projects/:project/repos/:repo/retention': async ({ params, body, request }) => {
      const { project, repo } = params
      await requireRepo(versions, project, repo)
      await versions.propose(project, [{ op: 'retention.put', repo, keep: body.keep }], request)
      return repoView(project, await requireRepo(versions, project, repo))
    },

    'DELETE /projects/:project/repos/:repo': async ({ params, query, request }) => {
      await requireRepo(versions, params.project, params.repo)
      const op: Op = { op: 'repo.delete', name: params.repo, force: query.force ?? false }
      await versions.propose(params.project, [op], request)
    },

    'GET /projects/:project/repos/:repo/branches': async ({ params: { project, repo }, query }) => {
      await requireRepo(versions, project, repo)
      const rows = versions.branches(project, repo)
      return pageByName(rows, query, (row) => row.branch, branchView)
    },

    'GET /projects/:project/repos/:repo/branches/:branch': async ({ params }) =>
      branchView(await requireBranch(versions, params.project, params)),

    'PUT /projects/:project/repos/:repo/branches/:branch': async ({ params, body, request }) => {
      const { project, repo } = params
      const key = { repo, branch: parseName('branch', params.branch) }
      const head =
        body.head === undefined
          ? undefined
          : (await versions.resolve(project, refOf(repo, body.head))).id
      if (head === undefined && (await versions.branch(project, key)))
        throw new VarveError('ALREADY_EXISTS', `cannot create "${repo}@${key.branch}": it exists`)
      const op: Op = { op: 'branch.put', branch: key, ...(head === undefined ? {} : { head }) }
      await versions.propose(project, [op], request)
      return branchView(await requireBranch(versions, project, key))
    },

    'PUT /projects/:project/repos/:repo/branches/:branch/retention': async (call) => {
      const { project, repo, branch } = call.params
      await requireBranch(versions, project, call.params)
      const op: Op = { op: 'retention.put', repo, branch, keep: call.body.keep }
      await versions.propose(project, [op], call.request)
      return branchView(await requireBranch(versions, project, call.params))
    },

    'DELETE /projects/:project/repos/:repo/branches/:branch': async ({
      params,
      query,
      request,
    }) => {
      const { project, repo, branch } = params
      await requireBranch(versions, project, params)
      const op: Op = { op: 'branch.delete', branch: { repo, branch }, force: query.force ?? false }
      await versions.propose(project, [op], request)
    },
  }
}
