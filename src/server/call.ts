// One request as a handler sees it, and what a handler may answer.

import type { AnswerOf, BodyOf, ParamsOf, QueryOf, Route } from '../api/route.ts'
import type { AnyRouteKey, Routes } from '../api/routes.ts'
import type { Request } from '../versions/versions.ts'

/** A stream of bytes with what HTTP wants to know of it. */
export interface Sent {
  readonly content: AsyncIterable<Uint8Array>
  readonly contentType: string
  readonly sizeBytes?: number
  readonly status?: 200 | 206 | 304 | 416
  readonly headers?: Readonly<Record<string, string>>
}

export interface Push<T> {
  readonly id?: string
  readonly event?: string
  readonly data: T
}

export interface Call<R extends Route> {
  readonly params: ParamsOf<R>
  readonly query: QueryOf<R>
  readonly body: R['body'] extends 'bytes' | 'tar'
    ? AsyncIterable<Uint8Array>
    : R['body'] extends 'text'
      ? string
      : BodyOf<R>
  /** Id, author and, for writes, what they asked: the fingerprint of a repeated request. */
  readonly request: Request
  /** Adds to what makes the request the same when it is sent again: digests of its bytes. */
  readonly sign: (part: string) => void
  /** Aborted when the caller has gone or the server stops. */
  readonly signal: AbortSignal
  /** Whether the whole answer was handed to the system; asked when the signal is aborted. */
  readonly answered: () => boolean
  readonly headers: Readonly<Record<string, string | undefined>>
}

type Answering<R extends Route> = R['answer'] extends 'bytes' | 'tar'
  ? Promise<Sent>
  : R['answer'] extends 'text'
    ? Promise<string>
    : R['answer'] extends 'none'
      ? Promise<void>
      : R['answer'] extends { readonly json: unknown }
        ? Promise<AnswerOf<R>>
        : R['answer'] extends { readonly lines: unknown }
          ? AsyncIterable<AnswerOf<R>>
          : AsyncIterable<Push<AnswerOf<R>>>

export type Handler<R extends Route> = (call: Call<R>) => Answering<R>
export type Handlers = { readonly [K in AnyRouteKey]: Handler<Routes[K]> }
