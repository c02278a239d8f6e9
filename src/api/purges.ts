import { Type } from 'typebox'
import type { Static } from 'typebox'
import { GcView } from './gc.ts'
import { defineRoute } from './route.ts'
import { AtMs, listOf, nullable, oneOf, pageOf, PageQuery } from './shapes.ts'

const Count = Type.Integer({ minimum: 0 })

/** What was asked for and found, and what came of it. */
export const PurgeReceiptView = Type.Object({
  purge: Type.String({ description: '32 hex digits' }),
  project: Type.String(),
  repo: Type.String(),
  paths: listOf(Type.String()),
  by: Type.String(),
  found: Type.Object({
    trees: listOf(Type.String({ description: 'A commit that had one of the paths' })),
    files: Type.Integer({ minimum: 0, description: 'Different contents at one path count each' }),
    bytes: Count,
    nodes: Type.Integer({ minimum: 0, description: 'Pieces of directories written anew without' }),
    elsewhere: listOf(
      Type.Object({
        name: Type.String(),
        path: Type.String(),
        has: oneOf(
          ['content', 'directory'],
          'The same bytes, which stay; or the very directory, copied there, which loses the entry too',
        ),
      }),
    ),
    elsewhereMore: Type.Integer({ minimum: 0, description: 'How many are not listed' }),
  }),
  derived: listOf(
    Type.Object({
      branch: Type.String({ description: 'repo@branch' }),
      commits: Type.Integer({ description: 'Made from commits that had it, directly or not' }),
    }),
  ),
  outOfReach: listOf(Type.String({ description: 'In words' })),
  done: nullable(
    Type.Object({
      packs: Type.Integer({ description: 'Packs that had some of it, and were written anew' }),
      deletedPacks: Count,
      deletedBytes: Count,
      sharedPieces: Type.Integer({ description: 'Pieces that stay: something else uses them' }),
    }),
  ),
})
export type PurgeReceiptView = Static<typeof PurgeReceiptView>

export const PurgeView = Type.Object({
  id: Type.String({ description: '32 hex digits' }),
  repo: Type.String(),
  state: oneOf(['begun', 'ended'], 'Begun: nobody reads it any more, and its bytes are going'),
  atMs: AtMs,
  receipt: PurgeReceiptView,
})
export type PurgeView = Static<typeof PurgeView>

/** How far a purge is. The last one has the phase `done`; of a plan, `found`. */
export const PurgeStepView = Type.Union([
  Type.Object({ phase: oneOf(['found', 'done']), receipt: PurgeReceiptView }),
  Type.Object({ phase: oneOf(['collecting']), step: GcView }),
])
export type PurgeStepView = Static<typeof PurgeStepView>

export const purgeFiles = defineRoute({
  method: 'POST',
  path: '/projects/:project/repos/:repo/purges',
  permission: 'repo:admin',
  summary: 'Take files out of all commits of a repo, for ever; ids stay as they are',
  query: Type.Object({
    plan: Type.Optional(Type.Boolean({ description: 'Only say what would go; default false' })),
    alsoCopies: Type.Optional(
      Type.Boolean({
        description: 'Directories that were copied elsewhere may lose the entries there as well',
      }),
    ),
    waitMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 86_400_000,
        description: 'Time for writers to learn what is to go; default 2 minutes',
      }),
    ),
  }),
  body: {
    json: Type.Object({
      paths: Type.Array(Type.String({ description: 'A file, or a directory with all below' }), {
        minItems: 1,
        maxItems: 1000,
      }),
    }),
  },
  answer: { lines: PurgeStepView },
})

export const listPurges = defineRoute({
  method: 'GET',
  path: '/projects/:project/purges',
  permission: 'project:read',
  summary: 'Purges, oldest first, with their receipts',
  query: Type.Object(PageQuery),
  answer: { json: pageOf(PurgeView) },
})

export const getPurge = defineRoute({
  method: 'GET',
  path: '/projects/:project/purges/:purge',
  permission: 'project:read',
  summary: 'One purge by its id or the end of it, with its receipt',
  answer: { json: PurgeView },
})
