import type { PurgeStepView, PurgeView } from '../../api/purges.ts'
import { VarveError } from '../../base/errors.ts'
import type { Purge } from '../../model/entities.ts'
import type { Id } from '../../model/id.ts'
import { parsePath, ROOT } from '../../model/path.ts'
import { receiptOf } from '../../versions/purge-scope.ts'
import type { Handlers } from '../call.ts'
import type { Context } from '../context.ts'
import { pageByName, requireProject, requireRepo } from '../find.ts'

type PurgeHandlers = Pick<
  Handlers,
  | 'POST /projects/:project/repos/:repo/purges'
  | 'GET /projects/:project/purges'
  | 'GET /projects/:project/purges/:purge'
>

/** Longer than processes go on with what they know of what is condemned (versions/sessions.ts). */
const WAIT_MS = 120_000
const SHORT_ID_CHARS = 4

export function purgeHandlers({ versions, purge }: Context): PurgeHandlers {
  const view = async (row: Purge): Promise<PurgeView> => ({
    id: row.id,
    repo: row.repo,
    state: row.ended ? 'ended' : 'begun',
    atMs: row.atMs,
    receipt: await receiptOf(versions, row),
  })
  /** As lists show it. */
  async function endingIn(project: string, text: string): Promise<Purge | undefined> {
    if (text.length < SHORT_ID_CHARS) return undefined
    const found: Purge[] = []
    for await (const row of versions.purges(project)) if (row.id.endsWith(text)) found.push(row)
    return found.length === 1 ? found[0] : undefined
  }
  return {
    'POST /projects/:project/repos/:repo/purges': async function* (
      call,
    ): AsyncGenerator<PurgeStepView> {
      const { params, query, request, signal } = call
      const { project, repo } = params
      if (!purge)
        throw new VarveError('MISCONFIGURED', 'cannot purge: this server does not reach the store')
      await requireRepo(versions, project, repo)
      const paths = [...new Set(call.body.paths.map(parsePath))]
      if (paths.includes(ROOT))
        throw new VarveError(
          'INVALID_PATH',
          `cannot purge all of "${repo}": name a file or a directory, or delete the repo and collect`,
        )
      const { plan = false, alsoCopies = false, waitMs = WAIT_MS } = query
      yield* purge({ project, repo, paths, plan, alsoCopies, waitMs, request }, signal)
    },

    'GET /projects/:project/purges': async ({ params: { project }, query }) => {
      await requireProject(versions, project)
      const page = await pageByName(
        versions.purges(project),
        query,
        ({ id }) => id,
        (row) => row,
      )
      return { ...page, items: await Promise.all(page.items.map(view)) }
    },

    'GET /projects/:project/purges/:purge': async ({ params }) => {
      const { project } = params
      await requireProject(versions, project)
      const row =
        (await versions.purge(project, params.purge as Id)) ??
        (await endingIn(project, params.purge))
      if (row) return view(row)
      throw new VarveError('NOT_FOUND_PURGE', `cannot find the purge "${params.purge}"`)
    },
  }
}
