import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { VarveError } from '../base/errors.ts'

/**
 * A taken port is followed by the next free one of `tries`.
 * @returns the address, `http://127.0.0.1:7070`
 * @throws VarveError UNAVAILABLE
 */
export async function listen(
  app: FastifyInstance,
  { host, port, tries = 20 }: { host: string; port: number; tries?: number },
): Promise<string> {
  for (let n = 0; ; n++) {
    try {
      await app.listen({ host, port: port === 0 ? 0 : port + n })
      const { port: taken } = app.server.address() as AddressInfo
      return `http://${host.includes(':') ? `[${host}]` : host}:${taken}`
    } catch (error) {
      const { code, message } = error as { code?: string; message: string }
      if (code === 'EADDRINUSE' && port !== 0 && n + 1 < tries) continue
      throw new VarveError('UNAVAILABLE', `cannot listen on ${host} port ${port + n}: ${message}`, {
        cause: error,
      })
    }
  }
}
