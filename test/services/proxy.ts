// Our own fault proxy: it stands between a client and a server and does to their bytes what networks
// do. Every fault is switched at run time, and `counts` says what really happened: a test whose fault
// did not land has shown nothing.
//
// It knows nothing of what it carries. Clients that learn addresses from the server (Kafka brokers,
// Cassandra nodes) go around it unless those addresses are made to be the proxy's: Kafka by
// advertised.listeners, cassandra-driver by `policies.addressResolution` with a translator from the
// node's address to the proxy's.

import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Faults of one direction; a field that is absent does nothing. They hold from the next chunk on. */
export interface Toxics {
  /** Every chunk arrives this much later; order is kept. */
  latencyMs?: number
  /** On top, uniformly. */
  jitterMs?: number
  bytesPerSecond?: number
  /** Chunks are cut into pieces of this many bytes, each written by itself. */
  sliceBytes?: number
  /** A stall: nothing goes through until it is switched off, and nothing is lost. */
  hold?: boolean
  /** A black hole: nothing goes through, nothing is closed, what comes is lost. */
  hole?: boolean
  /** Each connection is reset once this many bytes went through. */
  resetAfterBytes?: number
}

export interface ProxyCounts {
  connections: number
  /** Times it stopped listening; who is refused then is seen by nobody. */
  refused: number
  resets: number
  /** Chunks that arrived later by latency, bandwidth or slicing. */
  delayed: number
  /** Lost in a hole or as dropped replies. */
  swallowedBytes: number
  /** Connections whose reply was dropped. */
  droppedReplies: number
  forwardedBytes: number
}

const NOTHING: ProxyCounts = {
  connections: 0,
  refused: 0,
  resets: 0,
  delayed: 0,
  swallowedBytes: 0,
  droppedReplies: 0,
  forwardedBytes: 0,
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
  /** Its reply was dropped: what follows would be a stream with a gap, so nothing does. */
  isDeaf: boolean
}

export class TcpProxy {
  /** `host:port` where clients connect. */
  readonly address: string
  readonly toServer: Toxics = {}
  readonly toClient: Toxics = {}
  readonly counts: ProxyCounts = { ...NOTHING }
  readonly #target: { readonly host: string; readonly port: number }
  readonly #host: string
  readonly #port: number
  readonly #pairs = new Set<Pair>()
  #listener: Server | undefined
  #isResetting = false
  #drop = { connections: 0, untilMs: 0, resetAfterMs: undefined as number | undefined }

  private constructor(target: string, listener: Server) {
    const { address, port } = listener.address() as AddressInfo
    this.#target = parse(target)
    this.#host = address
    this.#port = port
    this.address = `${address}:${port}`
    this.#take(listener)
  }

  /** @param target `host:port`; @param listen `host:port`, port 0 for any free one */
  static async start(target: string, listen = '127.0.0.1:0'): Promise<TcpProxy> {
    const { host, port } = parse(listen)
    return new TcpProxy(target, await listening(host, port))
  }

