import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { BranchRef, CommitId, KeepView, listOf, nullable, PageQuery, pageOf } from './shapes.ts'

export const BranchView = Type.Object({
  repo: Type.String(),
  branch: Type.String(),
  head: nullable(CommitId),
  tip: nullable(
    Type.Object({ id: CommitId, state: Type.String({ description: 'State of a commit' }) }),
  ),
  provenance: listOf(BranchRef),
  pipeline: nullable(Type.String()),
  epoch: Type.Integer({ description: 'Raised each time a person moves the branch' }),
  keep: nullable(KeepView),
})
export type BranchView = Static<typeof BranchView>

export const listBranches = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos/:repo/branches',
  permission: 'repo:read',
  summary: 'Branches of a repo, by name',
  query: Type.Object(PageQuery),
  answer: { json: pageOf(BranchView) },
})

export const getBranch = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos/:repo/branches/:branch',
  permission: 'repo:read',
  summary: 'One branch',
  answer: { json: BranchView },
})

export const putBranch = defineRoute({
  method: 'PUT',
  path: '/projects/:project/repos/:repo/branches/:branch',
  permission: 'repo:write',
  summary: 'Create a branch, or move its head',
  body: {
    json: Type.Object({
      head: Type.Optional(
        Type.String({ description: 'A branch, commit or ancestor: `master`, an id, `master~2`' }),
      ),
    }),
  },
  answer: { json: BranchView },
})

export const keepBranch = defineRoute({
  method: 'PUT',
  path: '/projects/:project/repos/:repo/branches/:branch/retention',
  permission: 'repo:admin',
  summary: 'Say which of its commits are kept; null: as its repo says',
  body: { json: Type.Object({ keep: nullable(KeepView) }) },
  answer: { json: BranchView },
})

export const deleteBranch = defineRoute({
  method: 'DELETE',
  path: '/projects/:project/repos/:repo/branches/:branch',
  permission: 'repo:write',
  summary: 'Delete a branch; its commits stay',
  query: Type.Object({ force: Type.Optional(Type.Boolean()) }),
  answer: 'none',
})
