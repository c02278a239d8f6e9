// What the token of a spout opens: reading and writing files and commits of one branch of one repo, by
// the routes listed here and no other.
//
// - A route is open because it is named here; one that is new, or gains a way to name something else,
//   is shut until somebody thought about it (test/server/spout-token.test.ts knows what each takes).
// - Names must be the branch's own, exactly: nothing is parsed that could be read in two ways.
// - An id could be any commit's of the repo; it is looked for on the branch only. What leads from one
//   commit to another (`^`, `~n`) may leave the branch, so it is not open.

import { getBranch } from '../api/branches.ts'
import {
  deleteCommit,
  finishCommit,
  getCommit,
  listCommits,
  startCommit,
  waitCommit,
} from '../api/commits.ts'
import {
  deleteFile,
  getChecksum,
  getChecksums,
  getFile,
  getFiles,
  globFiles,
  listFiles,
  putFile,
  putFiles,
  statFile,
} from '../api/files.ts'
import type { Route } from '../api/route.ts'
import { VarveError } from '../base/errors.ts'

export const SPOUT_ROUTES: ReadonlySet<Route> = new Set<Route>([
  getBranch,
  listCommits,
  getCommit,
  startCommit,
  finishCommit,
  deleteCommit,
  waitCommit,
  getFile,
  getChecksum,
  getChecksums,
  getFiles,
  statFile,
  listFiles,
  globFiles,
  putFile,
  putFiles,
  deleteFile,
])

export interface SpoutScope {
  readonly project: string
  readonly pipeline: string
  readonly repo: string
  readonly branch: string
}

export interface Asked {
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, unknown>>
}

const SHORTENED_ID = /^[0-9a-f]{4,32}$/i

/**
 * The parameters of the path as the spout may mean them.
 * @throws VarveError FORBIDDEN, saying what the token is for
 */
export function withinScope(
  route: Route,
  { params, query }: Asked,
  scope: SpoutScope,
): Asked['params'] {
  const { project, repo, branch } = scope
  if (!SPOUT_ROUTES.has(route)) throw refusal(scope, `"${route.method} ${route.path}" is not`)
  if (params['project'] !== project)
    throw refusal(scope, `the project "${params['project']}" is not`)
  if (params['repo'] !== repo) throw refusal(scope, `the repo "${params['repo']}" is not`)
  if ('ref' in params) {
    const ref = refWithin(String(params['ref']), branch)
    if (ref === undefined)
      throw refusal(
        scope,
        `"${params['ref']}" is not: write "${branch}", or the id of a commit of it`,
      )
    return { ...params, ref }
  }
  if ('branch' in params) {
    if (params['branch'] !== branch) throw refusal(scope, `the branch "${params['branch']}" is not`)
  } else if (query['branch'] !== branch)
    throw refusal(scope, `other branches are not: add "?branch=${branch}"`)
  return params
}

function refWithin(ref: string, branch: string): string | undefined {
  if (ref === branch) return ref
  const prefix = `${branch}=`
  const id = ref.startsWith(prefix) ? ref.slice(prefix.length) : ref
  return SHORTENED_ID.test(id) ? prefix + id : undefined
}

function refusal({ project, pipeline, repo, branch }: SpoutScope, why: string): VarveError {
  return new VarveError(
    'FORBIDDEN',
    `cannot do this with the token of the spout "${pipeline}": it opens files and commits of "${repo}@${branch}" in the project "${project}"; ${why}`,
  )
}
