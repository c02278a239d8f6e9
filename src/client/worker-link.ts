// One call of a worker to the API: typed by the declared routes, bounded in time, repeated while the
// server is away. Everything a worker asks may be asked twice, so every call may be repeated.

import type { AnswerOf, BodyOf, QueryOf, Route } from '../api/route.ts'
import { API_PREFIX } from '../api/route.ts'
import { CLAIM_HEADER } from '../api/worker-routes.ts'
import type { WorkerRoutes } from '../api/worker-routes.ts'
import type { Clock } from '../base/clock.ts'
import { isVarveError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { backoffMs, retry } from '../base/retry.ts'
import { problemOf, unreachableServer } from './problem.ts'

export interface LinkOptions {
  /** `http://127.0.0.1:7070` */
  readonly server: string
  readonly token: string
  readonly clock: Clock
  readonly random: Random
  /** Aborted when the worker is to end: from then on a server that is away is not waited for long. */
  readonly stopping?: AbortSignal
  readonly fetch?: typeof fetch
}

export interface WorkerCall<R extends Route> {
  readonly query?: QueryOf<R>
  /** By the route's schema; or bytes. */
  readonly body?: BodyOf<R> | Uint8Array | ReadableStream<Uint8Array>
  readonly ticket?: string | undefined
  /** Where, when it is not the server. */
  readonly at?: string | undefined
  /** Ends the waiting for the answer; one that has begun is read to its end. */
  readonly signal?: AbortSignal
  /** For the answer to begin. */
  readonly timeoutMs?: number
}

const BACKOFF = { firstMs: 100, maxMs: 3_000 }
const ANSWER_MS = 30_000
/** Uploads are answered when a store far away has them. */
const UPLOAD_MS = 300_000
/** How long a server that is away is waited for: a lease may outlive its restart. */
const AWAY_MS = 60_000
const AWAY_STOPPING_MS = 3_000

export class WorkerLink {
  readonly #options: LinkOptions
  readonly #fetch: typeof fetch

  constructor(options: LinkOptions) {
    this.#options = { ...options, server: options.server.replace(/\/$/, '') }
    this.#fetch = options.fetch ?? ((input, init) => fetch(input, init))
  }

  /** @throws VarveError with the server's code, UNAVAILABLE when it cannot be reached */
  async call<K extends keyof WorkerRoutes>(
    key: K,
    given: WorkerCall<WorkerRoutes[K]>,
  ): Promise<AnswerOf<WorkerRoutes[K]>> {
    const response = await this.send(key, given)
    try {
      const text = await response.text()
      return (text === '' ? undefined : JSON.parse(text)) as AnswerOf<WorkerRoutes[K]>
    } catch (error) {
      throw unreachableServer(given.at ?? this.#options.server, error)
    }
  }

  /** `call`, repeated while the server is away or has no room. */
  insist<K extends keyof WorkerRoutes>(
    key: K,
    given: WorkerCall<WorkerRoutes[K]>,
  ): Promise<AnswerOf<WorkerRoutes[K]>> {
    return this.whileAway(() => this.call(key, given))
  }

  /** Repeats `work` while it fails because the server is away; not for ever. */
  async whileAway<T>(work: () => Promise<T>): Promise<T> {
    const { clock, random } = this.#options
    const goesOn = this.patience()
    return retry({ clock, random }, BACKOFF, work, { retryable: goesOn })
  }

  /** Says of each failure in a row whether to try again. */
  patience(): (error: unknown) => boolean {
    const { clock, stopping } = this.#options
    let sinceMs: number | undefined
    return (error) => {
      if (!isAway(error)) return false
      const nowMs = clock.monotonicMs()
      sinceMs ??= nowMs
      return nowMs - sinceMs < (stopping?.aborted ? AWAY_STOPPING_MS : AWAY_MS)
    }
  }

  /** Between two tries of what was cut off while it was read. */
  pause(): Promise<void> {
    const { clock, random } = this.#options
    return clock.sleep(backoffMs(BACKOFF, 2, random))
  }

  /** The answer's head; its body is still to be read. */
  async send<K extends keyof WorkerRoutes>(
    key: K,
    given: WorkerCall<WorkerRoutes[K]>,
  ): Promise<Response> {
    const { server, token, clock } = this.#options
    const base = given.at ?? server
    const [method, path] = key.split(' ', 2) as [string, string]
    const headers: Record<string, string> = { authorization: `Bearer ${token}` }
    if (given.ticket !== undefined) headers[CLAIM_HEADER] = given.ticket
    const ended = new AbortController()
    const cut = new AbortController()
    const onAbort = (): void => cut.abort()
    given.signal?.addEventListener('abort', onAbort, { once: true })
    if (given.signal?.aborted) cut.abort()
    const init: RequestInit & { duplex?: 'half' } = { method, headers, signal: cut.signal }
    const isUpload = given.body instanceof Uint8Array || given.body instanceof ReadableStream
    if (given.body !== undefined) {
      headers['content-type'] = isUpload ? 'application/octet-stream' : 'application/json'
      init.body = (isUpload ? given.body : JSON.stringify(given.body)) as NonNullable<
        RequestInit['body']
      >
      if (given.body instanceof ReadableStream) init.duplex = 'half'
    }
    const streams = given.body instanceof ReadableStream
    const timeoutMs = given.timeoutMs ?? (isUpload ? UPLOAD_MS : ANSWER_MS)
    // How long a stream takes to be sent is its size's affair.
    if (!streams)
      void clock.sleep(timeoutMs, ended.signal).then(() => {
        if (!ended.signal.aborted) cut.abort(new Error(`no answer within ${timeoutMs} ms`))
      })
    let response: Response
    try {
      response = await this.#fetch(base + API_PREFIX + path + queryOf(given.query), init)
    } catch (error) {
      throw unreachableServer(base, error)
    } finally {
      ended.abort()
      given.signal?.removeEventListener('abort', onAbort)
    }
    if (!response.ok) throw await problemOf(response)
    return response
  }
}

/** Whether the same may succeed a little later. */
export function isAway(error: unknown): boolean {
  return isVarveError(error, 'UNAVAILABLE') || isVarveError(error, 'QUOTA')
}

function queryOf(query: object | undefined): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query ?? {}))
    if (value !== undefined) search.set(name, String(value))
  return search.size > 0 ? `?${search.toString()}` : ''
}
