import { Type } from 'typebox'
import type { Graph, GraphEvent } from './graph.ts'
import { defineRoute } from './route.ts'
import { Json, listOf } from './shapes.ts'

export const getGraph = defineRoute({
  method: 'GET',
  path: '/projects/:project/graph',
  permission: 'project:read',
  summary: 'Feeds, repos, pipelines and egresses with their states: what the page draws',
  answer: {
    json: Type.Unsafe<Graph>(
      Type.Object({
        project: Type.String(),
        seq: Type.Integer(),
        nodes: listOf(Json),
        edges: listOf(Json),
        commits: listOf(Json),
        jobs: listOf(Json),
      }),
    ),
  },
})

export const liveGraph = defineRoute({
  method: 'GET',
  path: '/projects/:project/graph/live',
  permission: 'project:read',
  summary: 'The same, kept fresh: the whole graph first, then what changes',
  answer: {
    events: Type.Unsafe<GraphEvent>(
      Type.Object({ type: Type.String() }, { additionalProperties: true }),
    ),
  },
})
