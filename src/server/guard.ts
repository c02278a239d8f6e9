// Who may come in. One token opens everything; it is compared in constant time, sent as
// `Authorization: Bearer`, as `?token=`, or in the cookie that visiting the page with `?token=` sets.
// Code of spouts has tokens of its own (spout-token.ts), sent as `Authorization: Bearer` only.

import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { VarveError } from '../base/errors.ts'
import type { Permission, Route } from '../api/route.ts'
import { isSpoutToken } from './spout-token.ts'
import type { SpoutTokens } from './spout-token.ts'

/** Cookies of one host are shared by all its ports: the name keeps two servers apart. */
export function cookieName(port: number | undefined): string {
  return `varve_token_${port ?? 0}`
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Equal length by hashing first, so that time tells nothing. */
export function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b))
}

/** Whom the guard let in. */
export interface Guest {
  readonly principal: string
  /** Of the path, as this guest may mean them; absent: as they were sent. */
  readonly params?: Readonly<Record<string, string>>
  /** Asked as more of a body comes, and at its end. @throws VarveError UNAUTHENTICATED */
  readonly stays?: () => Promise<void>
}

/**
 * Whoever comes with a token of the server, or, where there are any, of a spout.
 * @throws VarveError UNAUTHENTICATED, FORBIDDEN
 */
export async function admitGuest(
  request: FastifyRequest,
  route: Route,
  keys: { readonly token: string; readonly spoutTokens?: SpoutTokens | undefined },
): Promise<Guest> {
  const { token, spoutTokens } = keys
  const given = bearerOf(request)
  const isSpouts = given !== undefined && isSpoutToken(given) && !sameSecret(given, token)
  if (!isSpouts || !spoutTokens || route.permission === 'public')
    return { principal: admit(request, route.permission, token) }
  const params = request.params as Readonly<Record<string, string>>
  const query = request.query as Readonly<Record<string, unknown>>
  return spoutTokens.admit(given, route, { params, query })
}

/**
 * @returns the principal
 * @throws VarveError UNAUTHENTICATED, FORBIDDEN
 */
export function admit(request: FastifyRequest, permission: Permission, token: string): string {
  if (permission === 'public') return 'anyone'
  if (request.headers.authorization !== undefined) {
    const given = bearerOf(request)
    if (given !== undefined && sameSecret(given, token)) return 'owner'
    throw new VarveError('UNAUTHENTICATED', 'cannot let you in: the bearer token is not the one')
  }
  const inQuery = (request.query as Record<string, unknown>)['token']
  if (typeof inQuery === 'string') {
    if (sameSecret(inQuery, token)) return 'owner'
    throw new VarveError('UNAUTHENTICATED', 'cannot let you in: the token is not the one')
  }
  const cookie = cookieOf(request)
  if (cookie !== undefined && sameSecret(cookie, token)) {
    refuseOtherOrigins(request)
    return 'owner'
  }
  throw new VarveError('UNAUTHENTICATED', 'cannot let you in: no token was sent')
}

/** Also of workers, which are let in elsewhere. */
export function bearerOf(request: FastifyRequest): string | undefined {
  const [scheme, given] = (request.headers.authorization ?? '').split(' ', 2)
  return scheme?.toLowerCase() === 'bearer' && given ? given : undefined
}

function cookieOf(request: FastifyRequest): string | undefined {
  const wanted = `${cookieName(request.socket.localPort)}=`
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const text = part.trim()
    if (text.startsWith(wanted)) return text.slice(wanted.length)
  }
  return undefined
}

/** A cookie travels with requests other pages make; only our own page may change things by it. */
function refuseOtherOrigins(request: FastifyRequest): void {
  const { origin, host } = request.headers
  if (request.method === 'GET' || request.method === 'HEAD') return
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`)
    throw new VarveError('FORBIDDEN', `cannot accept a change asked for by a page of "${origin}"`)
}
