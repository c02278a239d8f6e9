import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { AtMs, KeepView, nullable, PageQuery, pageOf } from './shapes.ts'

export const RepoView = Type.Object({
  name: Type.String(),
  pipeline: nullable(Type.String({ description: 'The pipeline that owns it' })),
  createdAtMs: AtMs,
  branches: Type.Integer(),
  files: Type.Integer({ description: 'At the head of its default branch, or its only one' }),
  bytes: Type.Number(),
  keep: nullable(KeepView),
})
export type RepoView = Static<typeof RepoView>

export const listRepos = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos',
  permission: 'repo:read',
  summary: 'Repos, by name',
  query: Type.Object(PageQuery),
  answer: { json: pageOf(RepoView) },
})

export const createRepo = defineRoute({
  method: 'POST',
  path: '/projects/:project/repos',
  permission: 'repo:admin',
  summary: 'Create a repo',
  body: { json: Type.Object({ name: Type.String() }) },
  answer: { json: RepoView },
})

export const getRepo = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos/:repo',
  permission: 'repo:read',
  summary: 'One repo',
  answer: { json: RepoView },
})

export const keepRepo = defineRoute({
  method: 'PUT',
  path: '/projects/:project/repos/:repo/retention',
  permission: 'repo:admin',
  summary: 'Say which commits of its branches are kept; null: all of them',
  body: { json: Type.Object({ keep: nullable(KeepView) }) },
  answer: { json: RepoView },
})

export const deleteRepo = defineRoute({
  method: 'DELETE',
  path: '/projects/:project/repos/:repo',
  permission: 'repo:admin',
  summary: 'Delete a repo with its branches and commits',
  query: Type.Object({
    force: Type.Optional(Type.Boolean({ description: 'Also when others are made from it' })),
  }),
  answer: 'none',
})
