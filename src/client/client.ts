// The typed client. Types come from the declared routes, nothing of them is loaded: a call names its
// route as `METHOD path` and the compiler knows parameters, query, body and answer. Works in Node and
// in browsers.

import { systemClock } from '../base/clock.ts'
import { isVarveError, VarveError } from '../base/errors.ts'
import { systemRandom } from '../base/random.ts'
import { idSource } from '../model/id.ts'
import type { Routes } from '../api/routes.ts'
import type { AnswerOf, BodyOf, ParamsOf, QueryOf, Route } from '../api/route.ts'
import { problemOf, unreachableServer } from './problem.ts'
import type { ServerEvent } from './streams.ts'
import { bodyChunks, jsonLines, serverEvents } from './streams.ts'

type KeysOf<Kind> = {
  [K in keyof Routes]: Routes[K]['answer'] extends Kind ? K : never
}[keyof Routes]
type KeysWithBody<Kind> = {
  [K in keyof Routes]: Routes[K]['body'] extends Kind ? K : never
}[keyof Routes]

export type JsonKey = Exclude<
  KeysOf<{ readonly json: unknown } | 'none' | 'text'>,
  KeysWithBody<'bytes' | 'tar'>
>
export type LinesKey = KeysOf<{ readonly lines: unknown }>
export type EventsKey = KeysOf<{ readonly events: unknown }>
export type DownloadKey = KeysOf<'bytes' | 'tar'>
export type UploadKey = KeysWithBody<'bytes' | 'tar'>

type Loose<T> = { readonly [K in keyof T]: T[K] | undefined }
type ParamsArg<R extends Route> = keyof ParamsOf<R> extends never
  ? { readonly params?: undefined }
  : { readonly params: ParamsOf<R> }
type QueryArg<R extends Route> =
  Record<never, never> extends QueryOf<R>
    ? { readonly query?: Loose<QueryOf<R>> | undefined }
    : { readonly query: Loose<QueryOf<R>> }
type BodyArg<R extends Route> = R['body'] extends 'text'
  ? { readonly body: string }
  : BodyOf<R> extends undefined
    ? { readonly body?: undefined }
    : { readonly body: BodyOf<R> }

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  /** A UUIDv7; the same key with the same request gives the same answer. Default: a new one. */
  readonly idempotencyKey?: string | undefined
}
export type CallArgs<K extends keyof Routes> = CallOptions &
  ParamsArg<Routes[K]> &
  QueryArg<Routes[K]> &
  BodyArg<Routes[K]>
type Rest<A> = Record<never, never> extends A ? [args?: A] : [args: A]

/** A function opens the same bytes anew whenever it is called: what it gives can be sent again. */
export type Content =
  | Blob
  | Uint8Array
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | (() => AsyncIterable<Uint8Array>)

export interface Download {
  /** Undefined when the server does not know beforehand (archives). */
  readonly sizeBytes: number | undefined
  readonly contentType: string
  /** Of which byte on it is: 0 when the whole was sent although a part was asked for. */
  readonly offset: number
  /** Of a file: that of its whole content, as listings show it. */
  readonly digest: string | undefined
  readonly content: AsyncIterable<Uint8Array>
}

export interface ClientOptions {
  /** `http://127.0.0.1:7070`; empty: the page's own server. */
  readonly baseUrl: string
  readonly token?: string | undefined
  readonly fetch?: typeof fetch
}

interface AnyArgs extends CallOptions {
  readonly params?: object | undefined
  readonly query?: object | undefined
  readonly body?: unknown
}

/** How often a request is sent, under one key, while the server answers that it should be. */
const MAX_TRIES = 10
const newKey = idSource(systemClock, systemRandom)

export class Client {
  readonly baseUrl: string
  readonly #token: string | undefined
  readonly #fetch: typeof fetch

  constructor(options: ClientOptions) {
    this.baseUrl = options.baseUrl.replace(/\/$/, '')
    this.#token = options.token
    this.#fetch = options.fetch ?? ((input, init) => fetch(input, init))
  }

  /** @throws VarveError with the server's code, UNAVAILABLE when it cannot be reached */
  async call<K extends JsonKey>(
    key: K,
    ...[args]: Rest<CallArgs<K>>
  ): Promise<AnswerOf<Routes[K]>> {
    const given: AnyArgs = { idempotencyKey: newKey(), ...(args as AnyArgs | undefined) }
    const answer = await this.#insist(given, () => this.#send(key, given, sentBody(given.body)))
    return answer as AnswerOf<Routes[K]>
  }

