import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { listOf, oneOf } from './shapes.ts'

/** How far a rebuild is. The last one has the phase `done`. */
export const RebuildView = Type.Object({
  phase: oneOf(['filling', 'comparing', 'switching', 'done']),
  view: Type.Integer({ description: 'The view of the rows that is made' }),
  seq: Type.Integer({ description: 'The entry of the log it stands at' }),
  through: Type.Integer({ description: 'The entry it is to stand at' }),
  rows: Type.Integer({ description: 'Rows compared so far' }),
  differing: Type.Integer({ description: 'How many of them differ' }),
  examples: listOf(Type.String()),
})
export type RebuildView = Static<typeof RebuildView>

export const rebuildProject = defineRoute({
  method: 'POST',
  path: '/projects/:project/rebuild',
  permission: 'project:admin',
  summary: "Make a project's rows again from its log, and read those from then on",
  query: Type.Object({
    check: Type.Optional(
      Type.Boolean({ description: 'Only compare them with the rows in use; default false' }),
    ),
  }),
  answer: { lines: RebuildView },
})
