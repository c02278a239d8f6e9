import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { CommitId, nullable } from './shapes.ts'

const Bytes = (description: string) => Type.Number({ description })

export const UsageView = Type.Object({
  repo: nullable(Type.String({ description: 'Null: all of them' })),
  branch: nullable(Type.String({ description: 'Null: all of the repo' })),
  commit: nullable(CommitId),
  commits: Type.Integer({ description: 'Kept commits with files' }),
  files: Type.Integer({
    description: 'As a reader sees them; at the newest commit of each branch',
  }),
  bytes: Bytes('In those files'),
  storedBytes: Bytes('All it uses of the store, compressed, each piece once'),
  uniqueBytes: Bytes('Of that what nothing else here uses: freed if it alone were dropped'),
  sharedBytes: Bytes('Of that what others here use, too'),
})
export type UsageView = Static<typeof UsageView>

export const getUsage = defineRoute({
  method: 'GET',
  path: '/projects/:project/usage',
  permission: 'repo:read',
  summary: 'What each repo costs; the last line is all of them',
  answer: { lines: UsageView },
})

export const getRepoUsage = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos/:repo/usage',
  permission: 'repo:read',
  summary: 'What each branch of a repo costs, each commit of a branch, or one commit',
  query: Type.Object({
    ref: Type.Optional(
      Type.String({ description: 'A branch: its commits, and all of them last; or a commit' }),
    ),
  }),
  answer: { lines: UsageView },
})