  /** Sends it again, under its key, where the server asks for that and the content is there again. */
  async #insist(
    { signal }: CallOptions,
    send: () => Promise<Response>,
    mayRepeat = true,
  ): Promise<unknown> {
    for (let attempt = 1; ; attempt++)
      try {
        return await answerOf(await send())
      } catch (error) {
        if (!mayRepeat || !wantsAgain(error) || attempt >= MAX_TRIES || signal?.aborted) throw error
      }
  }

  /** Every item of a paged list, page by page. */
  async *pages<T>(
    page: (after: string | undefined) => Promise<{ items: readonly T[]; next: string | null }>,
    limit = Infinity,
  ): AsyncGenerator<T> {
    let left = limit
    let after: string | undefined
    do {
      const { items, next } = await page(after)
      for (const item of items) {
        if (left-- <= 0) return
        yield item
      }
      after = next ?? undefined
    } while (after !== undefined && left > 0)
  }

  /** One value a line, as they come. */
  async *lines<K extends LinesKey>(
    key: K,
    ...[args]: Rest<CallArgs<K>>
  ): AsyncGenerator<AnswerOf<Routes[K]>> {
    const given = (args ?? {}) as AnyArgs
    const response = await this.#send(key, given, sentBody(given.body))
    yield* jsonLines(response) as AsyncGenerator<AnswerOf<Routes[K]>>
  }

  /**
   * Server-sent events, as long as the signal is not aborted. A lost connection is opened again after
   * a second from the last id; the caller sees a pause, or UNAVAILABLE when the first one fails.
   */
  async *events<K extends EventsKey>(
    key: K,
    args: CallArgs<K> & { readonly lastEventId?: string | undefined },
  ): AsyncGenerator<ServerEvent<AnswerOf<Routes[K]>>> {
    let lastEventId = args.lastEventId
    for (let first = true; !args.signal?.aborted; first = false) {
      try {
        const headers: Record<string, string> = lastEventId ? { 'last-event-id': lastEventId } : {}
        const response = await this.#send(key, args as AnyArgs, undefined, headers)
        for await (const event of serverEvents<AnswerOf<Routes[K]>>(response)) {
          if (event.id !== undefined) lastEventId = event.id
          yield event
        }
      } catch (error) {
        if (args.signal?.aborted) return
        if (first || !isVarveError(error, 'UNAVAILABLE')) throw error
      }
      await systemClock.sleep(1000, args.signal)
    }
  }

  /**
   * @param args.range bytes [offset, offset + length) of a file
   * @param args.ifDigest send the range of this content only, of any other the whole
   */
  async download<K extends DownloadKey>(
    key: K,
    args: CallArgs<K> & {
      readonly range?: { offset: number; length?: number } | undefined
      readonly ifDigest?: string | undefined
    },
  ): Promise<Download> {
    const { range, ifDigest } = args
    const end = range?.length === undefined ? '' : range.offset + range.length - 1
    const headers: Record<string, string> = range ? { range: `bytes=${range.offset}-${end}` } : {}
    if (ifDigest !== undefined) headers['if-range'] = `"${ifDigest}"`
    const response = await this.#send(key, args as AnyArgs, undefined, headers)
    const size = response.headers.get('content-length')
    return {
      sizeBytes: size === null ? undefined : Number(size),
      contentType: response.headers.get('content-type') ?? 'application/octet-stream',
      digest: /^"(.*)"$/.exec(response.headers.get('etag') ?? '')?.[1],
      offset: response.status === 206 ? (range?.offset ?? 0) : 0,
      content: bodyChunks(response),
    }
  }

  /**
   * Sends a stream without holding it; memory stays bounded by the transport's buffers. Content that can
   * be read again (a blob, bytes, a function) is sent again where a collection of the store came between.
   * @throws VarveError SESSION_CLOSED when it did and the content is gone: give it once more
   */
  async upload<K extends UploadKey>(
    key: K,
    args: CallArgs<K> & { readonly content: Content },
  ): Promise<AnswerOf<Routes[K]>> {
    const given: AnyArgs = { idempotencyKey: newKey(), ...(args as AnyArgs) }
    const { content } = args
    const send = async (): Promise<Response> => {
      const source = new Source(content)
      try {
        const { body } = source
        return await this.#send(key, given, { type: 'application/octet-stream', body })
      } catch (error) {
        // A source that fails breaks the connection: what it failed of says more.
        throw source.failure ?? error
      }
    }
    return (await this.#insist(given, send, isRepeatable(content))) as AnswerOf<Routes[K]>
  }

  /** The address of a route's answer, for links and `img`; carries no token. */
  url<K extends keyof Routes>(key: K, args: Pick<CallArgs<K>, 'params' | 'query'>): string {
    return this.baseUrl + pathOf(key, args as AnyArgs)
  }

  async #send(
    key: keyof Routes,
    args: AnyArgs,
    body: SentBody | undefined,
    extra: Record<string, string> = {},
  ): Promise<Response> {
    const method = key.slice(0, key.indexOf(' '))
    const headers: Record<string, string> = { ...extra }
    if (this.#token) headers['authorization'] = `Bearer ${this.#token}`
    if (method !== 'GET' && args.idempotencyKey) headers['idempotency-key'] = args.idempotencyKey
    if (body) headers['content-type'] = body.type
    const init: RequestInit & { duplex?: 'half' } = { method, headers }
    if (args.signal) init.signal = args.signal
    if (body) {
      init.body = body.body as NonNullable<RequestInit['body']>
      if (body.body instanceof ReadableStream) init.duplex = 'half'
    }
    let response: Response
    try {
      response = await this.#fetch(this.baseUrl + pathOf(key, args), init)
    } catch (error) {
      if (args.signal?.aborted) throw error
      throw unreachableServer(this.baseUrl, error)
    }
    if (!response.ok) throw await problemOf(response)
    return response
  }
}

