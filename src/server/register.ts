// Binds the declared routes to their handlers: who may, what was sent, what goes back.

import { createHash } from 'node:crypto'
import { on } from 'node:events'
import type { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Route } from '../api/route.ts'
import { fullPath } from '../api/route.ts'
import { ROUTES } from '../api/routes.ts'
import { toVarveError, VarveError } from '../base/errors.ts'
import { passed } from '../base/passing.ts'
import { isId, parseId } from '../model/id.ts'
import type { Id } from '../model/id.ts'
import type { Request } from '../versions/versions.ts'
import type { Call, Handlers, Push, Sent } from './call.ts'
import type { Guest } from './guard.ts'
import { sendBytes, sendEvents, sendLines, sendProblem } from './respond.ts'
import type { Check } from './validate.ts'
import { bodyCheck, queryCheck } from './validate.ts'

export interface Doorway {
  /** Who is asking. @throws VarveError UNAUTHENTICATED, FORBIDDEN */
  readonly admit: (request: FastifyRequest, route: Route) => Guest | Promise<Guest>
  readonly ids: () => Id
  /** Aborted when the server stops. */
  readonly closing: AbortSignal
  readonly maxUploadBytes: number
}

const MAX_JSON_BYTES = 1 << 20
const MAX_TEXT_BYTES = 4 << 20
/** Of what came for a request and is not read yet; the stream holds more. */
const WAITING_CHUNKS = { highWaterMark: 8, lowWaterMark: 4 }
const MAX_DRAINED_BYTES = 64 << 20

export function registerRoutes(app: FastifyInstance, handlers: Handlers, door: Doorway): void {
  for (const route of ROUTES as readonly Route[]) {
    const key = `${route.method} ${route.path}` as keyof Handlers
    registerRoute(app, route, handlers[key] as (call: Call<Route>) => unknown, door)
  }
}

/** One declared route with what answers it. */
export function registerRoute(
  app: FastifyInstance,
  route: Route,
  handler: (call: Call<Route>) => unknown,
  door: Doorway,
): void {
  const checkQuery = queryCheck(route.query)
  const checkBody = typeof route.body === 'object' ? bodyCheck(route.body.json) : undefined
  app.route({
    method: hasHead(route) ? ['GET', 'HEAD'] : route.method,
    url: fullPath(route),
    handler: async (request, reply) => {
      try {
        const guest = await door.admit(request, route)
        const query = checkQuery(withoutToken(request.query))
        const limits = { maxUploadBytes: door.maxUploadBytes, stays: guest.stays }
        const body = await readBody(request, route, checkBody, limits)
        const call = makeCall(request, reply, route, door, { guest, query, body })
        return await send(reply, route, handler(call))
      } finally {
        if (!request.raw.readableEnded) drain(request.raw)
      }
    },
  })
}

/**
 * What is left of a body is read, up to a size: a caller still sending never gets to read our answer,
 * and an archive's padding would stand before the next request on its connection.
 */
function drain(body: Readable): void {
  let left = MAX_DRAINED_BYTES
  body.on('data', (chunk: Uint8Array) => {
    left -= chunk.length
    if (left < 0) body.destroy()
  })
  body.resume()
}

/** Streams without an end of their own have no HEAD. */
function hasHead({ method, answer }: Route): boolean {
  const streams = typeof answer === 'object' ? !('json' in answer) : answer === 'tar'
  return method === 'GET' && !streams
}

function withoutToken(query: unknown): Record<string, unknown> {
  const { token: _, ...rest } = query as Record<string, unknown>
  return rest
}

async function readBody(
  request: FastifyRequest,
  route: Route,
  check: Check | undefined,
  { maxUploadBytes, stays }: { readonly maxUploadBytes: number; readonly stays: Guest['stays'] },
): Promise<unknown> {
  if (route.body === 'none') return undefined
  if (route.body === 'bytes' || route.body === 'tar')
    return limited(request.raw, maxUploadBytes, stays)
  const limit = route.body === 'text' ? MAX_TEXT_BYTES : MAX_JSON_BYTES
  const parts: Uint8Array[] = []
  for await (const part of limited(request.raw, limit, stays)) parts.push(part)
  const text = Buffer.concat(parts).toString('utf8')
  if (!check) return text
  let value: unknown
  try {
    value = text === '' ? {} : JSON.parse(text)
  } catch (error) {
    throw new VarveError('INVALID_OPTION', `cannot read the body: ${(error as Error).message}`)
  }
  return check(value)
}

