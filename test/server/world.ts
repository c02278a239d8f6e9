// A server over the real domain on memory ports, listening on a free port, with a client.

import { systemClock as clock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { MemoryBus } from '../../src/bus/adapters/memory.ts'
import { Client } from '../../src/client/client.ts'
import { openHash, zstdCompute } from '../../src/main/compute.ts'
import { openCore } from '../../src/main/core.ts'
import { ObjectEngine } from '../../src/objects/engine.ts'
import type { Objects } from '../../src/objects/objects.ts'
import { eventViews } from '../../src/main/documents.ts'
import type { Id } from '../../src/model/id.ts'
import type { EgressPut, SpoutPut } from '../../src/model/ops.ts'
import type { Pipelines } from '../../src/pipelines/service.ts'
import { createServer } from '../../src/server/server.ts'
import type { Server, ServerOptions } from '../../src/server/server.ts'
import { MemoryTables } from '../../src/tables/adapters/memory.ts'
import type { Versions } from '../../src/versions/versions.ts'

export const TOKEN = 'the-token-of-this-test'

export interface World {
  readonly url: string
  readonly client: Client
  readonly server: Server
  readonly versions: Versions
  readonly ids: () => Id
  readonly blob: MemoryBlobStore
  /** Another process over the same store, with nothing in its cache. */
  elsewhere(): Objects
  /** Sent to the server as it stands, with the token. */
  raw(path: string, init?: RequestInit): Promise<Response>
  close(): Promise<void>
}

/** Pipelines that know nothing: what a test needs of them it gives. */
export const NO_PIPELINES: Pipelines = {
  put: () => Promise.reject(new Error('not in this test')),
  plan: () => Promise.resolve({ total: 3, run: 1, reuse: 2, warnings: [] }),
  waitingFor: () => Promise.resolve(undefined),
  progress: () => undefined,
  async *datums() {},
  explainDatum: () => Promise.reject(new Error('not in this test')),
  explainFile: () => Promise.reject(new Error('not in this test')),
  async *logs() {},
}

export async function makeWorld(options: Partial<ServerOptions> = {}): Promise<World> {
  const blob = new MemoryBlobStore()
  const store = {
    tables: new MemoryTables(),
    blob,
    hash: await openHash(),
    compute: zstdCompute,
    storeKey: new Uint8Array(32).fill(5),
  }
  const core = await openCore({
    ...store,
    bus: new MemoryBus({ clock }),
    clock,
    random: seededRandom(11),
  })
  const stop = new AbortController()
  const writing = core.writeLog(stop.signal)
  const { versions, ids } = core
  const target = (document: Readonly<Record<string, unknown>>, kind: string): SpoutPut => ({
    name: (document[kind] as { name: string }).name,
    repo: String(document['target']),
    branch: 'master',
    spec: document,
  })
  const server = await createServer({
    versions,
    pipelines: NO_PIPELINES,
    spouts: { status: () => undefined },
    egresses: { status: () => undefined },
    documents: {
      spoutPut: (document) => target(document, 'spout'),
      egressPut: (document): EgressPut => target(document, 'egress'),
    },
    eventsOf: eventViews,
    collectGarbage: core.collectGarbage,
    purge: core.purge,
    clock,
    ids,
    version: '0.0.0-test',
    token: TOKEN,
    ...options,
  })
  const url = await server.start({ host: '127.0.0.1', port: 0 })
  return {
    url,
    client: new Client({ baseUrl: url, token: TOKEN }),
    server,
    versions,
    ids,
    blob,
    elsewhere: () => new ObjectEngine({ ...store, random: seededRandom(12) }),
    raw: (path, init = {}) =>
      fetch(url + path, {
        ...init,
        headers: { authorization: `Bearer ${TOKEN}`, ...(init.headers as Record<string, string>) },
      }),
    close: async () => {
      await server.close()
      stop.abort()
      await writing
      await core.close()
    },
  }
}

export async function textOf(content: Uint8Array | AsyncIterable<Uint8Array>): Promise<string> {
  if (content instanceof Uint8Array) return Buffer.from(content).toString('utf8')
  return Buffer.concat(await Array.fromAsync(content)).toString('utf8')
}

export async function* bytes(...parts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield new TextEncoder().encode(part)
}
