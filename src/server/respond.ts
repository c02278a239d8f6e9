// Answers on the wire: problems, lines, events, bytes.

import { PassThrough, Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import type { Problem } from '../api/shapes.ts'
import { toVarveError } from '../base/errors.ts'
import type { VarveError } from '../base/errors.ts'
import type { Push, Sent } from './call.ts'

/** Buffered between a producer and the socket; beyond it the producer waits. */
const HIGH_WATER_BYTES = 1 << 20
const FLUSH_CHARS = 1 << 16
/** How long a stream may think before its headers go out without a first value. */
const FIRST_VALUE_MS = 200
const KEEP_ALIVE_MS = 15_000

/** @param status what HTTP wants instead of the table's word, for 416 only */
export function problemOf(error: VarveError, status: number = error.spec.status): Problem {
  return {
    type: `https://varve.dev/errors#${error.code}`,
    title: error.code.toLowerCase().replaceAll('_', ' '),
    status,
    detail: error.message,
    code: error.code,
    remedy: error.spec.remedy,
    ...(error.details === undefined ? {} : { details: error.details }),
  }
}

export function sendProblem(reply: FastifyReply, error: VarveError): FastifyReply {
  const problem = problemOf(error)
  if (error.code === 'UNAUTHENTICATED') void reply.header('www-authenticate', 'Bearer')
  if (problem.status === 503 || problem.status === 429) {
    const seconds = error.details?.['retryAfterSeconds']
    void reply.header('retry-after', typeof seconds === 'number' ? String(seconds) : '1')
  }
  return reply
    .code(problem.status)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .send(JSON.stringify(problem))
}

/**
 * NDJSON. An error before the first value becomes a proper answer; a later one is the last line,
 * `{"problem": …}`, because the status has gone out.
 */
export async function sendLines(
  reply: FastifyReply,
  values: AsyncIterable<unknown>,
): Promise<FastifyReply> {
  const text = (value: unknown): string => `${JSON.stringify(value)}\n`
  const stream = await textStream(values, text, (error) => text({ problem: problemOf(error) }))
  return reply.header('content-type', 'application/x-ndjson; charset=utf-8').send(stream)
}

export async function sendEvents(
  reply: FastifyReply,
  values: AsyncIterable<Push<unknown>>,
): Promise<FastifyReply> {
  const text = ({ id, event, data }: Push<unknown>): string =>
    (id === undefined ? '' : `id: ${id}\n`) +
    (event === undefined ? '' : `event: ${event}\n`) +
    `data: ${JSON.stringify(data)}\n\n`
  const problem = (error: VarveError): string => text({ event: 'problem', data: problemOf(error) })
  const stream = await textStream(values, text, problem)
  stream.write(': hello\n\n')
  const beat = setInterval(() => stream.write(': alive\n\n'), KEEP_ALIVE_MS)
  stream.once('close', () => clearInterval(beat))
  return reply
    .header('content-type', 'text/event-stream; charset=utf-8')
    .header('cache-control', 'no-store')
    .header('x-accel-buffering', 'no')
    .send(stream)
}

/** Values as text, many a write when they come fast, at once when they do not. */
async function textStream<T>(
  values: AsyncIterable<T>,
  text: (value: T) => string,
  problem: (error: VarveError) => string,
): Promise<PassThrough> {
  const iterator = values[Symbol.asyncIterator]()
  const first = iterator.next()
  // Whichever is sooner: the first value (or why there is none), or the headers without it.
  let timer: NodeJS.Timeout | undefined
  const patience = new Promise((resolve) => (timer = setTimeout(resolve, FIRST_VALUE_MS)))
  await Promise.race([first, patience]).finally(() => clearTimeout(timer))

  const stream = new PassThrough({ highWaterMark: HIGH_WATER_BYTES })
  stream.once('close', () => void iterator.return?.().catch(() => undefined))
  void pump(first, iterator, stream, text, problem)
  return stream
}

async function pump<T>(
  first: Promise<IteratorResult<T>>,
  iterator: AsyncIterator<T>,
  stream: PassThrough,
  text: (value: T) => string,
  problem: (error: VarveError) => string,
): Promise<void> {
  let waiting = ''
  let flushing: NodeJS.Immediate | undefined
  const flush = (): boolean => {
    clearImmediate(flushing)
    flushing = undefined
    const now = waiting
    waiting = ''
    return now === '' || stream.destroyed || stream.write(now)
  }
  try {
    for (let next = await first; !next.done; next = await iterator.next()) {
      if (stream.destroyed) return
      waiting += text(next.value)
      flushing ??= setImmediate(flush)
      if (waiting.length >= FLUSH_CHARS && !flush()) await drained(stream)
    }
  } catch (error) {
    waiting += problem(toVarveError(error))
  }
  flush()
  stream.end()
}

function drained(stream: PassThrough): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off('drain', done)
      stream.off('close', done)
      resolve()
    }
    stream.on('drain', done)
    stream.on('close', done)
    if (stream.destroyed) done()
  })
}

/** An error while sending cuts the connection: a short answer must never look like a whole one. */
export function sendBytes(reply: FastifyReply, sent: Sent): FastifyReply {
  void reply.code(sent.status ?? 200).header('content-type', sent.contentType)
  for (const [name, value] of Object.entries(sent.headers ?? {})) void reply.header(name, value)
  if (sent.sizeBytes !== undefined) void reply.header('content-length', sent.sizeBytes)
  if (sent.status === 304 || reply.request.method === 'HEAD') return reply.send()
  const options = { objectMode: false, highWaterMark: HIGH_WATER_BYTES }
  return reply.send(Readable.from(sent.content, options))
}
