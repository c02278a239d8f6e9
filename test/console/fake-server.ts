// A server that says exactly what a test wants it to say, under the same Content-Security-Policy as
// the real one. It exists for what a real server will not do on demand: fail this pipeline now, lose
// this connection now, hold 200 nodes.
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, resolve } from 'node:path'
import type { Graph, GraphEvent } from '../../src/api/graph.ts'

const ROOT = resolve(import.meta.dirname, '../../dist/console')
/** No exception anywhere: the page needs none. */
const POLICY = [
  "default-src 'none'",
  ...['script', 'worker', 'style', 'img', 'connect'].map((what) => `${what}-src 'self'`),
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

export interface FakeServer {
  readonly url: string
  /** The Last-Event-ID each stream was opened with, in turn. */
  readonly resumedFrom: readonly (string | undefined)[]
  set(graph: Graph): void
  emit(event: GraphEvent): void
  /** Ends every stream; while `down` is true new requests are cut off too. */
  drop(down: boolean): void
  close(): Promise<void>
}

export async function startFakeServer(first: Graph, port = 0): Promise<FakeServer> {
  let graph = first
  let down = false
  const streams = new Set<ServerResponse>()
  const resumedFrom: (string | undefined)[] = []

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    response.setHeader('content-security-policy', POLICY)
    response.setHeader('x-content-type-options', 'nosniff')
    if (down) {
      request.socket.destroy()
    } else if (pathname === '/api/v1/projects/default/graph') {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(graph))
    } else if (pathname === '/api/v1/projects/default/graph/live') {
      resumedFrom.push(request.headers['last-event-id'] as string | undefined)
      response.setHeader('content-type', 'text/event-stream')
      response.write(': hello\n\n')
      write(response, { type: 'graph', graph })
      streams.add(response)
      response.on('close', () => streams.delete(response))
    } else if (pathname.startsWith('/api/')) {
      response.statusCode = 404
      response.setHeader('content-type', 'application/problem+json')
      const detail = `cannot read the graph of "${pathname.split('/')[4]}": no such project`
      response.end(JSON.stringify({ status: 404, code: 'NOT_FOUND_PROJECT', detail }))
    } else {
      const file = join(ROOT, pathname === '/' ? 'index.html' : pathname)
      response.setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream')
      response.end(await readFile(file))
    }
  }
  const write = (response: ServerResponse, event: GraphEvent): void => {
    response.write(`id: ${graph.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.writeHead(404).end())
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    resumedFrom,
    set: (next) => {
      graph = next
      for (const stream of streams) write(stream, { type: 'graph', graph })
    },
    emit: (event) => {
      graph = after(graph, event)
      for (const stream of streams) write(stream, event)
    },
    drop: (nowDown) => {
      down = nowDown
      for (const stream of streams) stream.destroy()
    },
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** What the server itself knows after it said so, for pages that come later. */
function after(graph: Graph, event: GraphEvent): Graph {
  const seq = graph.seq + 1
  switch (event.type) {
    case 'graph':
      return { ...event.graph, seq }
    case 'node':
      return {
        ...graph,
        seq,
        nodes: graph.nodes.map((n) => (n.key === event.node.key ? event.node : n)),
      }
    case 'commit':
      return { ...graph, seq, commits: [event.commit, ...graph.commits] }
    case 'job':
      return { ...graph, seq, jobs: [event.job, ...graph.jobs] }
  }
}
