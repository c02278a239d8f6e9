// A server with the routes of workers, over pipelines on memory ports that have no workers of their own.

import type { WorkerRoutes } from '../../src/api/worker-routes.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import type { BlobStore } from '../../src/blob/blob.ts'
import type { Clock } from '../../src/base/clock.ts'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { Claim } from '../../src/api/worker.ts'
import { InlineRunner } from '../../src/exec/adapters/inline/runner.ts'
import type { Program } from '../../src/exec/adapters/inline/runner.ts'
import { MemoryScratch } from '../../src/exec/adapters/inline/scratch.ts'
import { idSource } from '../../src/model/id.ts'
import type { ClaimDesk } from '../../src/server/worker-claims.ts'
import { workerRoutes, workerTokenIssuer } from '../../src/server/worker-routes.ts'
import { World as Pipelines } from '../pipelines/world.ts'
import type { World as Server } from './world.ts'
import { makeWorld } from './world.ts'

export const SECRET = 'a secret of a cluster, long enough for one'
const ids = idSource(systemClock, systemRandom)

/** A clock whose time is also moved by hand. */
export class MovedClock implements Clock {
  aheadMs = 0
  nowMs(): number {
    return systemClock.nowMs() + this.aheadMs
  }
  monotonicMs(): number {
    return systemClock.monotonicMs() + this.aheadMs
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal)
  }
}

export const clock = new MovedClock()
export const issue = workerTokenIssuer({ secret: SECRET, clock, ids })

export function serve(desk: ClaimDesk, secret = SECRET): Promise<Server> {
  const options = { secret, clock, ids }
  return makeWorld({
    issueWorkerToken: workerTokenIssuer(options),
    extensions: [workerRoutes({ ...options, desk })],
  })
}

export interface Answer {
  readonly status: number
  /** Of a problem. */
  readonly code: string | undefined
  readonly body: string
  readonly json: Record<string, unknown>
}

export interface Given {
  readonly claim: Claim
  readonly ticket: string
}

/** One worker that speaks by hand. */
export class ByHand {
  readonly #server: Server
  readonly token: string
  readonly name: string

  constructor(server: Server, token: string, name = 'w') {
    this.#server = server
    this.token = token
    this.name = name
  }

  async ask(
    route: keyof WorkerRoutes,
    given: { ticket?: string; query?: Record<string, string>; body?: unknown } = {},
  ): Promise<Answer> {
    const [method, path] = route.split(' ') as ['GET' | 'POST', string]
    const { body, ticket, query } = given
    const answer = await this.#server.server.app.inject({
      method,
      url: `/api/v1${path}?${new URLSearchParams(query).toString()}`,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(ticket === undefined ? {} : { 'varve-claim': ticket }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined
        ? {}
        : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    let json: Record<string, unknown> = {}
    try {
      json = JSON.parse(answer.body) as Record<string, unknown>
    } catch {
      // Bytes, or nothing.
    }
    const code = json['code'] as string | undefined
    return { status: answer.statusCode, code, body: answer.body, json }
  }

  async claim(): Promise<Given> {
    for (;;) {
      const body = { worker: this.name, pool: 'default', waitMs: 5_000 }
      const { json, status, body: text } = await this.ask('POST /worker/claim', { body })
      if (status !== 200) throw new Error(text)
      if (text !== 'null') return json as unknown as Given
    }
  }

  put(ticket: string, act: number, datum: string, path: string, body: string): Promise<Answer> {
    const query = { act: String(act), datum, path }
    return this.ask('POST /worker/output/put', { ticket, query, body })
  }

  finish({ claim, ticket }: Given, act: number, change = {}): Promise<Answer> {
    const times = { layoutMs: 0, runMs: 0, uploadMs: 0 }
    const rest = { state: 'success', attempts: 1, exit: null, lastLines: [], times, files: 1 }
    const lines = claim.datums.map(({ id }) => JSON.stringify({ id, ...rest, ...change }))
    const query = { act: String(act) }
    return this.ask('POST /worker/output/finish', { ticket, query, body: lines.join('\n') })
  }
}

export interface Pair {
  readonly pipelines: Pipelines
  readonly scratch: MemoryScratch
  readonly runner: InlineRunner
}

export async function openPipelines(
  programs: Readonly<Record<string, Program>>,
  speed = 1,
  blob: BlobStore = new MemoryBlobStore(),
): Promise<Pair> {
  const scratch = new MemoryScratch()
  const runner = new InlineRunner({ scratch, programs })
  const pipelines = await Pipelines.open({ runner, scratch, speed, workers: 0, twins: false, blob })
  await pipelines.repo('in')
  return { pipelines, scratch, runner }
}
