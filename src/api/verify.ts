import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { listOf, oneOf } from './shapes.ts'

const Count = Type.Integer({ minimum: 0 })

const Fault = Type.Object({
  why: Type.String(),
  offset: Type.Optional(Type.Integer({ description: 'Of the damaged frame, in the pack' })),
  length: Type.Optional(Type.Integer()),
  holds: Type.Optional(oneOf(['node', 'chunks'])),
  ids: Type.Optional(
    Type.Unsafe<readonly string[]>(
      Type.Array(Type.String(), {
        description: 'First 8 bytes of what lies there, as far as that can be told',
      }),
    ),
  ),
})

/** A line of what was found. The last one is `done`; `progress` comes now and then. */
export const FindingView = Type.Union([
  Type.Object({
    kind: Type.Literal('progress'),
    doing: oneOf(['packs', 'trees']),
    packs: Count,
    bytes: Count,
    roots: Count,
  }),
  Type.Object({
    kind: Type.Literal('pack'),
    key: Type.String({ description: 'Of the object in the blob store' }),
    state: oneOf(['damaged', 'missing']),
    faults: listOf(Fault),
    moreFaults: Count,
  }),
  Type.Object({
    kind: Type.Literal('hurt'),
    root: Type.String({ description: 'What cannot be read in whole: a commit, its message' }),
    path: Type.String({
      description: 'A file; a directory that cannot be read; empty: all of it',
    }),
    key: Type.String({ description: 'Of the object that is to blame; empty: it cannot be told' }),
    why: Type.String(),
  }),
  Type.Object({
    kind: Type.Literal('done'),
    packs: Type.Integer({ description: 'Packs read' }),
    packsAll: Type.Integer({ description: 'Packs there are' }),
    bytes: Count,
    nodes: Count,
    chunks: Count,
    roots: Count,
    damaged: Count,
    missing: Count,
    hurt: Count,
    unneeded: Type.Integer({ description: 'Packs that nothing needs; no damage' }),
    seed: Count,
  }),
])
export type FindingView = Static<typeof FindingView>

export const verifyStore = defineRoute({
  method: 'GET',
  path: '/verify',
  permission: 'project:admin',
  summary: 'Read what is stored, and say what is damaged or missing and who is hurt by it',
  query: Type.Object({
    project: Type.Optional(Type.String({ description: 'Only what its commits need' })),
    repo: Type.Optional(Type.String({ description: 'Of the project: only what its commits need' })),
    percent: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 100,
        description:
          'Of the packs so many are read; default 100. That all are there is always looked at',
      }),
    ),
    seed: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'Which of them: n, n + 1, n + 2 … reach all; default: by chance',
      }),
    ),
    bytesPerSecond: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Read packs no faster; default: no limit' }),
    ),
  }),
  answer: { lines: FindingView },
})
