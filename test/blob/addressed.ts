// Objects in a map that others reach by addresses, over HTTP on loopback; and what may go wrong there.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import type { Presigned } from '../../src/blob/blob.ts'

export interface Address {
  readonly key: string
  readonly range: { readonly offset: number; readonly length: number } | undefined
  readonly untilMs: number
}

export type Fault = 'flip' | 'refuse' | 'cut' | 'too long'

export class AddressedBlobStore extends MemoryBlobStore {
  /** Asked for each request that may be answered. */
  fault: (address: Address) => Fault | undefined = () => undefined
  /** Every address made, and every one answered with its object's bytes. */
  readonly made: Address[] = []
  readonly served: Address[] = []
  readonly #server: Server

  private constructor(server: Server) {
    super()
    this.#server = server
    server.on('request', (request, response) => void this.#answer(request, response))
  }

  static async start(): Promise<AddressedBlobStore> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new AddressedBlobStore(server)
  }

  stop(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  presign(key: string, range: Address['range'], ttlSeconds: number): Promise<Presigned> {
    const { port } = this.#server.address() as AddressInfo
    this.made.push({ key, range, untilMs: Date.now() + ttlSeconds * 1000 })
    return Promise.resolve({
      url: `http://127.0.0.1:${port}/${key}?${this.made.length - 1}`,
      headers: range ? { range: `bytes=${range.offset}-${range.offset + range.length - 1}` } : {},
    })
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, search } = new URL(request.url ?? '', 'http://store')
    const address = this.made[Number(search.slice(1))]
    const asked = request.headers.range
    const range = address?.range
    const meant = range && `bytes=${range.offset}-${range.offset + range.length - 1}`
    const fault = address && this.fault(address)
    const isOpen = address && pathname === `/${address.key}` && asked === meant
    if (!isOpen || Date.now() > address.untilMs || fault === 'refuse') {
      response.writeHead(403).end('<Error/>')
      return
    }
    const bytes = Buffer.from((await this.get(address.key, range)) ?? [])
    this.served.push(address)
    if (fault === 'flip') bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
    response.writeHead(range ? 206 : 200)
    if (fault === 'cut') response.end(bytes.subarray(1))
    else if (fault === 'too long') response.end(Buffer.concat([bytes, bytes]))
    else response.end(bytes)
  }
}
