// What a process without an API listens with: is it alive, is it ready, its metrics. Nothing else.

import Fastify from 'fastify'
import { VarveError } from '../base/errors.ts'
import type { Handlers } from './call.ts'
import { admit } from './guard.ts'
import { metaHandlers } from './handlers/meta.ts'
import type { MetaOptions } from './handlers/meta.ts'
import { listen } from './listen.ts'
import { errorHandler } from './register.ts'

export interface HealthServer {
  start(at: { host: string; port: number; tries?: number }): Promise<string>
  close(): Promise<void>
}

/** `token`: what readers of the metrics must show. */
export function createHealthServer(
  options: MetaOptions & { readonly token: string },
): HealthServer {
  const app = Fastify({ logger: false, forceCloseConnections: true })
  app.setErrorHandler(errorHandler)
  const meta = metaHandlers(options)
  type Asked = Parameters<Handlers['GET /livez']>[0]
  for (const path of ['/livez', '/readyz'] as const)
    app.get(path, () => meta[`GET ${path}`]({} as Asked))
  app.get('/metrics', async (request, reply) => {
    admit(request, 'metrics:read', options.token)
    return reply.type('text/plain; charset=utf-8').send((await options.metrics?.()) ?? '')
  })
  app.setNotFoundHandler((request) => {
    throw new VarveError(
      'NOT_FOUND_ROUTE',
      `cannot answer ${request.method} "${request.url}": this process has no role "api"`,
    )
  })
  return { start: (at) => listen(app, at), close: () => app.close() }
}
