import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import {
  AtMs,
  CauseView,
  CommitId,
  CommitRef,
  listOf,
  mapOf,
  nullable,
  oneOf,
  PageQuery,
  pageOf,
  WaitQuery,
} from './shapes.ts'

export const COMMIT_STATES = [
  'open',
  'queued',
  'running',
  'finished',
  'failed',
  'unrunnable',
  'superseded',
  'stopped',
] as const

const COMMIT = {
  repo: Type.String(),
  branch: Type.String(),
  id: CommitId,
  origin: oneOf(['user', 'auto', 'spout']),
  state: oneOf(COMMIT_STATES),
  standing: Type.Boolean({ description: 'Its job runs without end: it is good as it runs' }),
  parent: nullable(CommitId),
  files: nullable(Type.Integer({ description: 'Files in all; null until it ended well' })),
  bytes: nullable(Type.Number()),
  message: nullable(Type.String()),
  provenance: listOf(CommitRef),
  cause: nullable(CauseView),
  feed: nullable(
    Type.Object({
      spout: Type.String(),
      ranges: mapOf(Type.Object({ from: nullable(Type.String()), to: Type.String() })),
    }),
  ),
  openedSeq: Type.Integer(),
  openedAtMs: AtMs,
  endedAtMs: nullable(AtMs),
  droppedAtMs: nullable(
    Type.Number({ description: 'Since when its files can be read no more; null: they can' }),
  ),
}

export const CommitView = Type.Object(COMMIT)
export type CommitView = Static<typeof CommitView>

export const CommitDetail = Type.Object({
  ...COMMIT,
  subvenance: listOf(CommitRef),
})
export type CommitDetail = Static<typeof CommitDetail>

export const listCommits = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos/:repo/commits',
  permission: 'repo:read',
  summary: 'Commits of a repo, newest first',
  query: Type.Object({ ...PageQuery, branch: Type.Optional(Type.String()) }),
  answer: { json: pageOf(CommitView) },
})

export const getCommit = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos/:repo/commits/:ref',
  permission: 'repo:read',
  summary: 'One commit, with what was made from it; a branch means its head',
  answer: { json: CommitDetail },
})

export const getCommitSet = defineRoute({
  method: 'GET',
  path: '/projects/:project/sets/:id',
  permission: 'repo:read',
  summary: 'All commits of one id: what one proposal caused',
  answer: { json: Type.Object({ items: listOf(CommitView) }) },
})

export const startCommit = defineRoute({
  method: 'POST',
  path: '/projects/:project/repos/:repo/branches/:branch/commits',
  permission: 'repo:write',
  summary: 'Open a commit: puts to the branch go into it until it is finished',
  body: { json: Type.Object({ message: Type.Optional(Type.String({ maxLength: 65_536 })) }) },
  answer: { json: CommitView },
})

export const finishCommit = defineRoute({
  method: 'POST',
  path: '/projects/:project/repos/:repo/commits/:ref/finish',
  permission: 'repo:write',
  summary: 'Finish an open commit; a branch means the open commit on it',
  answer: { json: CommitView },
})

export const deleteCommit = defineRoute({
  method: 'DELETE',
  path: '/projects/:project/repos/:repo/commits/:ref',
  permission: 'repo:write',
  summary: 'Give up an open commit with what was put into it; a branch means the open commit on it',
  answer: { json: CommitView },
})

export const dropCommit = defineRoute({
  method: 'POST',
  path: '/projects/:project/repos/:repo/commits/:ref/drop',
  permission: 'repo:admin',
  summary: 'Let the files of an ended commit go for ever; its record stays',
  query: Type.Object({
    dryRun: Type.Optional(Type.Boolean({ description: 'Say what would be dropped, drop nothing' })),
  }),
  answer: { json: CommitView },
})

export const waitCommit = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos/:repo/commits/:ref/wait',
  permission: 'repo:read',
  summary: 'Answer when the commit has ended (a branch means its tip), or after the timeout',
  query: WaitQuery,
  answer: { json: CommitView },
})
