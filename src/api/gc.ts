import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { oneOf } from './shapes.ts'

const Count = Type.Integer({ minimum: 0 })

/** How far a collection is. The last one has the phase `done`. */
export const GcView = Type.Object({
  phase: oneOf(['marking', 'waiting', 'closing', 'marking-again', 'repacking', 'deleting', 'done']),
  packs: Type.Integer({ minimum: 0, description: 'Packs there were when it began' }),
  packBytes: Count,
  nodes: Type.Integer({ minimum: 0, description: 'Nodes of trees walked so far' }),
  unused: Type.Integer({ minimum: 0, description: 'Packs in which nothing is used' }),
  unusedBytes: Count,
  underHalf: Type.Integer({
    minimum: 0,
    description: 'Packs of which less than half is used: that is carried over, and they go as well',
  }),
  underHalfBytes: Count,
  deleted: Type.Integer({ minimum: 0, description: 'Packs deleted' }),
  deletedBytes: Count,
  repacked: Type.Integer({
    minimum: 0,
    description: 'Of the deleted, packs of which something was carried over',
  }),
  leftovers: Type.Integer({
    minimum: 0,
    description: 'Other objects that nothing names: entries and snapshots of logs',
  }),
})
export type GcView = Static<typeof GcView>

export const collectGarbage = defineRoute({
  method: 'POST',
  path: '/gc',
  permission: 'project:admin',
  summary: 'Delete what nothing names any more, while everything goes on',
  query: Type.Object({
    plan: Type.Optional(Type.Boolean({ description: 'Only say what would go; default false' })),
    waitMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 86_400_000,
        description:
          'Time for writers to learn what is to go, so that fewer have to send again; default 2 minutes',
      }),
    ),
  }),
  answer: { lines: GcView },
})
