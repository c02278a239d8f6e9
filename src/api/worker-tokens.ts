import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { AtMs } from './shapes.ts'

export const WorkerToken = Type.Object({
  token: Type.String({ description: 'Opens the routes of workers and no other' }),
  pool: Type.String(),
  expiresAtMs: AtMs,
})
export type WorkerToken = Static<typeof WorkerToken>

export const issueWorkerToken = defineRoute({
  method: 'POST',
  path: '/worker-tokens',
  permission: 'worker:admin',
  summary: 'Make a token for the workers of a pool',
  body: {
    json: Type.Object({
      pool: Type.Optional(
        Type.String({
          pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$',
          description: 'Default: `default`',
        }),
      ),
      ttlSeconds: Type.Optional(
        Type.Integer({
          minimum: 60,
          maximum: 31_622_400,
          description: 'How long it opens anything; default 30 days',
        }),
      ),
    }),
  },
  answer: { json: WorkerToken },
})
