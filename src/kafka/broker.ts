// One connection to one broker. Invariants:
// - a broker answers in the order it was asked: the first answer is to the oldest question;
// - an answer that is late, or is not to the oldest question, ends the connection and fails all that
//   wait: a connection is whole or gone, never in doubt;
// - what a request was refused for is its own matter and ends nothing.

import { connect as connectPlain } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ConnectionOptions } from 'node:tls'
import { systemClock } from '../base/clock.ts'
import { KafkaError } from './error.ts'
import { Frames } from './frames.ts'
import { logIn } from './login.ts'
import type { Login } from './login.ts'
import { APIS } from './request.ts'
import type { ApiName, Request } from './request.ts'
import { WireReader, WireWriter } from './wire.ts'

export interface BrokerOptions {
  readonly clientId: string
  readonly ssl: ConnectionOptions | undefined
  readonly sasl: Login | undefined
  /** To be connected and logged in. */
  readonly connectTimeoutMs: number
}

interface Asked {
  readonly id: number
  readonly done: (answer: WireReader) => void
  readonly failed: (error: unknown) => void
  readonly late: NodeJS.Timeout
}

const KEEP_ALIVE_MS = 30_000
/** A login is used for this part of the time the broker gives it. */
const LOGIN_SHARE = 0.8

export class BrokerConnection {
  readonly address: string
  readonly #socket: Socket
  readonly #clientId: string
  readonly #frames = new Frames()
  #versions: ReadonlyMap<number, { readonly min: number; readonly max: number }> | undefined
  #asked: Asked[] = []
  #nextId = 0
  #end: KafkaError | undefined
  readonly #gone = new AbortController()
  readonly #onFailure: (error: KafkaError) => void
  #throttledUntilMs = 0
  #expiresMs = Number.POSITIVE_INFINITY
  #retired = false

