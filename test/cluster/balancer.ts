// One address before several servers, as a cluster's service is: each connection goes to the next
// server that said it is ready, and to another one when that does not take it.

import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

const PROBE_MS = 1_000
const CONNECT_MS = 2_000

export class Balancer {
  readonly #server: Server
  readonly #urls: readonly string[]
  readonly #ready = new Set<string>()
  readonly #sockets = new Set<Socket>()
  #timer: NodeJS.Timeout | undefined
  #next = 0

  private constructor(urls: readonly string[]) {
    this.#urls = urls
    for (const url of urls) this.#ready.add(url)
    this.#server = createServer((socket) => this.#pass(socket, this.#urls.length))
  }

  /** @param port 0: any */
  static async start(urls: readonly string[], port = 0): Promise<Balancer> {
    const balancer = new Balancer(urls)
    balancer.#server.listen(port, '127.0.0.1')
    await once(balancer.#server, 'listening')
    balancer.#timer = setInterval(() => {
      for (const url of urls) void balancer.#probe(url)
    }, PROBE_MS)
    return balancer
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #probe(url: string): Promise<void> {
    try {
      const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(CONNECT_MS) })
      await answer.arrayBuffer()
      if (answer.ok) this.#ready.add(url)
      else this.#ready.delete(url)
    } catch {
      this.#ready.delete(url)
    }
  }

  #pass(client: Socket, triesLeft: number): void {
    // With nobody ready, whoever takes it is better than nobody.
    const urls =
      this.#ready.size > 0 ? this.#urls.filter((url) => this.#ready.has(url)) : this.#urls
    const target = new URL(urls[this.#next++ % urls.length] as string)
    const server = connect({ host: target.hostname, port: Number(target.port) })
    server.setTimeout(CONNECT_MS, () => server.destroy(new Error('no answer')))
    let joined = false
    server.once('connect', () => {
      joined = true
      server.setTimeout(0)
      client.pipe(server)
      server.pipe(client)
    })
    const end = (): void => {
      if (!joined && !client.destroyed && triesLeft > 1) return this.#pass(client, triesLeft - 1)
      client.destroy()
    }
    server.on('error', () => {})
    server.once('close', end)
    if (this.#sockets.has(client)) return
    this.#sockets.add(client)
    client.on('error', () => {})
    client.once('close', () => {
      this.#sockets.delete(client)
    })
    client.once('close', () => server.destroy())
  }
}
