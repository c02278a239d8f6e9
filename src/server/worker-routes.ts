// The routes of workers in processes of their own, in front of the same desk that workers of this
// process use. Who calls is known by the token, what about by the ticket (worker-claims.ts).

import type { FastifyInstance, FastifyRequest } from 'fastify'
import { FRAMES_BYTES, MAX_FRAMES, readFrames, SMALL_FILE_BYTES } from '../api/worker-frames.ts'
import type { Frame } from '../api/worker-frames.ts'
import { WORKER_ROUTES, WorkerResult } from '../api/worker-routes.ts'
import type { WorkerRoutes } from '../api/worker-routes.ts'
import type { Route } from '../api/route.ts'
import type { Claim } from '../api/worker.ts'
import type { Clock } from '../base/clock.ts'
import { concat, fromUtf8 } from '../base/bytes.ts'
import { isVarveError, VarveError } from '../base/errors.ts'
import type { WorkerToken } from '../api/worker-tokens.ts'
import type { Id } from '../model/id.ts'
import { parseFilePath, parsePath } from '../model/path.ts'
import { isStanding } from '../model/spec-standing.ts'
import type { Call, Handler } from './call.ts'
import { bearerOf } from './guard.ts'
import { registerRoute } from './register.ts'
import type { SpoutTokens } from './spout-token.ts'
import { bodyCheck } from './validate.ts'
import { Claims, onceABatch, refuseUnnamed, ticketOf } from './worker-claims.ts'
import type { AnyCall, ClaimDesk, Held } from './worker-claims.ts'
import { readingHandlers } from './worker-reading.ts'
import {
  refuseOtherPool,
  signWorkerToken,
  verifyWorkerToken,
  workerTokenKey,
} from './worker-token.ts'
import type { WorkerGrant } from './worker-token.ts'

export interface WorkerRoutesOptions {
  readonly desk: ClaimDesk
  /** The cluster's, at least 32 characters. */
  readonly secret: string
  readonly clock: Clock
  readonly ids: () => Id
  /**
   * Where this very server is reached by workers, when several answer at one address: what a chunk
   * puts out is in the memory of one server, so its worker stays with that one.
   */
  readonly address?: () => string | undefined
  /** Whether tokens of this pool still open anything; default: all do until they run out. */
  readonly isOpen?: ((pool: string, incarnation: string) => Promise<boolean>) | undefined
  /** Makes what the code of spouts writes with; absent: such code gets nothing. */
  readonly spoutTokens?: SpoutTokens
  /** Largest file of an output, in bytes; default 1 TiB. */
  readonly maxUploadBytes?: number
}

type WorkerHandlers = { readonly [K in keyof WorkerRoutes]: Handler<WorkerRoutes[K]> }

const SWEEP_MS = 15_000
const MAX_RESULT_BYTES = 1 << 20
const MAX_TICKETS = 64

/** For `extensions` of createServer. */
export function workerRoutes(options: WorkerRoutesOptions): (app: FastifyInstance) => void {
  const { clock, ids, secret } = options
  const tokenKey = workerTokenKey(secret)
  return (app) => {
    const closing = new AbortController()
    const claims = new Claims({ desk: options.desk, clock, secret })
    const sweeping = setInterval(() => void claims.sweep(), SWEEP_MS).unref()
    app.addHook('preClose', (done) => {
      closing.abort()
      clearInterval(sweeping)
      claims.close()
      done()
    })
    const door = {
      admit: (request: FastifyRequest) => ({
        principal: principalOf(verifyWorkerToken(tokenKey, tokenOf(request), clock.nowMs())),
      }),
      ids,
      closing: closing.signal,
      maxUploadBytes: options.maxUploadBytes ?? 2 ** 40,
    }
    const handlers = {
      ...takingHandlers(options, claims),
      ...readingHandlers(options.desk, claims),
      ...outputHandlers(claims),
      ...endingHandlers(options, claims),
    } satisfies WorkerHandlers
    for (const route of WORKER_ROUTES as readonly Route[]) {
      const key = `${route.method} ${route.path}` as keyof WorkerRoutes
      registerRoute(app, route, handlers[key] as (call: Call<Route>) => unknown, door)
    }
  }
}

/** What `POST /worker-tokens` answers. `incarnation` of pools that nobody manages: the token's own. */
export function workerTokenIssuer(options: {
  readonly secret: string
  readonly clock: Clock
  readonly ids: () => Id
}): (pool: string, ttlSeconds: number, incarnation?: string) => WorkerToken {
  const key = workerTokenKey(options.secret)
  return (pool, ttlSeconds, incarnation = options.ids()) => {
    const expiresAtMs = options.clock.nowMs() + ttlSeconds * 1000
    const grant = { workspace: 'default', pool, incarnation, expiresAtMs }
    return { token: signWorkerToken(key, grant), pool, expiresAtMs }
  }
}

