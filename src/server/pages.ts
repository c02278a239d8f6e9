// The console's files. Every address that is neither a file nor the API's shows the page, which reads
// its state from the address.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { VarveError } from '../base/errors.ts'
import { API_PREFIX } from '../api/route.ts'
import { cookieName, sameSecret } from './guard.ts'
import { sendProblem } from './respond.ts'

const POLICY =
  "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; " +
  "img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'"

/** How long a browser keeps the token it was shown: until it is closed, and 30 days at most. */
const COOKIE_AGE_S = 30 * 24 * 3600

export async function servePages(
  app: FastifyInstance,
  options: { readonly folder: string | undefined; readonly token: string },
): Promise<void> {
  const { folder, token } = options
  if (folder !== undefined) {
    const { default: staticFiles } = await import('@fastify/static')
    await app.register(staticFiles, {
      root: folder,
      wildcard: false,
      index: false,
      // The hash in an asset's name is its version.
      setHeaders: (reply, path) => {
        const fixed = path.includes('/assets/')
        void reply.header(
          'cache-control',
          fixed ? 'public, max-age=31536000, immutable' : 'no-cache',
        )
        void reply.header('content-security-policy', POLICY)
        void reply.header('x-content-type-options', 'nosniff')
        void reply.header('referrer-policy', 'no-referrer')
      },
    })
  }
  app.setNotFoundHandler((request, reply) => {
    const [path = '/'] = request.url.split('?')
    const isPage =
      (request.method === 'GET' || request.method === 'HEAD') &&
      !path.startsWith(API_PREFIX) &&
      !/\.[a-z0-9]+$/i.test(path)
    if (!isPage || folder === undefined) {
      request.raw.resume()
      const text = `cannot find "${request.method} ${path}": there is no such route`
      return sendProblem(reply, new VarveError('NOT_FOUND_ROUTE', text))
    }
    const given = (request.query as { token?: unknown }).token
    if (typeof given === 'string') return takeToken(request, reply, given, token)
    return reply.type('text/html; charset=utf-8').sendFile('index.html')
  })
}

/** Moves the token from the address, where it would be seen and kept, into a cookie. */
function takeToken(
  request: FastifyRequest,
  reply: FastifyReply,
  given: string,
  token: string,
): FastifyReply {
  const url = new URL(request.url, 'http://localhost')
  url.searchParams.delete('token')
  // A path of two slashes would lead to another host.
  const target = url.pathname.replace(/^\/+/, '/') + url.search
  if (sameSecret(given, token)) {
    const name = cookieName(request.socket.localPort)
    const flags = `Path=/; HttpOnly; SameSite=Strict; Max-Age=${COOKIE_AGE_S}`
    void reply.header('set-cookie', `${name}=${token}; ${flags}`)
  }
  return reply.header('cache-control', 'no-store').redirect(target, 302)
}
