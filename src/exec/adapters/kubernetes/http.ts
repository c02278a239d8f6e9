// Questions over HTTP to the API server. We send them ourselves because the library's streams raise errors
// nobody can catch when a connection is lost, and its objects turn times into dates that no longer equal
// what the server sent.
// Invariants:
// - every question ends within its time, also when the API server is frozen;
// - whatever goes wrong comes as a KubernetesError whose `reason` says what may be done about it.

import { request as requestPlain } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { request as requestTls } from 'node:https'
import type { RequestOptions } from 'node:https'
import { StringDecoder } from 'node:string_decoder'
import { lost, refusal } from './refusal.ts'
import type { Asked } from './refusal.ts'

const MAX_ANSWER_BYTES = 256 * 2 ** 20

/** What the library is used for: the address of the cluster and how to log in there. */
export interface Login {
  getCurrentCluster(): { readonly server: string } | null
  applyToHTTPSOptions(options: RequestOptions): Promise<void>
}

export interface Question extends Asked {
  readonly method: string
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly accept?: string
  readonly body?: { readonly type: string; readonly value: unknown }
}

export class KubernetesHttp {
  readonly #login: Login
  readonly #server: string
  readonly #requestTimeoutMs: number

  constructor(login: Login, server: string, requestTimeoutMs: number) {
    this.#login = login
    this.#server = server.replace(/\/$/, '')
    this.#requestTimeoutMs = requestTimeoutMs
  }

  /** The answer, as JSON. */
  async ask(question: Question): Promise<unknown> {
    const signal = AbortSignal.timeout(this.#requestTimeoutMs)
    const answer = await this.#open(question, signal)
    try {
      return JSON.parse(await whole(answer)) as unknown
    } catch (error) {
      throw lost(question, error)
    }
  }

  /** The lines of an answer as they come. A last line without its end is given too. */
  async *lines(question: Question, signal: AbortSignal): AsyncGenerator<string> {
    // Only the wait for the first byte is bounded here: who reads bounds the silence after it.
    const opening = new AbortController()
    const late = setTimeout(
      () => opening.abort(new Error('no answer in time')),
      this.#requestTimeoutMs,
    )
    const answer = await this.#open(question, AbortSignal.any([signal, opening.signal])).finally(
      () => clearTimeout(late),
    )
    const decoder = new StringDecoder('utf8')
    let rest = ''
    try {
      for await (const bytes of answer) {
        const lines = (rest + decoder.write(bytes as Buffer)).split('\n')
        rest = lines.pop() ?? ''
        yield* lines
      }
    } catch (error) {
      throw lost(question, error)
    } finally {
      answer.destroy()
    }
    if (rest !== '') yield rest
  }

  /** The answer's head with status 200 to 299. @throws KubernetesError */
  async #open(question: Question, signal: AbortSignal): Promise<IncomingMessage> {
    const url = new URL(this.#server + question.path)
    for (const [name, value] of Object.entries(question.query ?? {}))
      if (value !== undefined) url.searchParams.set(name, value)
    const body = question.body === undefined ? undefined : JSON.stringify(question.body.value)
    const options: RequestOptions = {
      method: question.method,
      signal,
      headers: {
        accept: `application/json${question.accept ?? ''}`,
        'user-agent': 'varve',
        ...(body === undefined
          ? {}
          : {
              'content-type': question.body?.type,
              'content-length': Buffer.byteLength(body),
            }),
      },
    }
    let answer: IncomingMessage
    try {
      await this.#login.applyToHTTPSOptions(options)
      answer = await send(url, options, body)
    } catch (error) {
      throw lost(question, error)
    }
    const status = answer.statusCode ?? 0
    if (status >= 200 && status < 300) return answer
    const text = await whole(answer).catch(() => '')
    throw refusal(question, status, statusObject(text))
  }
}

function send(
  url: URL,
  options: RequestOptions,
  body: string | undefined,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'http:' ? requestPlain : requestTls)(url, options, resolve)
    // Stays for the life of the socket: an error after the answer's head is the reader's to see.
    request.on('error', reject)
    request.end(body)
  })
}

async function whole(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  let size = 0
  for await (const bytes of answer) {
    parts.push(bytes as Buffer)
    size += (bytes as Buffer).length
    if (size > MAX_ANSWER_BYTES) throw new Error(`the answer is over ${MAX_ANSWER_BYTES} bytes`)
  }
  return Buffer.concat(parts).toString('utf8')
}

/** What the server says beside a status that is none of success. */
function statusObject(text: string): { message?: string; reason?: string } {
  try {
    return JSON.parse(text) as { message?: string; reason?: string }
  } catch {
    return { message: text.slice(0, 500).trim() }
  }
}
