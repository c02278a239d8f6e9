import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { Json, listOf } from './shapes.ts'

export const Version = Type.Object({
  version: Type.String(),
  node: Type.String(),
  /** Features a client may ask for. */
  features: listOf(Type.String()),
})
export type Version = Static<typeof Version>

export const getVersion = defineRoute({
  method: 'GET',
  path: '/version',
  permission: 'public',
  summary: 'Version of the server',
  answer: { json: Version },
})

export const getOpenapi = defineRoute({
  method: 'GET',
  path: '/openapi.json',
  permission: 'public',
  summary: 'Every route, as OpenAPI 3.1',
  answer: { json: Json },
})

export const getLivez = defineRoute({
  method: 'GET',
  path: '/livez',
  permission: 'public',
  summary: 'The process runs; asks nothing else',
  answer: { json: Type.Object({ status: Type.Literal('ok') }) },
  atRoot: true,
})

export const getReadyz = defineRoute({
  method: 'GET',
  path: '/readyz',
  permission: 'public',
  summary: 'The process and what it needs can serve; 503 otherwise',
  answer: { json: Type.Object({ status: Type.Literal('ok') }) },
  atRoot: true,
})

export const getMetrics = defineRoute({
  method: 'GET',
  path: '/metrics',
  permission: 'metrics:read',
  summary: 'Metrics in the text format of Prometheus',
  answer: 'text',
  atRoot: true,
})
