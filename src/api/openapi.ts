// OpenAPI 3.1 from the declared routes; its schemas are JSON Schema already.

import type { TSchema } from 'typebox'
import { ERRORS } from '../base/errors.ts'
import { ROUTES } from './routes.ts'
import type { Answer, Body, Route } from './route.ts'
import { fullPath, paramNames } from './route.ts'
import { Problem } from './shapes.ts'

const PARAM_WORDS: Readonly<Record<string, string>> = {
  project: 'Name of a project; `default` is there from the start',
  ref: 'A branch (its head), a commit id or the last 4 or more characters of one, with `^`, `~n`',
  job: 'Id of a job, or the last 4 or more characters of it',
}

/** The document served at /api/v1/openapi.json. A pure function of the routes and the version. */
export function openapi(version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of ROUTES as readonly Route[]) {
    const path = fullPath(route).replaceAll(/:([a-z]+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Varve',
      version,
      description: 'Version control and provenance-driven pipelines for data streams',
    },
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: { Problem, ErrorCode: { type: 'string', enum: Object.keys(ERRORS) } },
    },
  }
}

function operation(route: Route): Record<string, unknown> {
  const params = paramNames(route.path).map((name) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
    ...(PARAM_WORDS[name] === undefined ? {} : { description: PARAM_WORDS[name] }),
  }))
  const key =
    route.method === 'GET'
      ? []
      : [
          {
            name: 'Idempotency-Key',
            in: 'header',
            required: false,
            description: 'A UUIDv7: the same key with the same request gives the same answer',
            schema: { type: 'string', format: 'uuid' },
          },
        ]
  return {
    summary: route.summary,
    operationId: operationId(route),
    'x-permission': route.permission,
    ...(route.permission === 'public' ? { security: [] } : {}),
    parameters: [...params, ...queryParams(route.query), ...key],
    ...(route.body === 'none' ? {} : { requestBody: requestBody(route.body) }),
    responses: {
      [route.answer === 'none' ? '204' : '200']: answer(route.answer),
      default: {
        description: 'A problem, with a code of the error table',
        content: {
          'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
        },
      },
    },
  }
}

function queryParams(query: TSchema | undefined): Record<string, unknown>[] {
  const { properties = {}, required = [] } = (query ?? {}) as {
    properties?: Record<string, { description?: string }>
    required?: readonly string[]
  }
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    ...(schema.description === undefined ? {} : { description: schema.description }),
    schema,
  }))
}

const STREAM = { schema: { type: 'string', format: 'binary' } }

function requestBody(body: Exclude<Body, 'none'>): Record<string, unknown> {
  if (typeof body === 'object')
    return { required: true, content: { 'application/json': { schema: body.json } } }
  if (body === 'text')
    return {
      required: true,
      content: { 'application/yaml': { schema: { type: 'string' } }, 'application/json': {} },
    }
  const type = body === 'tar' ? 'application/x-tar' : 'application/octet-stream'
  return { required: true, content: { [type]: STREAM } }
}

function answer(kind: Answer): Record<string, unknown> {
  if (kind === 'none') return { description: 'Done' }
  if (kind === 'text')
    return { description: 'Text', content: { 'text/plain': { schema: { type: 'string' } } } }
  if (kind === 'bytes')
    return { description: 'The content', content: { 'application/octet-stream': STREAM } }
  if (kind === 'tar') return { description: 'An archive', content: { 'application/x-tar': STREAM } }
  if ('json' in kind)
    return { description: 'The answer', content: { 'application/json': { schema: kind.json } } }
  if ('lines' in kind)
    return {
      description: 'One JSON value a line',
      content: { 'application/x-ndjson': { schema: kind.lines } },
    }
  return {
    description: 'Server-sent events whose data is JSON',
    content: { 'text/event-stream': { schema: kind.events } },
  }
}

/** `GET /projects/:project/repos/:repo/commits/:ref/file` gives `get_repos_commits_file`. */
function operationId(route: Route): string {
  const words = route.path.split('/').filter((part) => part !== '' && !part.startsWith(':'))
  const nouns = words[0] === 'projects' && words.length > 1 ? words.slice(1) : words
  const one = route.path.endsWith(`:${paramNames(route.path).at(-1)}`) ? '_one' : ''
  return `${route.method.toLowerCase()}_${nouns.join('_').replaceAll('.', '_')}${one}`
}