function tokenOf(request: FastifyRequest): string {
  const given = bearerOf(request)
  if (given !== undefined) return given
  throw new VarveError('UNAUTHENTICATED', 'cannot let the worker in: no token was sent')
}

/** Pools have no "/" in their names. */
function principalOf(grant: WorkerGrant): string {
  return `worker:${grant.workspace}/${grant.pool}/${grant.incarnation}`
}

/** What the worker is called in leases and beats: nobody with another token can be of that name. */
function ownerOf(worker: string, by: string): string {
  return `${worker}@${by.slice('worker:'.length)}`
}

function takingHandlers(
  { desk, address, isOpen, spoutTokens }: WorkerRoutesOptions,
  claims: Claims,
): Pick<WorkerHandlers, 'POST /worker/claim' | 'POST /worker/beat'> {
  return {
    async 'POST /worker/claim'({ body, request, signal, answered }) {
      const by = request.principal
      const [, pool = '', incarnation = ''] = by.split('/')
      refuseOtherPool({ pool } as WorkerGrant, body.pool)
      // All else a worker may do follows from a claim.
      if (isOpen && !(await isOpen(pool, incarnation)))
        throw new VarveError(
          'UNAUTHENTICATED',
          `cannot let the worker in: the pool "${pool}" of its token is gone`,
        )
      const claim = await desk.claim(ownerOf(body.worker, by), body.waitMs, signal)
      if (!claim) return null
      const ticket = claims.give(claim, by)
      // An answer that reaches nobody: the chunk waits for no lease.
      const giveBack = (): void => {
        claims.end(ticket)
        void desk.giveBack(claim).catch(() => {})
      }
      if (signal.aborted) {
        giveBack()
        return null
      }
      const left = (): void => {
        if (!answered()) giveBack()
      }
      signal.addEventListener('abort', left, { once: true })
      const writes = spoutTokens?.writesOf(claim)
      const told: Claim = { ...claim, worker: body.worker, ...(writes && { writes }) }
      return { claim: told, ticket, api: address?.() ?? null }
    },
    async 'POST /worker/beat'({ body, request }) {
      const by = request.principal
      if (body.keeps.length > MAX_TICKETS)
        throw new VarveError('INVALID_OPTION', `cannot keep more than ${MAX_TICKETS} chunks`)
      const owner = ownerOf(body.worker, by)
      const lost: number[] = []
      const kept: { index: number; claim: Claim }[] = []
      for (const [index, ticket] of body.keeps.entries())
        try {
          kept.push({ index, claim: (await claims.prove(ticket, by)).claim })
        } catch (error) {
          if (!isVarveError(error, 'STALE_STATE') && !isVarveError(error, 'FORBIDDEN')) throw error
          lost.push(index)
        }
      const keeps = kept.map(({ claim }) => claim).filter((claim) => claim.worker === owner)
      const gone = await desk.beat(owner, body.beat, keeps)
      for (const { index, claim } of kept)
        if (gone.includes(claim) || claim.worker !== owner) {
          claims.end(body.keeps[index] as string)
          lost.push(index)
        }
      return { lost }
    },
  }
}

function outputHandlers(
  claims: Claims,
): Pick<
  WorkerHandlers,
  | 'POST /worker/output/put'
  | 'POST /worker/output/put-files'
  | 'POST /worker/output/copy'
  | 'POST /worker/output/drop'
  | 'POST /worker/output/finish'
  | 'POST /worker/output/abandon'
