// Who may come in. One token opens everything; it is compared in constant time, sent as
// `Authorization: Bearer`, as `?token=`, or in the cookie that visiting the page with `?token=` sets.

import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { VarveError } from '../base/errors.ts'
import type { Permission } from '../api/route.ts'

/** Cookies of one host are shared by all its ports: the name keeps two servers apart. */
export function cookieName(port: number | undefined): string {
  return `varve_token_${port ?? 0}`
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Equal length by hashing first, so that time tells nothing. */
export function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b))
}

/**
 * @returns the principal
 * @throws VarveError UNAUTHENTICATED, FORBIDDEN
 */
export function admit(request: FastifyRequest, permission: Permission, token: string): string {
  if (permission === 'public') return 'anyone'
  const header = request.headers.authorization
  if (header !== undefined) {
    const [scheme, given] = header.split(' ', 2)
    if (scheme?.toLowerCase() === 'bearer' && given && sameSecret(given, token)) return 'owner'
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
