// A front before a real HTTP server, for faults that need to know where a request begins and ends.
// Whatever it does not spoil, it forwards as it came.

import { once } from 'node:events'
import { createServer, request as forward } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What happens to one request. */
export type Spoil =
  /** Not forwarded: this is the answer. */
  | { readonly answer: Answer }
  /** Forwarded and carried out, but answered with this. */
  | { readonly instead: Answer }
  /** Forwarded after so long, unless the client has gone. */
  | { readonly stallMs: number }
  /** The answer ends after so many bytes of its body: the connection breaks, or (`quietly`) lies about the length. */
  | { readonly cutAfterBytes: number; readonly quietly?: boolean }
  /** The head and so many bytes of the body come, the rest never. */
  | { readonly hangAfterBytes: number }
  /** One bit of the body is another. */
  | { readonly flipRequestByte: number }
  | { readonly flipAnswerByte: number }

export interface Answer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: string
}

export interface Seen {
  readonly method: string
  readonly url: string
}

export class HttpFront {
  readonly address: string
  /** Asked once for each request; undefined forwards it unspoilt. */
  rule: (request: Seen) => Spoil | undefined = () => undefined
  /** Every request since the start. */
  readonly seen: Seen[] = []
  /** How many of them were spoilt, and how many clients left before their answer. */
  spoilt = 0
  abandoned = 0
  readonly #target: URL
  readonly #server: Server

  private constructor(target: string, server: Server) {
    this.#target = new URL(target)
    this.#server = server
    this.address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    server.on('request', (request, response) => {
      this.#serve(request, response).catch(() => response.destroy())
    })
  }

  static async start(target: string): Promise<HttpFront> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new HttpFront(target, server)
  }

  stop(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  /** Spoils the next `times` requests that match. */
  spoil(times: number, matches: (request: Seen) => boolean, spoil: Spoil): void {
    let left = times
    this.rule = (request) => (matches(request) && left-- > 0 ? spoil : undefined)
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const seen = { method: request.method ?? '', url: request.url ?? '' }
    this.seen.push(seen)
    const spoil = this.rule(seen)
    if (spoil) this.spoilt++
    let isGone = false
    response.on('close', () => {
      isGone = true
      if (!response.writableFinished) this.abandoned++
    })
    const body = await bytesOf(request)
    if (spoil && 'answer' in spoil) return reply(response, spoil.answer)
    if (spoil && 'stallMs' in spoil) {
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, spoil.stallMs)
        response.on('close', () => {
          clearTimeout(timer)
          resolve(undefined)
        })
      })
      if (isGone) return
    }
    if (spoil && 'flipRequestByte' in spoil) flip(body, spoil.flipRequestByte)
    const answer = await this.#forward(request, body)
    const bytes = await bytesOf(answer)
    if (spoil && 'instead' in spoil) return reply(response, spoil.instead)
    if (spoil && 'flipAnswerByte' in spoil) flip(bytes, spoil.flipAnswerByte)
    const headers = { ...answer.headers }
    if (spoil && 'cutAfterBytes' in spoil) {
      const part = bytes.subarray(0, spoil.cutAfterBytes)
      if (spoil.quietly === true) headers['content-length'] = String(part.length)
      response.writeHead(answer.statusCode ?? 500, headers)
      if (spoil.quietly === true) response.end(part)
      else response.write(part, () => response.destroy())
      return
    }
    response.writeHead(answer.statusCode ?? 500, headers)
    if (spoil && 'hangAfterBytes' in spoil) response.write(bytes.subarray(0, spoil.hangAfterBytes))
    else response.end(bytes)
  }

  async #forward(request: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
    const { hostname, port } = this.#target
    const { method, url: path, headers } = request
    const onward = forward({ hostname, port, method, path, headers, agent: false })
    onward.end(body)
    const [answer] = (await once(onward, 'response')) as [IncomingMessage]
    return answer
  }
}

function reply(response: ServerResponse, { status, headers, body = '' }: Answer): void {
  response.writeHead(status, { 'content-length': String(Buffer.byteLength(body)), ...headers })
  response.end(body)
}

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

function flip(bytes: Buffer, at: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ 1
}

/** An error as S3 writes it. */
export function s3ErrorXml(code: string, message = 'made up'): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`
}