> {
  /** The claim, and that the datum is one of it. */
  const prove = async (call: AnyCall, datum: string): Promise<Held> => {
    const held = await claims.prove(ticketOf(call), call.request.principal)
    held.output.refuseOther(datum)
    return held
  }
  return {
    async 'POST /worker/output/put'(call) {
      const { act, datum, path } = call.query
      const { output } = await prove(call, datum)
      await output.act(act, (writer) => writer.put(datum, parseFilePath(path), call.body))
    },
    async 'POST /worker/output/put-files'(call) {
      const { output } = await claims.prove(ticketOf(call), call.request.principal)
      const files: Frame[] = []
      let sizeBytes = 0
      for await (const file of readFrames(call.body)) {
        output.refuseOther(file.of)
        parseFilePath(file.path)
        files.push(file)
        sizeBytes += file.bytes.length
        if (files.length > MAX_FRAMES || sizeBytes > FRAMES_BYTES + SMALL_FILE_BYTES)
          throw new VarveError('TOO_LARGE', 'cannot take so much in one body of small files')
      }
      await output.act(call.query.act, async (writer) => {
        for (const { of, path, bytes } of files) await writer.put(of, path, once(bytes))
      })
    },
    async 'POST /worker/output/copy'(call) {
      const { act, datum, path, input } = call.body
      const { claim, output } = await prove(call, datum)
      const inputPath = parsePath(call.body.inputPath)
      refuseUnnamed(claim, input, inputPath)
      await output.act(act, (writer) => writer.copy(datum, parseFilePath(path), input, inputPath))
    },
    async 'POST /worker/output/drop'(call) {
      const { act, datum } = call.body
      const { output } = await prove(call, datum)
      await output.act(act, (writer) => writer.drop(datum))
    },
    async 'POST /worker/output/finish'(call) {
      const ticket = ticketOf(call)
      const { claim, output } = await claims.prove(ticket, call.request.principal)
      const results = output.results(await readResults(call.body, claim.datums.length))
      const tree = await output.act(call.query.act, (writer) => writer.finish(results))
      return { tree, receipt: claims.receipt(ticket, tree) }
    },
    async 'POST /worker/output/abandon'(call) {
      const ticket = ticketOf(call)
      claims.name(ticket, call.request.principal)
      claims.end(ticket)
    },
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

const checkResult = bodyCheck(WorkerResult)

/** One a line. @throws VarveError TOO_LARGE, INVALID_OPTION */
async function readResults(
  body: AsyncIterable<Uint8Array>,
  datums: number,
): Promise<WorkerResult[]> {
  const results: WorkerResult[] = []
  let rest: Uint8Array[] = []
  let restBytes = 0
  const take = (): void => {
    const line = concat(rest)
    rest = []
    restBytes = 0
    if (line.length === 0) return
    if (results.length >= datums)
      throw new VarveError('INVALID_OPTION', `cannot take more than ${datums} results`)
    results.push(checkResult(parseLine(line)) as WorkerResult)
  }
  for await (const chunk of body) {
    let from = 0
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      rest.push(chunk.subarray(from, at))
      take()
      from = at + 1
    }
    rest.push(chunk.subarray(from))
    restBytes += chunk.length - from
    if (restBytes > MAX_RESULT_BYTES)
      throw new VarveError('TOO_LARGE', `cannot take a result over ${MAX_RESULT_BYTES} bytes`)
  }
  take()
  return results
}

function parseLine(line: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(line))
  } catch (error) {
    throw new VarveError('INVALID_OPTION', `cannot read a result: ${(error as Error).message}`)
  }
}

function endingHandlers(
  { desk }: WorkerRoutesOptions,
  claims: Claims,
): Pick<
  WorkerHandlers,
  'POST /worker/lines' | 'POST /worker/progress' | 'POST /worker/done' | 'POST /worker/give-back'
> {
  return {
    async 'POST /worker/lines'(call) {
      const { batch, lines } = call.body
      const held = await claims.prove(ticketOf(call), call.request.principal)
      for (const line of lines) held.output.refuseOther(line.datum)
      const known = lines.map(({ atMs, datum, attempt, stream, text }) => ({
        atMs,
        datum,
        attempt,
        stream,
        text,
      }))
      await onceABatch(held, batch, () => desk.lines(held.claim, known))
    },
    async 'POST /worker/progress'(call) {
      const { claim } = await claims.prove(ticketOf(call), call.request.principal)
      const done = Math.min(call.body.done, claim.datums.length)
      const { failed } = call.body
      // Of code that stands nothing is ever done: this is how often in a row it ended.
      desk.progress(claim, done, isStanding(claim.spec) ? failed : Math.min(failed, done))
    },
    async 'POST /worker/done'(call) {
      const { tree, receipt } = call.body
      const ticket = ticketOf(call)
      // Not `prove`: the row may say done already, by this very request sent before.
      const name = claims.name(ticket, call.request.principal)
      if (!claims.isReceipt(ticket, tree, receipt))
        throw new VarveError('FORBIDDEN', 'cannot take the result: it is not what was put out')
      const counts = await desk.done(name, tree)
      claims.end(ticket)
      return { counts }
    },
    async 'POST /worker/give-back'(call) {
      const ticket = ticketOf(call)
      const name = claims.name(ticket, call.request.principal)
      claims.end(ticket)
      await desk.giveBack(name)
    },
  }
}
