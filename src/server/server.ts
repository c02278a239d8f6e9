// The HTTP server: routes, page, start and stop.

import diagnostics from 'node:diagnostics_channel'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import type { Handlers } from './call.ts'
import type { Context, Services } from './context.ts'
import { admitGuest } from './guard.ts'
import { applyHandlers } from './handlers/apply.ts'
import { commitHandlers } from './handlers/commits.ts'
import { eventHandlers } from './handlers/events.ts'
import { fileHandlers } from './handlers/files.ts'
import { gcHandlers } from './handlers/gc.ts'
import { purgeHandlers } from './handlers/purges.ts'
import { metaHandlers } from './handlers/meta.ts'
import { nameHandlers } from './handlers/names.ts'
import { pipelineHandlers } from './handlers/pipelines.ts'
import { poolHandlers } from './handlers/pools.ts'
import { rebuildHandlers } from './handlers/rebuild.ts'
import { riverHandlers } from './handlers/river.ts'
import { egressHandlers, spoutHandlers } from './handlers/streams.ts'
import { uploadHandlers } from './handlers/uploads.ts'
import { usageHandlers } from './handlers/usage.ts'
import { verifyHandlers } from './handlers/verify.ts'
import { workerTokenHandlers } from './handlers/worker-tokens.ts'
import { listen } from './listen.ts'
import { servePages } from './pages.ts'
import { errorHandler, registerRoutes } from './register.ts'
import { Rivers } from './river.ts'
import { watchDoor } from './shedding.ts'
import type { SpoutTokens } from './spout-token.ts'
import { Tails } from './tail.ts'

export interface ServerOptions extends Services {
  /** What a caller must show; see guard.ts. */
  readonly token: string
  /** Lets code of spouts in; absent: there is no door for it. */
  readonly spoutTokens?: SpoutTokens
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
  /** Resolves when no request that changes something is under way. */
  idle(): Promise<void>
  /** Ends streams and long polls, answers what is under way, closes. */
  close(): Promise<void>
}

const requests = diagnostics.channel('varve:http.request')
const TIB = 2 ** 40
/** Received or sent in one piece; a stream's memory is a few of these. */
const HIGH_WATER_BYTES = 1 << 19

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
  const inside = watchDoor(app, options.acceptWork ?? (() => undefined))
  const handlers: Handlers = {
    ...metaHandlers(context),
    ...nameHandlers(context),
    ...commitHandlers(context),
    ...fileHandlers(context),
    ...uploadHandlers(context),
    ...usageHandlers(context),
    ...applyHandlers(context),
    ...pipelineHandlers(context),
    ...poolHandlers(context),
    ...spoutHandlers(context),
    ...egressHandlers(context),
    ...eventHandlers(context),
    ...gcHandlers(context),
    ...purgeHandlers(context),
    ...rebuildHandlers(context),
    ...riverHandlers(rivers),
    ...verifyHandlers(context),
    ...workerTokenHandlers(context),
  }
  registerRoutes(app, handlers, {
    admit: (request, route) => admitGuest(request, route, options),
    ids: options.ids,
    closing: closing.signal,
    maxUploadBytes: options.maxUploadBytes ?? TIB,
  })
  for (const extend of options.extensions ?? []) await extend(app)
  await servePages(app, { folder: options.consoleFolder, token: options.token })

  return {
    app,
    start: (at) => listen(app, at),
    idle: () => inside.empty(),
    close: async () => {
      closing.abort()
      tails.close()
      await app.close()
    },
  }
}