interface SentBody {
  readonly type: string
  readonly body: string | Uint8Array | Blob | ReadableStream<Uint8Array>
}

function sentBody(body: unknown): SentBody | undefined {
  if (body === undefined) return undefined
  if (typeof body === 'string') return { type: 'text/plain; charset=utf-8', body }
  return { type: 'application/json', body: JSON.stringify(body) }
}

/** Not decided yet, or what it was built on was collected meanwhile. */
function wantsAgain(error: unknown): boolean {
  if (isVarveError(error, 'SESSION_CLOSED')) return true
  return isVarveError(error, 'UNAVAILABLE') && error.details?.['pending'] === true
}

function isRepeatable(content: Content): boolean {
  return content instanceof Uint8Array || content instanceof Blob || isFunction(content)
}

function isFunction(content: Content): content is () => AsyncIterable<Uint8Array> {
  return typeof content === 'function'
}

/** The bytes of one request, and why there are no more of them. */
class Source {
  readonly body: SentBody['body']
  failure: unknown

  constructor(content: Content) {
    const isBody =
      content instanceof Uint8Array || content instanceof ReadableStream || content instanceof Blob
    this.body = isBody ? content : this.#stream(isFunction(content) ? content() : content)
  }

  #stream(source: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
    const iterator = source[Symbol.asyncIterator]()
    const failed = (error: unknown): void => void (this.failure = error)
    return new ReadableStream<Uint8Array>({
      async pull(controller) {
        try {
          const { done, value } = await iterator.next()
          if (done) controller.close()
          else controller.enqueue(value)
        } catch (error) {
          failed(error)
          throw error
        }
      },
      async cancel() {
        await iterator.return?.()
      },
    })
  }
}

async function answerOf(response: Response): Promise<unknown> {
  if (response.status === 204) return undefined
  const json = response.headers.get('content-type')?.includes('json') ?? false
  return json ? response.json() : response.text()
}

const ROOT_PATHS = ['/livez', '/readyz', '/metrics']

function pathOf(key: string, args: AnyArgs): string {
  const pattern = key.slice(key.indexOf(' ') + 1)
  const params = (args.params ?? {}) as Record<string, string>
  const path = pattern.replaceAll(/:([a-z]+)/g, (_, name: string) => {
    const value = params[name]
    if (!value) throw new VarveError('INVALID_OPTION', `cannot call "${key}": no ${name} is given`)
    return encodeURIComponent(value)
  })
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(args.query ?? {}))
    if (value !== undefined) query.set(name, String(value))
  const search = query.size > 0 ? `?${query.toString()}` : ''
  return (ROOT_PATHS.includes(pattern) ? '' : '/api/v1') + path + search
}
