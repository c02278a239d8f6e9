import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { AtMs, HindranceView, listOf, nullable, oneOf, PageQuery, pageOf } from './shapes.ts'

const POOL_STATES = ['idle', 'waiting', 'starting', 'running', 'partly', 'unknown'] as const

const Address = nullable(
  Type.String({
    description:
      'Where the code of a service answers, `name.namespace.svc:80`; null: it is of none, or not there yet',
  }),
)

export const PoolView = Type.Object({
  pool: Type.String(),
  project: Type.String({ description: 'Empty: it works for all projects' }),
  pipelines: listOf(Type.String()),
  image: nullable(
    Type.String({ description: 'What the code runs in; null: a process beside its worker' }),
  ),
  state: oneOf(POOL_STATES, '`partly`: some run, not all that are asked for'),
  running: Type.Integer({ description: 'Workers that run' }),
  replicas: Type.Integer({ description: 'Workers asked for' }),
  wanted: Type.Integer({ description: 'Workers the work would keep busy, caps not applied' }),
  cause: nullable(HindranceView),
  address: Address,
  change: nullable(
    Type.String({ description: 'Why it was last made, changed or taken away, in words' }),
  ),
  pods: listOf(
    Type.Object({
      name: Type.String(),
      node: nullable(Type.String()),
      state: oneOf(['waiting', 'starting', 'running', 'failing', 'ended', 'leaving']),
      busy: Type.Boolean({ description: 'It holds work' }),
      cause: nullable(HindranceView),
    }),
  ),
  /** Pods that went otherwise than by being asked to, the newest last. */
  ends: listOf(Type.Object({ pod: Type.String(), cause: HindranceView, atMs: AtMs })),
})
export type PoolView = Static<typeof PoolView>

/** What a pipeline's answer says of the pool that does its work. */
export const PipelinePool = Type.Object({
  pool: nullable(Type.String({ description: 'Null while nobody reports which one it is' })),
  state: oneOf(POOL_STATES),
  running: Type.Integer(),
  replicas: Type.Integer(),
  wanted: Type.Integer(),
  cause: nullable(HindranceView),
  address: Address,
})
export type PipelinePool = Static<typeof PipelinePool>

export const PoolDemand = Type.Object({
  pool: Type.String(),
  wanted: Type.Integer({ description: 'Workers the work that waits or runs would keep busy' }),
  running: Type.Integer(),
  replicas: Type.Integer(),
})
export type PoolDemand = Static<typeof PoolDemand>

export const listPools = defineRoute({
  method: 'GET',
  path: '/projects/:project/pools',
  permission: 'pipeline:read',
  summary: 'Pools of workers, by name, with what is in their way',
  query: Type.Object(PageQuery),
  answer: { json: pageOf(PoolView) },
})

export const getPool = defineRoute({
  method: 'GET',
  path: '/projects/:project/pools/:pool',
  permission: 'pipeline:read',
  summary: 'One pool: its pods, why they do not run, what to try next',
  answer: { json: PoolView },
})

export const getPoolDemand = defineRoute({
  method: 'GET',
  path: '/projects/:project/pools/:pool/demand',
  permission: 'pipeline:read',
  summary: 'The same in flat numbers, for an autoscaler; 503 while nobody reports them',
  answer: { json: PoolDemand },
})