/**
 * The chunks, up to a size, while whoever sends them may stay.
 * @throws VarveError TOO_LARGE, UNAVAILABLE when the sender goes away
 */
async function* limited(
  source: Readable,
  maxBytes: number,
  stays: Guest['stays'],
): AsyncGenerator<Uint8Array> {
  let size = 0
  try {
    for await (const chunk of chunksOf(source)) {
      size += chunk.length
      if (size > maxBytes)
        throw new VarveError('TOO_LARGE', `cannot take over ${maxBytes} bytes in one request`)
      await stays?.()
      passed(chunk.length)
      yield chunk
    }
    await stays?.()
  } catch (error) {
    if ((error as { code?: string }).code === 'ECONNRESET')
      throw new VarveError('UNAVAILABLE', 'cannot read the body: the sender went away', {
        cause: error,
      })
    throw error
  }
}

/**
 * What comes as it comes: the stream's own iterator joins all that waits in a copy. Leaves the stream alive,
 * for the answer goes out on its connection, also where it is not read to the end.
 * @throws what the stream ends with, ECONNRESET
 */
async function* chunksOf(source: Readable): AsyncGenerator<Uint8Array> {
  if (!source.destroyed) {
    const events = on(source, 'data', { close: ['end', 'close'], ...WAITING_CHUNKS })
    for await (const [chunk] of events) yield chunk as Uint8Array
  }
  if (!source.readableEnded)
    throw Object.assign(new Error('the sender went away'), { code: 'ECONNRESET' })
}

function makeCall(
  request: FastifyRequest,
  reply: FastifyReply,
  route: Route,
  door: Doorway,
  given: { readonly guest: Guest; readonly query: unknown; readonly body: unknown },
): Call<Route> {
  const gone = new AbortController()
  let answered = false
  reply.raw.once('finish', () => (answered = true))
  reply.raw.once('close', () => gone.abort())
  // While it was asked who that is.
  if (request.socket.destroyed) gone.abort()
  const parts: string[] = [route.method, request.url.replace(/([?&])token=[^&]*&?/, '$1')]
  if (typeof route.body === 'object' || route.body === 'text')
    parts.push(JSON.stringify(given.body))
  return {
    params: (given.guest.params ?? request.params) as Call<Route>['params'],
    query: given.query as Call<Route>['query'],
    body: given.body as Call<Route>['body'],
    request: requestOf(request, given.guest.principal, door.ids, parts),
    sign: (part) => parts.push(part),
    signal: AbortSignal.any([gone.signal, door.closing]),
    answered: () => answered,
    headers: request.headers as Record<string, string | undefined>,
  }
}

function requestOf(
  request: FastifyRequest,
  principal: string,
  ids: () => Id,
  parts: readonly string[],
): Request {
  const key = request.headers['idempotency-key']
  return {
    id: key === undefined ? ids() : parseKey(String(key)),
    principal,
    // Asked for after the bytes were read and signed.
    get fingerprint() {
      return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
    },
  }
}

function parseKey(text: string): Id {
  if (!isId(text.toLowerCase().replaceAll('-', '')))
    throw new VarveError(
      'INVALID_OPTION',
      `cannot use the Idempotency-Key "${text}": it must be a UUIDv7`,
    )
  return parseId(text)
}

async function send(reply: FastifyReply, route: Route, answer: unknown): Promise<FastifyReply> {
  if (route.answer === 'none') {
    await answer
    return reply.code(204).send()
  }
  if (route.answer === 'text')
    return reply.header('content-type', 'text/plain; charset=utf-8').send(await answer)
  if (route.answer === 'bytes' || route.answer === 'tar')
    return sendBytes(reply, await (answer as Promise<Sent>))
  if ('lines' in route.answer) return sendLines(reply, answer as AsyncIterable<unknown>)
  if ('events' in route.answer) return sendEvents(reply, answer as AsyncIterable<Push<unknown>>)
  return reply
    .header('content-type', 'application/json; charset=utf-8')
    .send(JSON.stringify(await answer))
}

/** Fastify's own refusals (a body too large, an address it cannot read) as errors of the table. */
export function errorHandler(error: unknown, _request: FastifyRequest, reply: FastifyReply): void {
  const { statusCode, message } = error as { statusCode?: number; message?: string }
  const ours =
    error instanceof VarveError || statusCode === undefined || statusCode >= 500
      ? toVarveError(error)
      : new VarveError(
          statusCode === 413 ? 'TOO_LARGE' : 'INVALID_OPTION',
          `cannot read the request: ${message ?? statusCode}`,
        )
  void sendProblem(reply, ours)
}