  private constructor(
    address: string,
    socket: Socket,
    clientId: string,
    onFailure: (error: KafkaError) => void,
  ) {
    this.address = address
    this.#socket = socket
    this.#clientId = clientId
    this.#onFailure = onFailure
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.on('data', (bytes: Buffer) => this.#take(bytes))
    socket.on('error', (error: NodeJS.ErrnoException) => this.#fail(wordsOf(error), error))
    socket.on('close', () => this.#fail('the broker closed the connection'))
  }

  /**
   * Connected and logged in.
   * @param onFailure it cannot be opened, or it ended otherwise than by us: once
   * @throws KafkaError lost, denied, unsupported
   */
  static async open(
    address: string,
    options: BrokerOptions,
    signal: AbortSignal,
    onFailure: (error: KafkaError) => void,
  ): Promise<BrokerConnection> {
    const { clientId, ssl, sasl, connectTimeoutMs } = options
    const endMs = systemClock.monotonicMs() + connectTimeoutMs
    const socket = await dial(address, ssl, connectTimeoutMs, signal).catch((error: KafkaError) => {
      if (!signal.aborted) onFailure(error)
      throw error
    })
    const connection = new BrokerConnection(address, socket, clientId, onFailure)
    // One time for all the steps; deriving a key has no answer to wait for.
    const late = setTimeout(
      () => connection.#fail(`no answer in ${connectTimeoutMs} ms`),
      Math.max(1, endMs - systemClock.monotonicMs()),
    )
    const stop = (): void => connection.close()
    signal.addEventListener('abort', stop)
    try {
      if (signal.aborted) stop()
      connection.#versions = await connection.ask(apiVersions(), connectTimeoutMs)
      if (!sasl) return connection
      const lifetimeMs = await logIn(sasl, (request) => connection.ask(request, connectTimeoutMs))
      if (lifetimeMs > 0)
        connection.#expiresMs = systemClock.monotonicMs() + LOGIN_SHARE * lifetimeMs
      return connection
    } catch (error) {
      connection.close()
      throw error
    } finally {
      clearTimeout(late)
      signal.removeEventListener('abort', stop)
    }
  }

  /** False: it is gone, or its login soon is. */
  get usable(): boolean {
    return this.#end === undefined && systemClock.monotonicMs() < this.#expiresMs
  }

  /**
   * @param limitMs an answer that takes longer ends the connection
   * @throws KafkaError lost, unsupported, and what the request's reader throws
   */
  async ask<T>(request: Request<T>, limitMs: number): Promise<T> {
    this.#knows(request.api)
    const heldMs = this.#throttledUntilMs - systemClock.monotonicMs()
    if (heldMs > 0) await systemClock.sleep(heldMs, this.#gone.signal)
    const answer = await this.#send(request, limitMs)
    return request.read(answer, (ms) => {
      if (ms > 0) this.#throttledUntilMs = systemClock.monotonicMs() + ms
    })
  }

  close(): void {
    this.#finish(new KafkaError('lost', `${this.address}: the connection was closed`))
  }

  /** Closes it once what was asked is answered. */
  retire(): void {
    this.#retired = true
    if (this.#asked.length === 0) this.close()
  }

  #knows(api: ApiName): void {
    const { key, version } = APIS[api]
    const range = this.#versions?.get(key)
    if (!this.#versions || (range && range.min <= version && version <= range.max)) return
    const known = range ? `versions ${range.min} to ${range.max}` : 'none'
    throw new KafkaError(
      'unsupported',
      `cannot use the broker ${this.address}: brokers of 3.1 and later only ` +
        `(it knows ${known} of ${api}, we ask version ${version})`,
    )
  }

  #send(request: Request<unknown>, limitMs: number): Promise<WireReader> {
    if (this.#end) return Promise.reject(this.#end)
    const { promise, resolve, reject } = Promise.withResolvers<WireReader>()
    const { key, version } = APIS[request.api]
    const id = this.#nextId
    this.#nextId = (id + 1) % 0x7fffffff
    const late = setTimeout(() => this.#fail(`no answer in ${limitMs} ms`), limitMs)
    this.#asked.push({ id, done: resolve, failed: reject, late })
    const head = new WireWriter().int32(0).int16(key).int16(version).int32(id)
    head.string(this.#clientId)
    if (request.api !== 'SaslHandshake') head.noTags()
    const header = head.bytes()
    header.writeInt32BE(header.length - 4 + request.body.length)
    this.#socket.cork()
    this.#socket.write(header)
    this.#socket.write(request.body)
    this.#socket.uncork()
    // Two requests have the header of the older versions in their answers, the one by definition.
    const tagged = request.api !== 'SaslHandshake' && request.api !== 'ApiVersions'
    return promise.then((answer) => {
      if (tagged) answer.tags()
      return answer
    })
  }

  #take(bytes: Buffer): void {
    try {
      for (const frame of this.#frames.push(bytes)) this.#answer(new WireReader(frame))
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error), error)
    }
  }

  #answer(reader: WireReader): void {
    const oldest = this.#asked.shift()
    if (oldest) clearTimeout(oldest.late)
    if (!oldest || reader.int32() !== oldest.id) {
      oldest?.failed(new KafkaError('lost', `${this.address}: an answer to no question`))
      throw new KafkaError('lost', 'an answer to no question')
    }
    oldest.done(reader)
    if (this.#retired) this.retire()
  }

  #fail(why: string, cause?: unknown): void {
    if (this.#end) return
    const error = new KafkaError('lost', `${this.address}: ${why}`, cause)
    this.#finish(error)
    this.#onFailure(error)
  }

  #finish(error: KafkaError): void {
    this.#end ??= error
    this.#gone.abort()
    this.#socket.destroy()
    const asked = this.#asked
    this.#asked = []
    for (const { failed, late } of asked) {
      clearTimeout(late)
      failed(error)
    }
  }
}

function apiVersions(): Request<ReadonlyMap<number, { min: number; max: number }>> {
  const body = new WireWriter().compactString('varve').compactString('1').noTags()
  return {
    api: 'ApiVersions',
    body: body.bytes(),
    read: (reader, throttled) => {
      const code = reader.int16()
      // Older brokers answer in an older form; nothing of it is needed.
      if (code !== 0)
        throw new KafkaError('unsupported', 'cannot ask this Kafka: brokers of 3.1 and later only')
      const known = reader.compactArray((): [number, { min: number; max: number }] => {
        const range: [number, { min: number; max: number }] = [
          reader.int16(),
          { min: reader.int16(), max: reader.int16() },
        ]
        reader.tags()
        return range
      })
      throttled(reader.int32())
      return new Map(known)
    },
  }
}

/** @param address `host:port`; an IPv6 host stands in brackets or not */
export function parseAddress(address: string): { host: string; port: number } | undefined {
  const at = address.lastIndexOf(':')
  const host = address.slice(0, at).replace(/^\[(.*)\]$/, '$1')
  const port = Number(address.slice(at + 1))
  return at < 1 || !Number.isInteger(port) || port < 1 || port > 65_535 ? undefined : { host, port }
}

/** @throws KafkaError lost */
function dial(
  address: string,
  ssl: ConnectionOptions | undefined,
  limitMs: number,
  signal: AbortSignal,
): Promise<Socket> {
  const to = parseAddress(address)
  if (!to) throw new KafkaError('lost', `${address}: not an address: host:port is asked for`)
  if (signal.aborted) throw new KafkaError('lost', `${address}: the connection was closed`)
  const { host, port } = to
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  // The name in the certificate is asked for by name only; an address has none.
  const servername = /[a-z]/i.test(host) && !host.includes(':') ? { servername: host } : {}
  const socket = ssl
    ? connectTls({ ...servername, ...ssl, host, port })
    : connectPlain({ host, port })
  const late = setTimeout(
    () => socket.destroy(new Error(`not connected in ${limitMs} ms`)),
    limitMs,
  )
  const stop = (): void => void socket.destroy(new Error('the connection was closed'))
  const failed = (error: NodeJS.ErrnoException): void => {
    clearTimeout(late)
    signal.removeEventListener('abort', stop)
    reject(new KafkaError('lost', `${address}: ${wordsOf(error)}`, error))
  }
  signal.addEventListener('abort', stop)
  socket.once('error', failed)
  socket.once(ssl ? 'secureConnect' : 'connect', () => {
    clearTimeout(late)
    signal.removeEventListener('abort', stop)
    socket.off('error', failed)
    resolve(socket)
  })
  return promise
}

/** An error of several addresses of one name has no words of its own. */
function wordsOf(error: NodeJS.ErrnoException): string {
  return error.message === '' ? (error.code ?? 'cannot connect') : error.message
}
