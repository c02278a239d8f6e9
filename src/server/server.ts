// The HTTP server: routes, page, start and stop.

import type { AddressInfo } from 'node:net'
import diagnostics from 'node:diagnostics_channel'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { VarveError } from '../base/errors.ts'
import type { Handlers } from './call.ts'
import type { Context, Services } from './context.ts'
import { applyHandlers } from './handlers/apply.ts'
import { commitHandlers } from './handlers/commits.ts'
import { eventHandlers } from './handlers/events.ts'
import { fileHandlers } from './handlers/files.ts'
import { metaHandlers } from './handlers/meta.ts'
import { nameHandlers } from './handlers/names.ts'
import { pipelineHandlers } from './handlers/pipelines.ts'
import { riverHandlers } from './handlers/river.ts'
import { egressHandlers, spoutHandlers } from './handlers/streams.ts'
import { servePages } from './pages.ts'
import { errorHandler, registerRoutes } from './register.ts'
import { Rivers } from './river.ts'
import { Tails } from './tail.ts'

export interface ServerOptions extends Services {
  /** What a caller must show; see guard.ts. */
  readonly token: string
  /** Folder of the built page; without it "/" answers NOT_FOUND_ROUTE. */
  readonly consoleFolder?: string
  /** Further routes beside the declared ones: what workers speak. They admit callers themselves. */
  readonly extensions?: readonly ((app: FastifyInstance) => void | Promise<void>)[]
}

export interface Server {
  /** For tests: answers without a socket (`app.inject`). */
  readonly app: FastifyInstance
  /**
   * Listens. A taken port is followed by the next free one of `tries`.
   * @returns the address, `http://127.0.0.1:7070`
   */
  start(at: { host: string; port: number; tries?: number }): Promise<string>
  /** Ends streams and long polls, answers what is under way, closes. */
  close(): Promise<void>
}

const requests = diagnostics.channel('varve:http.request')
const TIB = 2 ** 40
/** Received or sent in one piece; a stream's memory is a few of these. */
const HIGH_WATER_BYTES = 1 << 20

export async function createServer(options: ServerOptions): Promise<Server> {
  const closing = new AbortController()
  const tails = new Tails(options.versions, options.clock)
  const context: Context = { ...options, tails }
  const rivers = new Rivers(context, closing.signal)
  const app = Fastify({
    logger: false,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    // An upload or a followed log may take days; silence is bounded by the header and idle limits.
    requestTimeout: 0,
    routerOptions: { maxParamLength: 500 },
    http: { highWaterMark: HIGH_WATER_BYTES, headersTimeout: 60_000 },
  })
  app.removeAllContentTypeParsers()
  // Bodies are read by the route that knows what they are.
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.setErrorHandler(errorHandler)
  app.addHook('onResponse', (request, reply, done) => {
    if (requests.hasSubscribers)
      requests.publish({
        method: request.method,
        route: request.routeOptions.url ?? 'none',
        status: reply.statusCode,
        durationMs: reply.elapsedTime,
      })
    done()
  })
  const handlers: Handlers = {
    ...metaHandlers(context),
    ...nameHandlers(context),
    ...commitHandlers(context),
    ...fileHandlers(context),
    ...applyHandlers(context),
    ...pipelineHandlers(context),
    ...spoutHandlers(context),
    ...egressHandlers(context),
    ...eventHandlers(context),
    ...riverHandlers(rivers),
  }
  registerRoutes(app, handlers, {
    token: options.token,
    ids: options.ids,
    closing: closing.signal,
    maxUploadBytes: options.maxUploadBytes ?? TIB,
  })
  for (const extend of options.extensions ?? []) await extend(app)
  await servePages(app, { folder: options.consoleFolder, token: options.token })

  return {
    app,
    start: (at) => listen(app, at),
    close: async () => {
      closing.abort()
      tails.close()
      await app.close()
    },
  }
}

async function listen(
  app: FastifyInstance,
  { host, port, tries = 20 }: { host: string; port: number; tries?: number },
): Promise<string> {
  for (let n = 0; ; n++) {
    try {
      await app.listen({ host, port: port === 0 ? 0 : port + n })
      const { port: taken } = app.server.address() as AddressInfo
      return `http://${host.includes(':') ? `[${host}]` : host}:${taken}`
    } catch (error) {
      const { code, message } = error as { code?: string; message: string }
      if (code === 'EADDRINUSE' && port !== 0 && n + 1 < tries) continue
      throw new VarveError('UNAVAILABLE', `cannot listen on ${host} port ${port + n}: ${message}`, {
        cause: error,
      })
    }
  }
}