  /**
   * Swallows what the server answers, so that requests are carried out and nobody hears of it: on the
   * next `connections` that are answered, or on all that are answered within `forMs`. Such a
   * connection stays deaf, and is reset after `resetAfterMs` where given.
   */
  dropReplies(which: { connections?: number; forMs?: number; resetAfterMs?: number }): void {
    this.#drop = {
      connections: which.connections ?? 0,
      untilMs: which.forMs === undefined ? 0 : performance.now() + which.forMs,
      resetAfterMs: which.resetAfterMs,
    }
  }

  /** Resets every connection there is, and with `alsoNew` every one that comes until `heal`. */
  reset(options: { alsoNew?: boolean } = {}): void {
    this.#isResetting = options.alsoNew === true
    for (const pair of this.#pairs) this.#reset(pair)
  }

  /** Nobody listens any more: new connections are refused. Those there are go on. */
  async refuse(): Promise<void> {
    const listener = this.#listener
    if (!listener) return
    this.#listener = undefined
    this.counts.refused++
    // `close` calls back only when the last connection has ended; listening ends at once.
    listener.close()
    await sleep(0)
  }

  /** All faults off. Connections that lost bytes are reset: nothing can mend them. */
  async heal(): Promise<void> {
    for (const toxics of [this.toServer, this.toClient])
      for (const key of Object.keys(toxics) as (keyof Toxics)[]) delete toxics[key]
    this.#isResetting = false
    this.#drop = { connections: 0, untilMs: 0, resetAfterMs: undefined }
    for (const pair of this.#pairs) if (pair.isDeaf) this.#reset(pair)
    if (!this.#listener) this.#take(await listening(this.#host, this.#port))
  }

  async stop(): Promise<void> {
    const listener = this.#listener
    this.#listener = undefined
    const closed = listener && once(listener, 'close')
    listener?.close()
    for (const { client, server } of this.#pairs) {
      client.destroy()
      server.destroy()
    }
    await closed
  }

  #take(listener: Server): void {
    this.#listener = listener
    listener.on('connection', (client) => this.#accept(client))
  }

  #accept(client: Socket): void {
    this.counts.connections++
    if (this.#isResetting) {
      this.counts.resets++
      client.on('error', () => undefined)
      client.resetAndDestroy()
      return
    }
    const server = connect({ ...this.#target, noDelay: true, allowHalfOpen: true })
    client.setNoDelay(true)
    const pair: Pair = { client, server, isDeaf: false }
    this.#pairs.add(pair)
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('error', () => undefined)
      one.on('close', (hadError) => {
        this.#pairs.delete(pair)
        if (!hadError) other.destroySoon()
        else if (!other.destroyed) other.resetAndDestroy()
      })
    }
    void this.#pump(pair, client, server, this.toServer)
    void this.#pump(pair, server, client, this.toClient)
  }

  async #pump(pair: Pair, from: Socket, to: Socket, toxics: Toxics): Promise<void> {
    let passedBytes = 0
    let lost = false
    // Chunks that wait for their time, oldest first; reading goes on meanwhile, within a bound.
    let tail: Promise<void> = Promise.resolve()
    try {
      for await (const data of from) {
        const chunk = data as Buffer
        if (toxics.hold === true) this.counts.delayed++
        while (toxics.hold === true) await sleep(5)
        if (toxics.hole === true || lost || (from === pair.server && this.#dropsReply(pair))) {
          // After a gap the rest of the stream means nothing.
          lost = true
          pair.isDeaf = true
          this.counts.swallowedBytes += chunk.length
          continue
        }
        passedBytes += chunk.length
        const limit = toxics.resetAfterBytes
        if (limit !== undefined && passedBytes > limit) {
          const allowed = chunk.length - (passedBytes - limit)
          if (allowed > 0) await this.#write(to, chunk.subarray(0, allowed))
          // What was written leaves before the reset follows it.
          await sleep(5)
          this.#reset(pair)
          return
        }
        const delayMs = (toxics.latencyMs ?? 0) + Math.random() * (toxics.jitterMs ?? 0)
        if (delayMs === 0) {
          await tail
          await this.#forward(to, chunk, toxics)
        } else {
          this.counts.delayed++
          const due = sleep(delayMs)
          const before = tail
          tail = (async () => {
            await due
            await before
            await this.#forward(to, chunk, toxics)
          })()
        }
      }
      await tail
      if (!lost) to.end()
    } catch {
      // A reset on one side is a reset on the other.
      if (!to.destroyed) to.resetAndDestroy()
    }
  }

  async #forward(to: Socket, chunk: Buffer, { sliceBytes, bytesPerSecond }: Toxics): Promise<void> {
    const step = sliceBytes ?? (bytesPerSecond === undefined ? chunk.length : 4096)
    if (step < chunk.length || bytesPerSecond !== undefined) this.counts.delayed++
    for (let at = 0; at < chunk.length; at += step) {
      const piece = chunk.subarray(at, at + step)
      if (bytesPerSecond !== undefined) await sleep((piece.length / bytesPerSecond) * 1000)
      else if (at > 0) await sleep(0)
      await this.#write(to, piece)
    }
  }

  async #write(to: Socket, bytes: Buffer): Promise<void> {
    if (to.destroyed || to.writableEnded) return
    this.counts.forwardedBytes += bytes.length
    if (!to.write(bytes))
      await Promise.race([once(to, 'drain'), once(to, 'close')]).catch(() => undefined)
  }

  #dropsReply(pair: Pair): boolean {
    const drop = this.#drop
    if (drop.connections <= 0 && performance.now() >= drop.untilMs) return false
    if (drop.connections > 0) drop.connections--
    this.counts.droppedReplies++
    if (drop.resetAfterMs !== undefined)
      void sleep(drop.resetAfterMs, undefined, { ref: false }).then(() => this.#reset(pair))
    return true
  }

  #reset(pair: Pair): void {
    if (!this.#pairs.delete(pair)) return
    this.counts.resets++
    pair.client.resetAndDestroy()
    pair.server.resetAndDestroy()
  }
}

function parse(address: string): { host: string; port: number } {
  const { hostname, port } = new URL(`tcp://${address}`)
  return { host: hostname, port: Number(port) }
}

async function listening(host: string, port: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true })
  server.listen(port, host)
  await once(server, 'listening')
  return server
}
