import type { UsageView } from '../../api/usage.ts'
import { VarveError } from '../../base/errors.ts'
import { commitKey } from '../../model/entities.ts'
import { checkKept } from '../../versions/dropped.ts'
import type { UsageRow } from '../../versions/usage.ts'
import { usageByBranch, usageByCommit, usageByRepo, usageOfCommit } from '../../versions/usage.ts'
import type { Handlers } from '../call.ts'
import type { Context } from '../context.ts'
import { refOf, requireProject, requireRepo } from '../find.ts'

type UsageHandlers = Pick<
  Handlers,
  'GET /projects/:project/usage' | 'GET /projects/:project/repos/:repo/usage'
>

const view = (row: UsageRow): UsageView => ({
  ...row,
  sharedBytes: row.storedBytes - row.uniqueBytes,
})

export function usageHandlers({ versions }: Context): UsageHandlers {
  async function rows(
    project: string,
    repo: string,
    text: string | undefined,
    signal: AbortSignal,
  ): Promise<UsageRow[]> {
    if (text === undefined) return usageByBranch(versions, project, repo, signal)
    const ref = refOf(repo, text)
    if (ref.version !== undefined && ref.branch === undefined && ref.back === 0) {
      const key = { repo, branch: ref.version }
      if (await versions.branch(project, key)) return usageByCommit(versions, project, key, signal)
    }
    const commit = await versions.resolve(project, ref)
    checkKept(commit)
    const { root } = commit
    if (root !== null) return usageOfCommit(versions, project, { ...commit, root }, signal)
    throw new VarveError(
      'NOT_FOUND_PATH',
      `cannot tell what "${commitKey(commit)}" costs: it is ${commit.state} and holds no files`,
    )
  }

  return {
    'GET /projects/:project/usage': async function* ({ params: { project }, signal }) {
      await requireProject(versions, project)
      for (const row of await usageByRepo(versions, project, signal)) yield view(row)
    },

    'GET /projects/:project/repos/:repo/usage': async function* ({ params, query, signal }) {
      const { project, repo } = params
      await requireRepo(versions, project, repo)
      for (const row of await rows(project, repo, query.ref, signal)) yield view(row)
    },
  }
}
