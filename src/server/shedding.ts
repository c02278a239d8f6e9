// The door while something is away or the server stops: new work is turned away before its bytes are
// read, everything else goes on. And a count of the work that is inside.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Route } from '../api/route.ts'
import { fullPath } from '../api/route.ts'
import { ROUTES } from '../api/routes.ts'
import { Signal } from '../base/async.ts'

/** Sent as POST, and change nothing. */
const ASKING = new Set(
  (ROUTES as readonly Route[])
    .filter(({ permission }) => permission === 'public' || permission.endsWith(':read'))
    .map((route) => `${route.method} ${fullPath(route)}`),
)
const WORKER_ROUTE = '/worker/'
const CLAIM_ROUTE = '/worker/claim'

/** Whether a request begins something; what a worker does with a chunk it holds has begun already. */
function beginsWork({ method, routeOptions }: FastifyRequest): boolean {
  const url = routeOptions.url
  if (url === undefined || method === 'GET' || method === 'HEAD' || method === 'OPTIONS')
    return false
  if (url.includes(WORKER_ROUTE)) return url.includes(CLAIM_ROUTE)
  return !ASKING.has(`${method} ${url}`)
}

export interface Inside {
  /** Resolves when no work is inside. */
  empty(): Promise<void>
}

/** @param accept throws what turns new work away */
export function watchDoor(app: FastifyInstance, accept: () => void): Inside {
  let inside = 0
  const left = new Signal()
  app.addHook('onRequest', (request, reply, done) => {
    if (!beginsWork(request)) return done()
    try {
      accept()
    } catch (error) {
      // Balancers then choose anew, and the next request finds a server that takes it.
      void reply.header('connection', 'close')
      return done(error as Error)
    }
    inside++
    reply.raw.once('close', () => {
      inside--
      if (inside === 0) left.ring()
    })
    done()
  })
  return {
    async empty() {
      while (inside > 0) await left.wait()
    },
  }
}
