import { must } from '../../base/assert.ts'
import { utf8 } from '../../base/bytes.ts'
import { VarveError } from '../../base/errors.ts'
import type { Commit, CommitKey } from '../../model/entities.ts'
import { commitKey, hasArrived } from '../../model/entities.ts'
import { parseId } from '../../model/id.ts'
import { parseName } from '../../model/name.ts'
import { whyNeededNow } from '../../versions/needed.ts'
import type { VersionEntry } from '../../versions/versions.ts'
import type { Handlers } from '../call.ts'
import type { Context } from '../context.ts'
import { pageBySeq, refOf, requireBranch, requireRepo, tipOrCommit } from '../find.ts'
import { commitView } from '../views.ts'

type Commits = Pick<
  Handlers,
  | 'GET /projects/:project/repos/:repo/commits'
  | 'GET /projects/:project/repos/:repo/commits/:ref'
  | 'GET /projects/:project/sets/:id'
  | 'POST /projects/:project/repos/:repo/branches/:branch/commits'
  | 'POST /projects/:project/repos/:repo/commits/:ref/finish'
  | 'DELETE /projects/:project/repos/:repo/commits/:ref'
  | 'POST /projects/:project/repos/:repo/commits/:ref/drop'
  | 'GET /projects/:project/repos/:repo/commits/:ref/wait'
>

export const DEFAULT_WAIT_MS = 30_000

/** Whether the entry says something of this commit. */
export function concernsCommit(entry: VersionEntry, key: CommitKey): boolean {
  if (!('yes' in entry.decision)) return false
  const wanted = commitKey(key)
  return entry.decision.yes.some((fact) => 'commit' in fact && commitKey(fact.commit) === wanted)
}

function commitIn(
  { decision }: VersionEntry,
  how: 'commit.failed' | 'commit.dropped',
): Commit | undefined {
  for (const fact of 'yes' in decision ? decision.yes : []) if (fact.f === how) return fact.commit
  return undefined
}

export function commitHandlers({ versions, tails }: Context): Commits {
  const view = (row: Commit): ReturnType<typeof commitView> => commitView(versions, row)

  /** Where writing ends: a branch means the open commit on it, if there is one. */
  async function openOrNamed(project: string, repo: string, version: string): Promise<Commit> {
    const ref = refOf(repo, version)
    const branch = ref.back === 0 && ref.branch === undefined ? ref.version : undefined
    const open = branch && (await versions.openCommit(project, { repo, branch }))
    return open || (await versions.resolve(project, ref))
  }

  return {
    'GET /projects/:project/repos/:repo/commits': async ({ params, query }) => {
      const { project, repo } = params
      await requireRepo(versions, project, repo)
      const { branch } = query
      if (branch !== undefined) await requireBranch(versions, project, { repo, branch })
      return pageBySeq(
        (limit, beforeSeq) =>
          versions.commits(project, repo, {
            limit,
            ...(branch === undefined ? {} : { branch }),
            ...(beforeSeq === undefined ? {} : { beforeSeq }),
          }),
        query,
        (row) => row.openedSeq,
        view,
      )
    },

    'GET /projects/:project/repos/:repo/commits/:ref': async ({
      params: { project, repo, ref },
    }) => {
      const row = await versions.resolve(project, refOf(repo, ref))
      const subvenance: CommitKey[] = []
      for await (const key of versions.subvenance(project, row)) subvenance.push(key)
      return { ...(await view(row)), subvenance }
    },

    'GET /projects/:project/sets/:id': async ({ params: { project, id } }) => {
      const rows = await versions.commitSet(project, parseId(id))
      if (rows.length === 0)
        throw new VarveError('NOT_FOUND_COMMIT', `cannot find a commit set "${id}"`)
      return { items: await Promise.all(rows.map(view)) }
    },

    'POST /projects/:project/repos/:repo/branches/:branch/commits': async (call) => {
      const { project, repo } = call.params
      const key = { repo, branch: parseName('branch', call.params.branch) }
      await requireRepo(versions, project, repo)
      const { message } = call.body
      const note = message ? await versions.objects.putBytes(utf8(message)) : null
      await versions.propose(project, [{ op: 'commit.open', branch: key, note }], call.request)
      const row = await versions.commit(project, { ...key, id: call.request.id })
      return view(must(row, `commit "${call.request.id}"`))
    },

    'POST /projects/:project/repos/:repo/commits/:ref/finish': async ({ params, request }) => {
      const row = await openOrNamed(params.project, params.repo, params.ref)
      return view(await versions.finishCommit(params.project, row, request))
    },

    'DELETE /projects/:project/repos/:repo/commits/:ref': async ({ params, request }) => {
      const { project, repo, ref } = params
      // Asked again, a branch would mean another commit than it meant the first time.
      const before = await versions.decisionOf(project, request.id)
      const row =
        (before && commitIn(before, 'commit.failed')) ?? (await openOrNamed(project, repo, ref))
      return view(await versions.abandonCommit(project, row, request))
    },

    'POST /projects/:project/repos/:repo/commits/:ref/drop': async (call) => {
      const { project, repo, ref } = call.params
      // Asked again, a branch would mean another commit than it meant the first time.
      const before = await versions.decisionOf(project, call.request.id)
      const row =
        (before && commitIn(before, 'commit.dropped')) ??
        (await versions.resolve(project, refOf(repo, ref)))
      const key = { repo: row.repo, branch: row.branch, id: row.id }
      if (call.query.dryRun) {
        const why = row.dropped ? undefined : await whyNeededNow(versions, project, row)
        if (why === undefined) return view(row)
        throw new VarveError('HAS_CHILDREN', `cannot drop "${commitKey(row)}": ${why}`)
      }
      await versions.propose(project, [{ op: 'commit.drop', commits: [key] }], call.request)
      return view(must(await versions.commit(project, key), `commit "${commitKey(key)}"`))
    },

    'GET /projects/:project/repos/:repo/commits/:ref/wait': async ({ params, query, signal }) => {
      const { project, repo, ref } = params
      const row = await tipOrCommit(versions, project, repo, ref)
      const ended = await tails.until(project, {
        read: async () => (await versions.commit(project, row)) ?? row,
        done: hasArrived,
        concerns: (entry) => concernsCommit(entry, row),
        timeoutMs: query.timeoutMs ?? DEFAULT_WAIT_MS,
        signal,
      })
      return view(ended)
    },
  }
}
