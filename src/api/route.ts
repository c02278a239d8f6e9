// What a route is. Each is declared once, in the file of its noun; the server implements the
// declaration, the client is typed by it, OpenAPI is printed from it.

import type { Static, TSchema } from 'typebox'

/** What a caller must be allowed to do. `public` asks for no token. */
export type Permission =
  | 'public'
  | 'metrics:read'
  | 'project:read'
  | 'project:admin'
  | 'repo:read'
  | 'repo:write'
  | 'repo:admin'
  | 'pipeline:read'
  | 'pipeline:write'
  | 'spout:read'
  | 'spout:write'
  | 'egress:read'
  | 'egress:write'
  | 'worker:admin'
  /** The routes of workers: a token of theirs, and no other. */
  | 'worker'

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE'

/** How the body travels: JSON by a schema, text, or a stream that is never held whole. */
export type Body = { readonly json: TSchema } | 'none' | 'text' | 'bytes' | 'tar'

/** `lines` is NDJSON, one value a line; `events` are server-sent events with JSON data. */
export type Answer =
  | { readonly json: TSchema }
  | { readonly lines: TSchema }
  | { readonly events: TSchema }
  | 'none'
  | 'text'
  | 'bytes'
  | 'tar'

export interface Route<
  M extends Method = Method,
  P extends string = string,
  Q extends TSchema | undefined = TSchema | undefined,
  B extends Body = Body,
  A extends Answer = Answer,
> {
  readonly method: M
  /** With `:name` for every parameter. Below `/api/v1` unless `atRoot`. */
  readonly path: P
  readonly permission: Permission
  readonly summary: string
  readonly query: Q
  readonly body: B
  readonly answer: A
  readonly atRoot: boolean
}

export type RouteKey<R extends Route> = `${R['method']} ${R['path']}`

/** Names in a path: `/a/:b/c/:d` gives `b | d`. */
type ParamNames<P extends string> = P extends `${infer Head}/${infer Tail}`
  ? ParamNames<Head> | ParamNames<Tail>
  : P extends `:${infer Name}`
    ? Name
    : never

export type ParamsOf<R extends Route> = { readonly [N in ParamNames<R['path']>]: string }
export type QueryOf<R extends Route> = R['query'] extends TSchema
  ? Readonly<Static<R['query']>>
  : Record<never, never>
export type BodyOf<R extends Route> = R['body'] extends { readonly json: infer S extends TSchema }
  ? Static<S>
  : undefined
/** The whole answer, one line of it, or one event. */
export type AnswerOf<R extends Route> = R['answer'] extends
  | { readonly json: infer S extends TSchema }
  | { readonly lines: infer S extends TSchema }
  | { readonly events: infer S extends TSchema }
  ? Static<S>
  : undefined

export function defineRoute<
  const M extends Method,
  const P extends string,
  const A extends Answer,
  Q extends TSchema | undefined = undefined,
  const B extends Body = 'none',
>(route: {
  method: M
  path: P
  permission: Permission
  summary: string
  query?: Q
  body?: B
  answer: A
  atRoot?: boolean
}): Route<M, P, Q, B, A> {
  return {
    ...route,
    query: route.query as Q,
    body: route.body ?? ('none' as B),
    atRoot: route.atRoot ?? false,
  }
}

export const API_PREFIX = '/api/v1'

/** The path as clients send it, parameters still `:name`. */
export function fullPath(route: Route): string {
  return route.atRoot ? route.path : API_PREFIX + route.path
}

/** Names of the parameters of a path, in order. */
export function paramNames(path: string): string[] {
  return [...path.matchAll(/:([a-z]+)/g)].map((match) => match[1] as string)
}
